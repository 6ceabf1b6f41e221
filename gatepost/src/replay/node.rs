//! Plays viewer requests in Node.js: unpacks the files of the edge's package, and runs its handler.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use edge_auth::OWNER_HEADER;
use edge_auth::lambda_edge::ViewerRequestEvent;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Played;
use crate::package;

const RUNNER: &str = include_str!("runner.mjs");

/// A Node.js process with the handler in it.
pub(super) struct NodeRuntime {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    now: Timestamp,
    _folder: TempDir,
}

/// The runner's first line.
#[derive(Deserialize)]
struct Started {
    /// The reason why the handler could not start.
    fault: Option<String>,
}

/// Each line after it.
#[derive(Deserialize)]
struct Answered {
    answer: Value,
    log: Vec<String>,
    micros: u64,
}

impl NodeRuntime {
    /// Unpacks the runtime with a configuration, and starts it.
    pub(super) fn start(config: &edge_auth::Config, now: Timestamp) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = package::addon()?;
        let addon = std::fs::read(&file)
            .with_context(|| format!("the addon {} cannot be read", file.display()))?;
        for file in package::edge_files(config, addon)? {
            std::fs::write(folder.path().join(file.name), file.content)?;
        }
        let runner = folder.path().join("runner.mjs");
        std::fs::write(&runner, RUNNER)?;
        let mut process = Command::new("node")
            .arg(&runner)
            .arg(folder.path().join("index.mjs"))
            .arg(now.as_millisecond().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Node.js was not found; install Node 20 or newer")?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("Node.js has no input or output");
        };
        let mut runtime = Self {
            process,
            input: Some(input),
            output: BufReader::new(output),
            now,
            _folder: folder,
        };
        // Deployed, the handler would answer 503 to every request.
        let started: Started = runtime.read_line()?;
        if let Some(fault) = started.fault {
            bail!(
                "the package's handler cannot start in Node.js: {fault}; build this gatepost and its addon from the same checkout (`cargo run -- replay …`), and use Node 20 or newer"
            );
        }
        Ok(runtime)
    }

    fn read_line<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("Node.js has exited, or its answer is malformed")
    }

    /// Answers an event, whose one record is the result's.
    pub(super) fn play(&mut self, event: &ViewerRequestEvent) -> anyhow::Result<Vec<Played>> {
        let line = json!({"event": event, "now": self.now.as_millisecond()});
        let input = self.input.as_mut().context("Node.js has exited")?;
        writeln!(input, "{line}").context("Node.js has exited")?;
        let answered: Answered = self.read_line()?;
        Ok(vec![Played {
            outcome: outcome(&answered),
            elapsed: Duration::from_micros(answered.micros),
        }])
    }
}

impl Drop for NodeRuntime {
    fn drop(&mut self) {
        // Without input it exits by itself; otherwise it is killed.
        drop(self.input.take());
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The outcome as an operator sees it: from the answer and the log line.
fn outcome(answered: &Answered) -> Value {
    let answer = &answered.answer;
    let header = |name: &str| &answer["headers"][name][0]["value"];
    let Some(status) = answer["status"].as_str() else {
        let owner = header(OWNER_HEADER);
        return json!({"decision": "allow", "status": 200, "reason": "allowed", "owner": owner});
    };
    let logged: Value = answered
        .log
        .first()
        .and_then(|line| serde_json::from_str(line).ok())
        .unwrap_or_default();
    let status: u16 = status.parse().unwrap_or_default();
    let reason = logged["code"].as_str().unwrap_or("undecided");
    let detail = &logged["reason"];
    match status {
        204 => json!({"decision": "allow", "status": 204, "reason": "preflight", "owner": null}),
        302 => json!({
            "decision": "redirect", "status": 302, "reason": reason, "detail": detail, "owner": null,
            "location": header("location"),
        }),
        _ => json!({
            "decision": "deny", "status": status, "reason": reason, "detail": detail, "owner": null,
        }),
    }
}
