//! `cargo xtask fuzz`: runs libFuzzer on the parsers of untrusted input.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cargo;

const TARGETS: [&str; 5] = ["path", "token", "second-opinion", "event", "image"];
const TOOLS: &str = "target/tools";
const CARGO_FUZZ: &str = "0.13.2";

fn run_targets(seconds: u32, targets: &[&str]) -> anyhow::Result<()> {
    let program = Path::new(TOOLS).join("bin/cargo-fuzz");
    if !program.exists() {
        cargo(&[
            "install",
            "cargo-fuzz",
            "--version",
            CARGO_FUZZ,
            "--locked",
            "--root",
            TOOLS,
        ])?;
    }
    seed()?;
    for target in targets {
        println!("\n── {target}, {seconds} s");
        crate::run(
            Command::new("rustup")
                .args(["run", "nightly"])
                .arg(std::path::absolute(&program)?)
                .args(["run", target, "--"])
                .arg(format!("-max_total_time={seconds}"))
                .args([
                    "-max_len=16384",
                    "-print_final_stats=1",
                    "-print_funcs=0",
                    "-verbosity=0",
                ]),
        )
        .with_context(|| format!("{target} found a failure, or a nightly compiler is missing"))?;
    }
    Ok(())
}

pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let (seconds, targets) = match arguments {
        [] => (600, TARGETS.as_slice()),
        [seconds] => (parse(seconds)?, TARGETS.as_slice()),
        [seconds, targets @ ..] => (parse(seconds)?, targets),
    };
    if let Some(unknown) = targets.iter().find(|target| !TARGETS.contains(target)) {
        bail!(
            "{unknown} is not a target; choose from {}",
            TARGETS.join(", ")
        );
    }
    run_targets(seconds, targets)
}

fn parse(seconds: &str) -> anyhow::Result<u32> {
    seconds
        .parse()
        .with_context(|| format!("{seconds:?} is not a number of seconds"))
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
