//! A list of steps: `cargo xtask check` and `cargo xtask test` run theirs through this file.
//!
//! Every step runs even if one before it failed. A table of outcomes and times closes the run.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

/// One step, which must not depend on the steps before it.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What the step needs, each installed where that is possible. An installed tool costs no time.
    pub(crate) needs: &'static [Task],
    pub(crate) run: Task,
}

pub(crate) type Task = fn() -> anyhow::Result<()>;

/// The steps that the command line asks for.
#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Runs this step alone; several are allowed
    #[arg(long, value_name = "STEP", conflicts_with = "list")]
    only: Vec<String>,
    /// Prints the names of the steps
    #[arg(long)]
    list: bool,
}

/// Runs the selected steps, or prints their names.
pub(crate) fn run(steps: &[Step], selection: &Selection) -> anyhow::Result<ExitCode> {
    if selection.list {
        print!("{}", names(steps));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(run_all(&select(steps, &selection.only)?))
}

/// The error for a missing dependency. In CI no step may be skipped, so there it is an ordinary failure.
pub(crate) fn missing(advice: &str) -> anyhow::Error {
    if std::env::var_os("CI").is_some() {
        anyhow::anyhow!("{advice}")
    } else {
        Skipped(advice.to_owned()).into()
    }
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Why a step is skipped: the missing dependency and how to get it.
#[derive(Debug)]
struct Skipped(String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NOT RUN: {}", self.0)
    }
}

impl std::error::Error for Skipped {}

fn select<'a>(steps: &'a [Step], only: &[String]) -> anyhow::Result<Vec<&'a Step>> {
    for name in only {
        if !steps.iter().any(|step| step.name == name) {
            bail!(
                "there is no step {name:?}; choose from these:\n{}",
                names(steps)
            );
        }
    }
    let is_selected = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    Ok(steps.iter().filter(is_selected).collect())
}

/// A line for each step.
fn names(steps: &[Step]) -> String {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let line = |step: &Step| format!("  {:width$}  {}\n", step.name, step.title);
    steps.iter().map(line).collect()
}

fn run_all(steps: &[&Step]) -> ExitCode {
    let started = Instant::now();
    let mut results = Vec::new();
    for step in steps {
        println!("\n── {}: {}", step.name, step.title);
        let started = Instant::now();
        let result = run_one(step);
        if let Err(error) = &result {
            println!("{error:#}");
        }
        results.push((step.name, outcome(&result), started.elapsed()));
    }
    println!("\n{}", summary(&results, started.elapsed()));
    if results
        .iter()
        .any(|(_, found, _)| *found == Outcome::Failed)
    {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn run_one(step: &Step) -> anyhow::Result<()> {
    for need in step.needs {
        need()?;
    }
    (step.run)()
}

fn outcome(result: &anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) if error.is::<Skipped>() => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    }
}

/// A line for each step, and one that counts them.
fn summary(results: &[(&str, Outcome, Duration)], total: Duration) -> String {
    let mut lines = String::new();
    for (name, outcome, elapsed) in results {
        let mark = match outcome {
            Outcome::Passed => "ok     ",
            Outcome::Failed => "FAILED ",
            Outcome::Skipped => "skipped",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{mark}  {:>6.1} s  {name}", elapsed.as_secs_f32());
    }
    let count = |wanted| {
        let found = results.iter().filter(|(_, outcome, _)| *outcome == wanted);
        found.count()
    };
    format!(
        "{lines}\nsteps: {} passed, {} failed, {} skipped, in {:.1} s",
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::Skipped),
        total.as_secs_f32()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 2] = [
        Step {
            name: "format",
            title: "rustfmt",
            needs: &[],
            run: || Ok(()),
        },
        Step {
            name: "clippy",
            title: "lints",
            needs: &[|| Err(Skipped("Clippy was not found".to_owned()).into())],
            run: || bail!("must not run"),
        },
    ];

    #[test]
    fn a_skipped_step_is_neither_passed_nor_failed() {
        let skipped = Skipped("Terraform was not found".to_owned());
        let results = [
            Ok(()),
            Err(anyhow::anyhow!("wrong")),
            Err(anyhow::Error::from(skipped).context("a policy")),
        ];
        let results = results.map(|result| ("a step", outcome(&result), Duration::from_secs(7)));
        assert_eq!(
            summary(&results, Duration::from_secs(21)),
            "ok          7.0 s  a step\n\
             FAILED      7.0 s  a step\n\
             skipped     7.0 s  a step\n\
             \n\
             steps: 1 passed, 1 failed, 1 skipped, in 21.0 s"
        );
    }

    #[test]
    fn a_step_without_its_tool_is_skipped() {
        assert_eq!(outcome(&run_one(&STEPS[1])), Outcome::Skipped);
    }

    #[test]
    fn selected_steps_run_in_the_order_of_the_list() {
        let only = ["clippy".to_owned(), "format".to_owned()];
        let selected = select(&STEPS, &only).unwrap();
        let selected: Vec<_> = selected.iter().map(|step| step.name).collect();
        assert_eq!(selected, ["format", "clippy"]);
        assert_eq!(select(&STEPS, &[]).unwrap().len(), 2);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names_of_the_others() {
        let Err(error) = select(&STEPS, &["lint".to_owned()]) else {
            panic!("it was selected");
        };
        assert_eq!(
            error.to_string(),
            "there is no step \"lint\"; choose from these:\n  format  rustfmt\n  clippy  lints\n"
        );
    }
}
