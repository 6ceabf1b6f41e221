//! Programs that xtask runs: every task starts them through this file, and none starts a shell.
//!
//! Their output goes to the terminal as it arrives.

use std::process::Command;

use anyhow::{Context as _, ensure};

/// Runs a program to its end. The error shows the whole command line.
///
/// CI compiles once, so what Cargo would keep for a second build only takes disk and time there.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    if std::env::var_os("CI").is_some() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("{shown} cannot be run"))?;
    ensure!(status.success(), "{shown} failed: {status}");
    Ok(())
}

/// Runs the Cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(cargo_binary()).args(arguments))
}

pub(crate) fn cargo_binary() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs npm in the page's folder.
pub(crate) fn npm(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("npm").args(arguments).current_dir("web"))
}

/// The standard output of a program, if it runs and succeeds.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let is_whole = output.status.success();
    is_whole.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
