//! Runs the generated function in njs, with the secrets in a mock of CloudFront's `KeyValueStore`.
//!
//! njs is the engine family of CloudFront Functions; Debian has it as `njs`. Each call of [`Njs::run`] is one process, so
//! no state is left between calls.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use thiserror::Error;

use crate::event::Answer;

const RUNNER: &str = include_str!("runner.js");
/// The prefix of the store's keys. The sender of a request chooses the rest, so an entry without it can be anything.
const KEY_PREFIX: &str = "session/";

/// The function, ready to run.
pub struct Njs {
    folder: TempDir,
}

/// Why the function did not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NjsError {
    /// njs is not installed.
    #[error("njs was not found; install it (Debian: apt-get install njs)")]
    Missing,
    /// Files for njs cannot be written or read.
    #[error("the files for njs: {0}")]
    Files(#[from] io::Error),
    /// The function ended with an exception, or njs cannot read it.
    #[error("njs failed: {0}")]
    Failed(String),
    /// An answer is not what the runner writes.
    #[error("the answers of njs are malformed: {0}")]
    Malformed(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    answer: Value,
    #[serde(default)]
    log: Vec<String>,
    #[serde(default)]
    millis: u64,
    fault: Option<String>,
}

impl Njs {
    /// Writes the code, and a store with the secrets: for each header segment of sessions the base64url of its secret.
    ///
    /// # Errors
    ///
    /// njs is missing, or the files cannot be written.
    pub fn new(code: &str, secrets: &BTreeMap<String, String>) -> Result<Self, NjsError> {
        if !is_installed() {
            return Err(NjsError::Missing);
        }
        let folder = tempfile::tempdir()?;
        let entries: BTreeMap<String, &String> = secrets
            .iter()
            .map(|(header, secret)| (format!("{KEY_PREFIX}{header}"), secret))
            .collect();
        // `get` of an absent key rejects, as CloudFront's does.
        let store = format!(
            "const entries = {};\nexport default {{ kvs: () => ({{ get: async (key) => {{\n  if (!Object.prototype.hasOwnProperty.call(entries, key)) throw new Error('KeyNotFound')\n  return entries[key]\n}} }}) }}\n",
            serde_json::to_string(&entries)?
        );
        std::fs::write(folder.path().join("cloudfront"), store)?;
        std::fs::write(folder.path().join("gate.js"), format!("{code}\n{RUNNER}"))?;
        Ok(Self { folder })
    }

    /// Runs the function on events as of `now`, and answers in their order.
    ///
    /// # Errors
    ///
    /// The function ended with an exception, or its answers cannot be read.
    pub fn run(&self, now: Timestamp, mut events: Vec<Value>) -> Result<Vec<Answer>, NjsError> {
        for event in &mut events {
            event["now"] = now.as_millisecond().into();
        }
        let call = tempfile::tempdir_in(self.folder.path())?;
        let (input, output) = (call.path().join("events"), call.path().join("answers"));
        std::fs::write(&input, serde_json::to_vec(&events)?)?;
        let code = self.folder.path().join("gate.js");
        let run = Command::new("njs")
            .args(["-t", "module", "-p"])
            .args([self.folder.path(), &code, &input, &output])
            .output()
            .map_err(|_| NjsError::Missing)?;
        let answers = read(&output)
            .filter(|_| run.status.success())
            .ok_or_else(|| {
                let text = [run.stderr, run.stdout].concat();
                let text = String::from_utf8_lossy(&text);
                NjsError::Failed(format!("{}: {}", run.status, text.trim()))
            })?;
        answers
            .lines()
            .map(|line| {
                let line: Line = serde_json::from_str(line)?;
                Ok(Answer {
                    value: line.answer,
                    log: line.log,
                    millis: line.millis,
                    fault: line.fault,
                })
            })
            .collect()
    }
}

/// Whether the program is there.
pub fn is_installed() -> bool {
    Command::new("njs")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}
