//! Event files: finds them, reads them, and reads the files beside them.
//!
//! `NAME.json` is one event, `NAME.jsonl` several; templates are expanded only in `NAME.template.json`.
//! `NAME.expected.json` is the expected outcome, `NAME.given.json` the objects in the store before the event.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use edge_auth::lambda_edge::ViewerRequestEvent;
use serde::Deserialize;
use serde_json::Value;
use upload_processor::event::{Invocation, Message, Notice};

use super::template::{self, Templates};
use super::{message_file, read_json};
use crate::terminal::output;
use crate::terminal::printable::printable;
use crate::text_file;

/// The extensions of event files: one event or a list, and JSON Lines.
const EXTENSIONS: [&str; 3] = ["json", "jsonl", "ndjson"];
/// The word before the extension of a file whose templates are expanded.
const TEMPLATE: &str = "template";

/// An event's file.
pub(crate) struct EventFile {
    path: PathBuf,
}

/// An event, ready to be played.
pub(crate) enum Event {
    /// A viewer request of Lambda@Edge.
    ViewerRequest(Box<ViewerRequestEvent>),
    /// A batch of SQS, messages of a queue, or notifications of S3, SNS or `EventBridge` without a queue, each as a
    /// message.
    Upload {
        kind: &'static str,
        messages: Vec<Message>,
    },
}

/// An object that exists before the event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenObject {
    pub(crate) key: String,
    /// Its content; relative to the event's file.
    pub(crate) file: PathBuf,
    pub(crate) content_type: String,
    #[serde(default)]
    pub(crate) metadata: std::collections::HashMap<String, String>,
}

/// Every event file in the paths, with folders searched to any depth, sorted by name.
pub(crate) fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<EventFile>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            search(path, &mut found)?;
            if found.len() == before {
                bail!("no events were found in {}", path.display());
            }
        } else if path.exists() {
            found.push(path.clone());
        } else {
            bail!("{} does not exist", path.display());
        }
    }
    Ok(found.into_iter().map(|path| EventFile { path }).collect())
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("the folder {} cannot be read", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        entries.push(entry.with_context(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            search(&path, found)?;
        } else if is_event(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_event(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    let is_named_so = extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
    is_named_so && !matches!(kind_in_name(path), Some("expected" | "given"))
}

/// The word before the extension: `expected` in `NAME.expected.json`.
fn kind_in_name(path: &Path) -> Option<&str> {
    Path::new(path.file_stem()?).extension()?.to_str()
}

impl EventFile {
    /// The path as it was found.
    pub(crate) fn display_path(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads the events, and expands their templates if the file is a template file or `are_all_templates`.
    pub(crate) fn read(
        &self,
        templates: &Templates<'_>,
        are_all_templates: bool,
    ) -> anyhow::Result<Vec<Event>> {
        let shown = self.path.display();
        let values = text_file::read_json_values(&self.path)
            .map_err(|reason| anyhow!("{shown}: {reason}"))?;
        let is_template = are_all_templates || self.is_template();
        let mut single = Vec::with_capacity(values.len());
        for value in values {
            let found = events_in(value);
            single.extend(found.with_context(|| format!("{shown} is not a list of events"))?);
        }
        let mut events = Vec::new();
        for mut value in single {
            if is_template {
                templates.fill(&mut value).with_context(|| {
                    format!("{shown} contains a template that cannot be expanded")
                })?;
            } else if template::is_in(&value) {
                output::note(format_args!(
                    "{shown} contains a template that is not expanded; name the file NAME.{TEMPLATE}.json, or use --templates"
                ));
            }
            let event = parse_event(value)
                .with_context(|| format!("{shown} is not an event that can be replayed"))?;
            events.push(event);
        }
        ensure!(!events.is_empty(), "{shown} is an empty list; add an event");
        Ok(events)
    }

    fn is_template(&self) -> bool {
        kind_in_name(&self.path) == Some(TEMPLATE)
    }

    /// The companion file of a kind: `NAME.expected.json`, `NAME.given.json`.
    fn beside(&self, kind: &str) -> PathBuf {
        let file = self.path.with_extension("");
        let name = if self.is_template() {
            file.with_extension("")
        } else {
            file
        };
        let mut name = name.into_os_string();
        name.push(format!(".{kind}.json"));
        name.into()
    }

    /// The expectation of each record of the event.
    pub(crate) fn expectations(&self, n_records: usize) -> anyhow::Result<Vec<Option<Value>>> {
        let path = self.beside("expected");
        if !path.exists() {
            return Ok(vec![None; n_records]);
        }
        let expected = match read_json(&path)? {
            Value::Array(expected) => expected,
            one => vec![one],
        };
        if expected.len() != n_records {
            bail!(
                "{} expects {}, but the event has {n_records}",
                path.display(),
                output::count(expected.len(), "record"),
            );
        }
        Ok(expected.into_iter().map(Some).collect())
    }

    /// The objects that exist before the event, with their content.
    pub(crate) fn given(&self) -> anyhow::Result<Vec<(GivenObject, Vec<u8>)>> {
        let path = self.beside("given");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let objects: Vec<GivenObject> = serde_json::from_value(read_json(&path)?)
            .with_context(|| format!("{} is not a list of objects", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        objects
            .into_iter()
            .map(|object| {
                let file = folder.join(&object.file);
                let content = std::fs::read(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                Ok((object, content))
            })
            .collect()
    }
}

impl Event {
    /// Whether the processor handles it.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self, Self::Upload { .. })
    }

    /// The kind as reports name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::ViewerRequest(_) => "viewer-request",
            Self::Upload { kind, .. } => kind,
        }
    }
}

/// The events in a value: a list of them, or one. A list of messages is one event, as an `EventBridge` pipe sends those of
/// a queue.
fn events_in(value: Value) -> anyhow::Result<Vec<Value>> {
    const OF_MESSAGES: [&str; 3] = ["body", "Body", "detail"];
    let Value::Array(items) = value else {
        return Ok(vec![value]);
    };
    if items.is_empty() {
        return Ok(items);
    }
    let is_event = |item: &Value| item.get("Records").is_some();
    let is_message = |item: &Value| OF_MESSAGES.iter().any(|name| item.get(name).is_some());
    let are_events = items.iter().any(is_event);
    let is_fitting = |item: &Value| {
        if are_events {
            is_event(item)
        } else {
            is_message(item)
        }
    };
    if let Some(at) = items.iter().position(|item| !is_fitting(item)) {
        let kind = if are_events {
            "an event"
        } else {
            "an event or a message"
        };
        bail!("item {} of its list is not {kind}", at + 1);
    }
    Ok(if are_events {
        items
    } else {
        vec![Value::Array(items)]
    })
}

fn parse_event(value: Value) -> anyhow::Result<Event> {
    let records = value["Records"].as_array();
    ensure!(
        records.is_none_or(|records| !records.is_empty()),
        "its list of records is empty"
    );
    if records.is_some_and(|records| records.iter().any(|record| record.get("cf").is_some())) {
        return viewer_request(value);
    }
    if let Some(messages) = message_file::read(&value)? {
        return Ok(Event::Upload {
            kind: "sqs",
            messages,
        });
    }
    let (kind, messages) = match Invocation::parse(&value).map_err(anyhow::Error::msg)? {
        Invocation::Batch(messages) => ("sqs", messages),
        Invocation::Direct(bodies) => {
            let messages = bodies.into_iter().map(|body| Message {
                id: "replayed".to_owned(),
                body,
                receive_count: 1,
                receipt_handle: None,
            });
            ("s3", messages.collect::<Vec<_>>())
        }
        Invocation::Sweep(_) => {
            bail!("this event asks for a sweep and names no upload; run `gatepost sweep` instead")
        }
    };
    // A queue may contain anything, and the processor's answer to it matters. A file that is not an event is a mistake.
    if kind == "s3" {
        for message in &messages {
            Notice::parse(&message.body).map_err(|reason| {
                anyhow!(
                    "it is not a viewer request of Lambda@Edge, not a batch of SQS, and {reason}"
                )
            })?;
        }
    }
    Ok(Event::Upload { kind, messages })
}

/// A viewer request of `CloudFront`. Its other events have records of the same shape and a different meaning: they happen
/// behind the cache, or after the response.
fn viewer_request(value: Value) -> anyhow::Result<Event> {
    let event_type = &value["Records"][0]["cf"]["config"]["eventType"];
    if event_type != "viewer-request" {
        let found = match event_type {
            Value::String(event_type) => {
                format!("of type {}", printable(event_type))
            }
            _ => "without an eventType".to_owned(),
        };
        bail!(
            "it is a CloudFront event {found}; the function at the edge answers viewer-request events, and every other event with 503; associate it with viewer requests"
        );
    }
    let event: ViewerRequestEvent = serde_json::from_value(value)?;
    ensure!(event.records.len() == 1, "a viewer request has one record");
    Ok(Event::ViewerRequest(Box::new(event)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn companion_files_are_not_events() {
        for (name, is_one) in [
            ("a.json", true),
            ("a.template.json", true),
            ("a.b.json", true),
            ("a.jsonl", true),
            ("a.ndjson", true),
            ("a.expected.json", false),
            ("a.given.json", false),
            ("a.txt", false),
            ("README.md", false),
        ] {
            assert_eq!(is_event(Path::new(name)), is_one, "{name}");
        }
        for (name, expected) in [
            ("x/a.json", "x/a.expected.json"),
            ("x/a.template.json", "x/a.expected.json"),
            ("x/a.b.json", "x/a.b.expected.json"),
            ("x/a.template.jsonl", "x/a.expected.json"),
        ] {
            let file = EventFile { path: name.into() };
            assert_eq!(file.beside("expected"), Path::new(expected), "{name}");
        }
    }

    #[test]
    fn only_viewer_request_events_are_viewer_requests() {
        let of = |config: Value| {
            json!({"Records": [{"cf": {
                "config": config, "request": {"method": "GET", "uri": "/", "headers": {}},
            }}]})
        };
        for (event, said) in [
            (of(json!({"eventType": "viewer-request"})), None),
            (
                of(json!({"eventType": "origin-request"})),
                Some("of type origin-request"),
            ),
            (
                of(json!({"eventType": "viewer-response"})),
                Some("of type viewer-response"),
            ),
            (of(json!({})), Some("without an eventType")),
            (
                json!({"Records": [{}, {"cf": {}}]}),
                Some("without an eventType"),
            ),
            (json!({"Records": []}), Some("is empty")),
            (json!([]), Some("not a batch of SQS")),
            (json!({"Records": "none"}), Some("not a batch of SQS")),
        ] {
            let found = parse_event(event.clone()).map(|event| event.kind());
            match said {
                None => assert_eq!(found.unwrap(), "viewer-request"),
                Some(said) => {
                    let reason = found.unwrap_err().to_string();
                    assert!(reason.contains(said), "{event}: {reason}");
                }
            }
        }
    }

    #[test]
    fn a_list_of_messages_is_one_event() {
        let event = json!({"Records": [1]});
        let message = json!({"eventSource": "aws:sqs", "messageId": "1", "body": ""});
        for (value, n) in [
            (event.clone(), 1),
            (json!([event, event]), 2),
            (json!([message, message]), 1),
        ] {
            assert_eq!(events_in(value.clone()).unwrap().len(), n, "{value}");
        }
        for value in [
            json!([event, {"foo": 1}]),
            json!([event, {"Messages": []}]),
            json!([message, event]),
            json!([1, 2]),
            json!([[event]]),
        ] {
            assert!(events_in(value.clone()).is_err(), "{value}");
        }
    }
}
