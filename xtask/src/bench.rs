//! `cargo xtask bench`: compares Gatepost with its peers, side by side in one run.

use std::process::Command;

use anyhow::Context as _;

use crate::command::{cargo, cargo_binary};
use crate::{command, photos, tools};

/// The harness of the edge and its peers.
const EDGE: &str = "bench/edge";
/// Keys, configuration and package of the run.
const EDGE_WORK: &str = "target/bench/edge";
/// Build folder of the program that only verifies signatures.
const EDGE_TARGET: &str = "target/bench/edge/bare";
/// The harness of thumbnails and its peer.
const IMAGES: &str = "bench/images";
const IMAGES_WORK: &str = "target/bench/images";

/// Runs all harnesses, or one with its arguments.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    match arguments {
        ["edge", rest @ ..] => edge(rest),
        ["images", rest @ ..] => images(rest),
        ["signing"] => signing(),
        all => {
            edge(all)?;
            images(&[])?;
            signing()
        }
    }
}

/// Viewer requests, beside libraries that verify JWTs.
fn edge(arguments: &[&str]) -> anyhow::Result<()> {
    tools::harness_packages(EDGE)?;
    let node = |script: &str, arguments: &[&str]| {
        command::run(
            Command::new("node")
                .arg(format!("{EDGE}/{script}"))
                .args(["--work", EDGE_WORK])
                .args(arguments),
        )
    };
    node("prepare.mjs", &[])?;
    let config = format!("{EDGE_WORK}/gatepost.toml");
    let dist = format!("{EDGE_WORK}/dist");
    cargo(&[
        "run", "--quiet", "--locked", "--", "package", "--config", &config, "--out", &dist,
    ])?;
    let ours = format!("{EDGE_WORK}/ours");
    command::run(Command::new("python3").args([
        "-m",
        "zipfile",
        "-e",
        &format!("{dist}/edge-auth.zip"),
        &ours,
    ]))
    .context("Python 3 unpacks the package")?;
    let example = ["--package", "edge-auth", "--example", "bare_verification"];
    let build = [
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--target-dir",
        EDGE_TARGET,
    ];
    cargo(&[&build[..], &example].concat())?;
    let bare = format!("{EDGE_TARGET}/release/examples/bare_verification");
    node(
        "run.mjs",
        &[&["--ours", &ours, "--bare", &bare], arguments].concat(),
    )
}

/// Thumbnails, beside sharp: time, memory, and quality at equal bytes.
fn images(arguments: &[&str]) -> anyhow::Result<()> {
    tools::harness_packages(IMAGES)?;
    photos::fetch(photos::PHONE)?;
    photos::fetch(photos::SCREEN)?;
    let build = ["build", "--release", "--locked", "--quiet"];
    // For the same processor that `gatepost package` builds for.
    let ours_target = format!("{IMAGES_WORK}/ours");
    let ours = [
        "--package",
        "thumbnailer",
        "--example",
        "thumbnails",
        "--target-dir",
        &ours_target,
    ];
    command::run(
        Command::new(cargo_binary())
            .args([&build[..], &ours].concat())
            .env("RUSTFLAGS", "-Ctarget-cpu=x86-64-v3"),
    )?;
    let manifest = format!("{IMAGES}/score/Cargo.toml");
    let target = format!("{IMAGES_WORK}/score");
    cargo(
        &[
            &build[..],
            &["--manifest-path", &manifest, "--target-dir", &target],
        ]
        .concat(),
    )?;
    command::run(
        Command::new("python3")
            .arg(format!("{IMAGES}/run.py"))
            .arg("--ours")
            .arg(format!("{ours_target}/release/examples/thumbnails"))
            .arg("--score")
            .arg(format!("{target}/release/gatepost-score"))
            .args(["--photos", photos::FOLDER, "--work", IMAGES_WORK])
            .args(arguments),
    )
    .context("Python 3 runs the harness")
}

/// Upload forms, beside AWS's SDKs for Python and JavaScript.
fn signing() -> anyhow::Result<()> {
    tools::signing_peers()?;
    tools::python_packages()?;
    let example = ["--package", "url-signing", "--example", "sign_forms"];
    cargo(&[&["build", "--release", "--locked", "--quiet"][..], &example].concat())?;
    command::run(Command::new(tools::python()).args([
        format!("{}/run.py", tools::SIGNING_PEERS),
        "--ours".to_owned(),
        "target/release/examples/sign_forms".to_owned(),
    ]))
}
