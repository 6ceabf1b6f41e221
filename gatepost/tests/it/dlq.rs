//! `gatepost dlq`: examines dead letters of the local stack and of SQS, which changes nothing, and redrives them.

mod account;
mod local;
mod sqs;

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{gatepost, text};

/// An event of S3 about an upload.
fn event(key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Post",
        "s3": {"bucket": {"name": "gatepost-uploads"}, "object": {"key": key}},
    }]})
}

/// The result of a run.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn new(output: &Output) -> Self {
        let (stdout, stderr) = text(output);
        assert!(!stderr.contains("panicked"), "{stderr}");
        // A terminal is sent no control character.
        let is_safe = |c: char| c == '\n' || !c.is_control();
        assert!(stdout.chars().all(is_safe), "{stdout:?}");
        assert!(stderr.chars().all(is_safe), "{stderr:?}");
        Self {
            code: output.status.code(),
            stdout,
            stderr,
        }
    }

    /// Asserts that it succeeded.
    fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// The lines of its answer, as JSON.
    fn lines(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Its answer, of one line.
    fn line(&self) -> Value {
        let [line] = &self.lines()[..] else {
            panic!("{}{}", self.stdout, self.stderr);
        };
        line.clone()
    }
}

/// Replays a file.
fn replay(file: &std::path::Path) -> Run {
    let output = gatepost()
        .args(["replay", "--format", "json"])
        .arg(file)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    Run::new(&output)
}
