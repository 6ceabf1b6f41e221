//! One file's result, as JSON and as a row of the table.

use std::path::Path;

use media_contract::{Reason, Rendition, Source, Status};
use serde::Serialize;

use crate::terminal::output::{self, Colour};
use crate::terminal::printable::printable;

/// The status of a file that could not be read; the others are those of manifests.
const UNREADABLE: &str = "unreadable";

/// One file's result. The names of the fields are a contract.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    file: String,
    status: &'static str,
    /// The sentence for the sender.
    reason: Option<Reason>,
    /// The exact fault, for engineers.
    detail: Option<String>,
    source: Option<Source>,
    /// Their paths are relative to `--out`.
    renditions: Vec<Rendition>,
    placeholder: Option<String>,
    micros: u64,
}

impl Line {
    /// The result of a file that was read.
    pub(super) fn new(file: &Path, status: Status, detail: Option<String>, micros: u64) -> Self {
        let failed = Self {
            file: file.display().to_string(),
            status: status.name(),
            reason: status.reason().cloned(),
            detail,
            source: None,
            renditions: Vec::new(),
            placeholder: None,
            micros,
        };
        match status {
            Status::Ready {
                source,
                renditions,
                placeholder,
                ..
            } => Self {
                source: Some(source),
                renditions,
                placeholder: Some(placeholder),
                ..failed
            },
            _ => failed,
        }
    }

    /// The result of an unreadable file.
    pub(super) fn unreadable(file: &Path, detail: String) -> Self {
        Self {
            file: file.display().to_string(),
            status: UNREADABLE,
            reason: Some(Reason {
                code: UNREADABLE.to_owned(),
                message: "This file cannot be read.".to_owned(),
            }),
            detail: Some(detail),
            source: None,
            renditions: Vec::new(),
            placeholder: None,
            micros: 0,
        }
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.status == UNREADABLE
    }

    pub(super) fn is_ready(&self) -> bool {
        self.reason.is_none()
    }

    /// A row of the table, with control characters in file names escaped.
    pub(super) fn row(&self, width: usize) -> String {
        let outcome = match (&self.reason, &self.source) {
            // The status says it already.
            (Some(reason), _) if self.is_unreadable() => {
                let sentence = reason.message.trim_end_matches('.');
                match &self.detail {
                    Some(detail) => format!("{sentence}: {detail}"),
                    None => sentence.to_owned(),
                }
            }
            (Some(reason), _) => {
                let detail = self.detail.as_deref().unwrap_or_default();
                format!("{}: {} ({detail})", reason.code, reason.message)
            }
            (None, Some(source)) => {
                let made: Vec<_> = self
                    .renditions
                    .iter()
                    .map(|rendition| format!("{}×{}", rendition.width, rendition.height))
                    .collect();
                format!(
                    "{} {}×{}, {} → {}",
                    source.media_type,
                    source.width,
                    source.height,
                    output::count(source.bytes, "byte"),
                    made.join(", ")
                )
            }
            _ => String::new(),
        };
        let status = format!("{:10}", self.status);
        let colour = if self.is_ready() {
            Colour::Green
        } else {
            Colour::Red
        };
        format!(
            "{}  {:width$}  {:>6} ms  {}",
            output::coloured(&status, colour),
            printable(&self.file),
            self.micros / 1000,
            printable(&outcome)
        )
    }
}
