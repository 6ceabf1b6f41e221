//! Prints the results of a replay: a table for people, or one JSON object per line for programs.

use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use super::expectation::{Difference, differences};
use crate::terminal::output::{self, Colour};
use crate::terminal::printable::{printable, printable_json};

/// One record's result. The names of the fields are a contract.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) file: String,
    pub(crate) index: usize,
    pub(crate) kind: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) outcome: Value,
    pub(crate) expected: Option<Value>,
    pub(crate) matches: Option<bool>,
    pub(crate) micros: u64,
}

/// Collects results, prints them, and derives the exit code.
pub(crate) struct Report {
    as_json: bool,
    /// Whether the events come from files, which may have expectations.
    is_of_files: bool,
    lines: Vec<Line>,
}

impl Report {
    /// Results of events in files.
    pub(crate) fn new(as_json: bool) -> Self {
        Self {
            as_json,
            is_of_files: true,
            lines: Vec::new(),
        }
    }

    /// Results of a dead letter, which nobody has expectations of.
    pub(crate) fn of_dead_letter(as_json: bool) -> Self {
        Self {
            is_of_files: false,
            ..Self::new(as_json)
        }
    }

    /// Adds a result; JSON is printed at once.
    pub(crate) fn add(&mut self, line: Line) -> anyhow::Result<()> {
        if self.as_json {
            let json = serde_json::to_string(&line)?;
            output::print(printable_json(&json))?;
        }
        self.lines.push(line);
        Ok(())
    }

    /// Prints the table; the exit code says whether every expectation was met.
    pub(crate) fn finish(self) -> anyhow::Result<ExitCode> {
        let n_unmet = self.count(Some(false));
        if !self.as_json {
            self.print_table()?;
        }
        Ok(if n_unmet == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn count(&self, matches: Option<bool>) -> usize {
        self.lines
            .iter()
            .filter(|line| line.matches == matches)
            .count()
    }

    fn print_table(&self) -> anyhow::Result<()> {
        let width = self
            .lines
            .iter()
            .map(|line| line.name().chars().count())
            .max()
            .unwrap_or(0);
        for line in &self.lines {
            line.print(width)?;
        }
        // Repeated at the end, because long tables scroll away.
        let unmet = self.lines.iter().filter(|line| line.matches == Some(false));
        if self.count(Some(false)) < self.lines.len() {
            for (idx, line) in unmet.enumerate() {
                let start = if idx == 0 {
                    "\nnot as expected: "
                } else {
                    "                 "
                };
                output::print(format_args!("{start}{}", line.name()))?;
            }
        }
        if !self.is_of_files {
            output::print(format_args!(
                "\n{} processed, nothing published; the dead letter stays in its queue",
                output::count(self.lines.len(), "record")
            ))?;
            return Ok(());
        }
        output::print(format_args!(
            "\n{}: {} as expected, {} not as expected, {} without an expectation",
            output::count(self.lines.len(), "record"),
            self.count(Some(true)),
            self.count(Some(false)),
            self.count(None),
        ))?;
        Ok(())
    }
}

impl Line {
    fn name(&self) -> String {
        let file = printable(&self.file);
        match self.index {
            0 => file.into_owned(),
            index => format!("{file} #{index}"),
        }
    }

    /// Prints a row, and the differences below it.
    fn print(&self, width: usize) -> anyhow::Result<()> {
        let mark = match self.matches {
            Some(true) => output::coloured("ok    ", Colour::Green),
            Some(false) => output::coloured("FAILED", Colour::Red),
            None => "      ".into(),
        };
        output::print(format_args!(
            "{mark}  {:width$}  {:14}  {:>9}  {}",
            self.name(),
            self.kind,
            format_time(self.micros),
            printable(&self.summary()),
        ))?;
        let Some(expected) = &self.expected else {
            return Ok(());
        };
        let differences = differences(expected, &self.outcome);
        if differences.is_empty() {
            return Ok(());
        }
        output::print("        --- expected\n        +++ found")?;
        for Difference {
            path,
            expected,
            found,
        } in differences
        {
            let path = if path.is_empty() { "(all)" } else { &path };
            for (sign, value, colour) in [('-', expected, Colour::Red), ('+', found, Colour::Green)]
            {
                let line = format!("{sign} {path}: {value}");
                let line = printable(&line);
                output::print(format_args!("        {}", output::coloured(&line, colour)))?;
            }
        }
        // The refusal's detail explains the difference.
        if let Some(detail) = self.outcome["detail"].as_str() {
            output::print(format_args!("          detail: {}", printable(detail)))?;
        }
        Ok(())
    }

    /// The outcome in a few words.
    fn summary(&self) -> String {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let outcome = &self.outcome;
        if self.kind == "viewer-request" {
            // Without an expectation the reader wants to know the reason.
            let detail = match (self.matches, outcome["detail"].as_str()) {
                (None, Some(detail)) => format!(": {detail}"),
                _ => String::new(),
            };
            return format!(
                "{} {} {}{detail}",
                text(&outcome["decision"]),
                outcome["status"],
                text(&outcome["reason"])
            );
        }
        let detail = match outcome["status"].as_str() {
            Some("ready") => {
                let n_renditions = outcome["renditions"].as_array().map_or(0, Vec::len);
                output::count(n_renditions, "rendition")
            }
            Some("rejected") => text(&outcome["reason"]["code"]),
            _ => text(&outcome["reason"]),
        };
        format!("{} {detail}", text(&outcome["status"]))
    }
}

fn format_time(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{micros} µs"),
        _ => format!("{} ms", micros / 1000),
    }
}
