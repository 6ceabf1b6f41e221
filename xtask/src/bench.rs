//! `cargo xtask bench`: side by side with peers, in one run.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::cargo;

/// The harness and its peers.
const EDGE: &str = "bench/edge";
/// Keys, configuration and package of the run.
const WORK: &str = "target/bench/edge";

pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let peers = Path::new(EDGE).join("node_modules");
    if !peers.exists() {
        crate::run(
            Command::new("npm")
                .args(["ci", "--silent"])
                .current_dir(EDGE),
        )?;
    }
    let node = |script: &str, arguments: &[&str]| {
        crate::run(
            Command::new("node")
                .arg(format!("{EDGE}/{script}"))
                .args(["--work", WORK])
                .args(arguments),
        )
    };
    node("prepare.mjs", &[])?;
    let config = format!("{WORK}/gatepost.toml");
    let dist = format!("{WORK}/dist");
    cargo(&[
        "run", "--quiet", "--locked", "--", "package", "--config", &config, "--out", &dist,
    ])?;
    let ours = format!("{WORK}/ours");
    crate::run(Command::new("python3").args([
        "-m",
        "zipfile",
        "-e",
        &format!("{dist}/edge-auth.zip"),
        &ours,
    ]))
    .context("Python 3 unpacks the package")?;
    node("run.mjs", &[&["--ours", &ours], arguments].concat())
}
