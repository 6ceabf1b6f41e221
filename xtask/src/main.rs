//! The contributor loop, the same for people and CI: `cargo xtask check` and `cargo xtask test`.
//!
//! This file only reads the command line. Every path in this program is relative to the repository's folder.

mod bench;
mod check;
mod command;
mod fuzz;
mod libraries;
mod photos;
mod rehearse;
mod steps;
mod terraform;
mod test;
mod tools;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::Selection;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "The contributor loop.")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Format, lints, prose, structure, licenses, dependencies, unit tests: under two minutes when built
    Check(Selection),
    /// The checks and every test of every kind; installs what they need
    Test(Selection),
    /// Side by side with peers: `edge`, `images`, `signing`, what page views `transfer`, or all; further arguments go to
    /// the harness
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Every fuzz target, or the named ones; needs a nightly compiler
    Fuzz {
        /// For how long each target runs
        #[arg(default_value_t = 600)]
        seconds: u32,
        targets: Vec<String>,
    },
    /// `infra/` from the first apply to the last destroy, on `MiniStack` in place of AWS
    Rehearse,
}

fn main() -> ExitCode {
    // Cargo sets this to this crate's folder.
    if let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR")
        && let Err(error) = std::env::set_current_dir(Path::new(&folder).join(".."))
    {
        eprintln!("cannot change to the repository's folder: {error}");
        return ExitCode::from(2);
    }
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Check(selection) => return steps::run(&check::steps(), &selection),
        Task::Test(selection) => return steps::run(&test::steps(), &selection),
        Task::Bench { arguments } => {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            bench::run(&arguments)?;
        }
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, &targets)?,
        Task::Rehearse => rehearse::run()?,
    }
    Ok(ExitCode::SUCCESS)
}
