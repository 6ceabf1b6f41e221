//! `gatepost dlq show` and `gatepost dlq replay`: one dead letter in full.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use jiff::Timestamp;
use media_contract::Manifest;
use serde::Serialize;
use serde_json::Value;
use upload_processor::event::Record;

use super::args::{Format, OneArgs};
use super::examination::{Examiner, Finding, describe_redriving, format_status};
use super::interruption::until_stopped;
use super::letter::{DeadLetter, format_age, upload_of};
use super::queue::{Queue, find};
use crate::replay::{self, Line, Report};
use crate::stop::Stop;
use crate::terminal::output;
use crate::terminal::printable::printable;

/// A dead letter. The names of the fields are a contract; the first four are those of a dead letter's file in the local
/// stack, and `gatepost replay` reads both.
#[derive(Debug, Serialize)]
struct Shown {
    message_id: String,
    body: String,
    sent_at: Timestamp,
    receive_count: u32,
    first_received_at: Option<Timestamp>,
    age_seconds: i64,
    queue: String,
    settings: String,
    malware_scan: bool,
    /// The reason why its body is not understood.
    not_understood: Option<String>,
    records: Vec<ShownRecord>,
}

/// The findings about one record of it.
#[derive(Debug, Serialize)]
struct ShownRecord {
    /// `created`, `unreadable`, or another event's name.
    event: String,
    bucket: Option<String>,
    key: Option<String>,
    version_id: Option<String>,
    etag: Option<String>,
    /// When the form of the upload was made.
    form_made_at: Option<Timestamp>,
    manifest: Option<Manifest>,
    /// The reason why the manifest cannot be read.
    manifest_fault: Option<String>,
    /// The result of redriving, in the form of `gatepost replay`.
    outcome: Value,
    redriving: String,
    micros: u64,
}

/// Shows a dead letter.
pub(super) async fn run(args: &OneArgs, stop: &Stop) -> anyhow::Result<ExitCode> {
    let queue = Queue::open(&args.queue).await?;
    let examiner = Examiner::open(&args.queue, &args.inspection).await?;
    let Some(letter) = find(&queue, &args.id, stop).await? else {
        return Ok(ExitCode::FAILURE);
    };
    let shown = until_stopped(stop, async {
        let findings = examiner.findings(&letter).await;
        shown(letter, findings, &queue, &examiner)
    })
    .await?;
    match args.queue.format {
        Format::Json => output::print_json(&shown)?,
        Format::Table => output::print(shown.text().trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Processes a dead letter without publishing anything.
pub(super) async fn replay(args: &OneArgs, stop: &Stop) -> anyhow::Result<ExitCode> {
    let queue = Queue::open(&args.queue).await?;
    let examiner = Examiner::open(&args.queue, &args.inspection).await?;
    let Some(letter) = find(&queue, &args.id, stop).await? else {
        return Ok(ExitCode::FAILURE);
    };
    let (outcomes, micros) = until_stopped(stop, async {
        let started = Instant::now();
        let outcomes = replay::outcomes(examiner.examine(&letter).await)?;
        Ok((outcomes, micros(started.elapsed())))
    })
    .await?;
    let mut report = Report::of_dead_letter(args.queue.format == Format::Json);
    for (index, outcome) in outcomes.into_iter().enumerate() {
        report.add(Line {
            file: letter.id.clone(),
            index,
            kind: "sqs",
            runtime: "native",
            outcome,
            expected: None,
            matches: None,
            micros,
        })?;
    }
    report.finish()
}

fn shown(
    letter: DeadLetter,
    findings: Result<Vec<Finding>, String>,
    queue: &Queue,
    examiner: &Examiner,
) -> anyhow::Result<Shown> {
    let (findings, not_understood) = match findings {
        Ok(findings) => (findings, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let records = findings.into_iter().map(shown_record);
    Ok(Shown {
        age_seconds: letter.age(Timestamp::now()).as_secs(),
        malware_scan: examiner.wants_scan(&letter),
        message_id: letter.id,
        body: letter.body,
        sent_at: letter.sent_at,
        receive_count: letter.receive_count,
        first_received_at: letter.first_received_at,
        queue: queue.name(),
        settings: examiner.settings().to_owned(),
        not_understood,
        records: records.collect::<anyhow::Result<_>>()?,
    })
}

fn shown_record(finding: Finding) -> anyhow::Result<ShownRecord> {
    let upload = upload_of(&finding.record);
    let (manifest, manifest_fault) = match finding.manifest {
        Some(Ok(manifest)) => (manifest, None),
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, None),
    };
    let redriving = describe_redriving(&finding.outcome);
    let outcome = replay::outcomes(finding.outcome.map(|outcome| vec![outcome]))?;
    let (event, object) = match finding.record {
        Record::Created(object) => ("created".to_owned(), Some(object)),
        Record::Other(name) => (name, None),
        Record::Unreadable(_) => ("unreadable".to_owned(), None),
    };
    let (bucket, key, version_id, etag) = match object {
        Some(object) => (
            Some(object.bucket),
            Some(object.key),
            object.version_id,
            object.etag,
        ),
        None => (None, None, None, None),
    };
    Ok(ShownRecord {
        event,
        bucket,
        key,
        version_id,
        etag,
        form_made_at: upload.map(|upload| upload.id.made_at()),
        manifest,
        manifest_fault,
        outcome: outcome.into_iter().next().unwrap_or_default(),
        redriving,
        micros: micros(finding.elapsed),
    })
}

fn micros(elapsed: std::time::Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

impl Shown {
    /// For people.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, value: &str| {
            let line = format!("{name:10} {}", printable(value));
            // Writing to a text does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        };
        put("message", &self.message_id);
        put("queue", &self.queue);
        let age = format_age(jiff::SignedDuration::from_secs(self.age_seconds));
        put("sent", &format!("{}, {age} ago", self.sent_at));
        let first = self.first_received_at;
        let first = first.map(|at| format!(", first {at}")).unwrap_or_default();
        put("received", &format!("{}×{first}", self.receive_count));
        let gate = if self.malware_scan { "on" } else { "off" };
        put(
            "settings",
            &format!("{}; malware gate {gate}", self.settings),
        );
        if let Some(reason) = &self.not_understood {
            put(
                "redriving",
                &format!("fails again: the message is not understood: {reason}"),
            );
        }
        for record in &self.records {
            record.put(&mut put);
        }
        text.push_str("\nbody\n");
        let pretty = serde_json::from_str::<Value>(&self.body)
            .and_then(|body| serde_json::to_string_pretty(&body))
            .unwrap_or_else(|_| printable(&self.body).into_owned());
        for line in pretty.lines() {
            let _ = writeln!(text, "{}", printable(line));
        }
        text
    }
}

impl ShownRecord {
    fn put(&self, put: &mut impl FnMut(&str, &str)) {
        put("", "");
        put("event", &self.event);
        let named = [
            ("bucket", &self.bucket),
            ("key", &self.key),
            ("version", &self.version_id),
            ("etag", &self.etag),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                put(name, value);
            }
        }
        if let Some(at) = self.form_made_at {
            put("form", &format!("made {at}"));
            let manifest = match (&self.manifest, &self.manifest_fault) {
                (Some(manifest), _) => format_status(&manifest.status),
                (None, Some(reason)) => format!("cannot be read: {reason}"),
                (None, None) => "none".to_owned(),
            };
            put("manifest", &manifest);
        }
        let redriving = self.redriving.strip_prefix("redriving ");
        let millis = self.micros / 1000;
        put(
            "redriving",
            &format!("{} ({millis} ms)", redriving.unwrap_or(&self.redriving)),
        );
    }
}
