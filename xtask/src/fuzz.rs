//! `cargo xtask fuzz`: runs libFuzzer on the parsers of untrusted input.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{command, tools};

const TARGETS: [&str; 5] = ["path", "token", "second-opinion", "event", "image"];

/// Runs each target for a time; without names, all of them.
pub(crate) fn run(seconds: u32, targets: &[String]) -> anyhow::Result<()> {
    let targets: Vec<_> = if targets.is_empty() {
        TARGETS.to_vec()
    } else {
        targets.iter().map(String::as_str).collect()
    };
    if let Some(unknown) = targets.iter().find(|target| !TARGETS.contains(target)) {
        bail!(
            "{unknown} is not a target; choose from {}",
            TARGETS.join(", ")
        );
    }
    let program = tools::cargo_fuzz()?;
    seed()?;
    for target in targets {
        run_target(&program, seconds, target)?;
    }
    Ok(())
}

fn run_target(program: &Path, seconds: u32, target: &str) -> anyhow::Result<()> {
    println!("\n── {target}, {seconds} s");
    command::run(
        Command::new("rustup")
            .args(["run", "nightly"])
            .arg(program)
            .args(["run", target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .args([
                "-max_len=16384",
                "-print_final_stats=1",
                "-print_funcs=0",
                "-verbosity=0",
            ]),
    )
    .with_context(|| format!("{target} found a failure, or a nightly compiler is missing"))
}

/// Seeds the fuzzer with the repository's own events and images.
fn seed() -> anyhow::Result<()> {
    for (target, folder) in [
        ("event", "test-events/viewer-requests"),
        ("image", "upload-processor/thumbnailer/tests/it/fixtures"),
    ] {
        let corpus = Path::new("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            let shown = name.to_string_lossy();
            if !shown.ends_with(".expected.json") && !shown.ends_with(".py") {
                std::fs::copy(&path, corpus.join(name))?;
            }
        }
    }
    Ok(())
}
