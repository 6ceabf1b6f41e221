//! Event files: finding them, reading them, and what lies beside them.
//!
//! `NAME.json` is the event, `NAME.expected.json` what is expected of it, `NAME.given.json` the objects that the store
//! holds before it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use edge_auth::lambda_edge::ViewerRequestEvent;
use serde::Deserialize;
use serde_json::Value;
use upload_processor::event::{Invocation, Message, Notice};

use super::template::Templates;
use super::{message_file, read_json};

/// An event's file.
pub(super) struct EventFile {
    path: PathBuf,
}

/// An event, ready to be played.
pub(super) enum Event {
    /// Of Lambda@Edge.
    ViewerRequest(Box<ViewerRequestEvent>),
    /// A batch of SQS, messages that were taken off a queue, or what S3, SNS or `EventBridge` tell without a queue, as a
    /// message each.
    Upload {
        kind: &'static str,
        messages: Vec<Message>,
    },
}

/// An object that is there before the event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenObject {
    pub(super) key: String,
    /// Its content; relative to the event's file.
    pub(super) file: PathBuf,
    pub(super) content_type: String,
    #[serde(default)]
    pub(super) metadata: std::collections::HashMap<String, String>,
}

/// Every event file among the paths, folders searched to any depth, in order of their names.
pub(super) fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<EventFile>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = found.len();
            search(path, &mut found)?;
            if found.len() == before {
                bail!("there are no events below {}", path.display());
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
    let is_json = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    };
    let beside = path.file_stem().map(Path::new).and_then(Path::extension);
    is_json(path) && beside.is_none_or(|kind| kind != "expected" && kind != "given")
}

impl EventFile {
    /// The path as it was found.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads the event and fills in its templates.
    pub(super) fn read(&self, templates: &Templates<'_>) -> anyhow::Result<Event> {
        let mut value = read_json(&self.path)?;
        templates.fill(&mut value).with_context(|| {
            format!(
                "{} holds a template that cannot be filled in",
                self.path.display()
            )
        })?;
        understand(value)
            .with_context(|| format!("{} is no event that can be replayed", self.path.display()))
    }

    /// What is expected of each record of the event.
    pub(super) fn expectations(&self, n_records: usize) -> anyhow::Result<Vec<Option<Value>>> {
        let path = self.path.with_extension("expected.json");
        if !path.exists() {
            return Ok(vec![None; n_records]);
        }
        let expected = match read_json(&path)? {
            Value::Array(expected) => expected,
            one => vec![one],
        };
        if expected.len() != n_records {
            bail!(
                "{} expects {} records, and there are {n_records}",
                path.display(),
                expected.len()
            );
        }
        Ok(expected.into_iter().map(Some).collect())
    }

    /// The objects that are there before the event, with their content.
    pub(super) fn given(&self) -> anyhow::Result<Vec<(GivenObject, Vec<u8>)>> {
        let path = self.path.with_extension("given.json");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let objects: Vec<GivenObject> = serde_json::from_value(read_json(&path)?)
            .with_context(|| format!("{} is no list of objects", path.display()))?;
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
    /// The kind as reports name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::ViewerRequest(_) => "viewer-request",
            Self::Upload { kind, .. } => kind,
        }
    }
}

fn understand(value: Value) -> anyhow::Result<Event> {
    let first = &value["Records"][0];
    if first["cf"]["config"]["eventType"] == "viewer-request" {
        let event: ViewerRequestEvent = serde_json::from_value(value)?;
        anyhow::ensure!(event.records.len() == 1, "a viewer request has one record");
        return Ok(Event::ViewerRequest(Box::new(event)));
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
        Invocation::Sweep(_) => anyhow::bail!(
            "this asks for a sweep, and tells of no upload; `gatepost sweep` does what it asks for"
        ),
    };
    // A queue may hold anything, and what the processor says of it is of interest. A file that is no event is a mistake.
    if kind == "s3" {
        for message in &messages {
            Notice::parse(&message.body).map_err(|reason| {
                anyhow::anyhow!(
                    "it is no viewer request of Lambda@Edge and no batch of SQS, and {reason}"
                )
            })?;
        }
    }
    Ok(Event::Upload { kind, messages })
}
