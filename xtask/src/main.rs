//! The contributor loop, the same for people and CI: `cargo xtask test`.

mod bench;
mod fuzz;
mod photos;
mod rehearse;
mod terraform;
mod test;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

const USAGE: &str = "usage: cargo xtask test
       cargo xtask bench [edge|images|signing [ARGUMENT…]]
       cargo xtask fuzz [SECONDS [TARGET…]]
       cargo xtask rehearse

  test    format, lints, documentation, every test of every kind, the events of test-events/
  bench   side by side with peers; arguments go to the harness, such as --format json
  fuzz    each fuzz target for SECONDS (default 600); needs a nightly compiler
  rehearse  infra/ from the first apply to the last destroy, on MiniStack in place of AWS";

fn main() -> ExitCode {
    // Cargo sets this to this crate's folder; all paths here are relative to its parent.
    if let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR")
        && let Err(error) = std::env::set_current_dir(Path::new(&folder).join(".."))
    {
        eprintln!("cannot change to the repository's folder: {error}");
        return ExitCode::from(2);
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => return test::run(),
        ["bench", rest @ ..] => bench::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["rehearse"] => rehearse::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(cargo_binary()).args(arguments))
}

fn cargo_binary() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn npm(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("npm").args(arguments).current_dir("web"))
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("{shown} cannot be run"))?;
    ensure!(status.success(), "{shown} failed: {status}");
    Ok(())
}
