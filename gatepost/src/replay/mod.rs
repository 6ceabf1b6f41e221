//! Events through the real handlers, each compared with what is expected of it.
//!
//! `gatepost replay` and `gatepost dlq` call it. The same files serve operators, who replay what production logged, and
//! tests, which replay `test-events/`. Nothing here fetches anything from another machine.

mod expectation;
mod file;
mod message_file;
mod node;
mod report;
mod template;
mod upload;
mod viewer;

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use crate::text_file;

pub(crate) use expectation::differences;
pub(crate) use file::{Event, EventFile, find};
pub(crate) use report::{Line, Report};
pub(crate) use template::Templates;
pub(crate) use upload::{Uploads, outcomes};
pub(crate) use viewer::Viewers;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Runtime {
    /// The Rust library itself.
    Native,
    /// The Lambda@Edge package in Node.js.
    Node,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Node => "node",
        }
    }
}

/// The outcome of one record of an event.
pub(crate) struct Played {
    /// In the documented form of the kind of event.
    pub(crate) outcome: Value,
    pub(crate) elapsed: Duration,
}

pub(crate) fn read_json(file: &Path) -> anyhow::Result<Value> {
    text_file::read_json(file).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))
}
