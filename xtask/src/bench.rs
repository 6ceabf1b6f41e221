//! `cargo xtask bench`: compares Gatepost with its peers, side by side in one run.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::command::{cargo, cargo_binary};
use crate::{command, photos, tools, workspace};

/// The harness of the edge and its peers.
const EDGE: &str = "bench/edge";
/// Keys and handler of the run.
const EDGE_WORK: &str = "target/bench/edge";
/// Build folder of the run.
const EDGE_TARGET: &str = "target/bench/edge/build";
/// The harness of thumbnails and its peer.
const IMAGES: &str = "bench/images";
const IMAGES_WORK: &str = "target/bench/images";

/// Runs all harnesses, or one with its arguments.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    match arguments {
        ["edge", rest @ ..] => edge(rest),
        ["images", rest @ ..] => images(rest),
        ["signing"] => signing(),
        ["transfer", rest @ ..] => transfer(rest),
        all => {
            edge(all)?;
            images(&[])?;
            signing()?;
            transfer(&[])
        }
    }
}

/// Viewer requests, beside libraries that verify JWTs. Only the addon and a program that verifies signatures are built,
/// in a folder of their own.
fn edge(arguments: &[&str]) -> anyhow::Result<()> {
    tools::harness_packages(EDGE)?;
    let addon = Addon::find()?;
    release(&["--package", &addon.package])?;
    release(&["--package", "edge-auth", "--example", "bare_verification"])?;
    let node = |script: &str, arguments: &[&str]| {
        command::run(
            Command::new("node")
                .arg(format!("{EDGE}/{script}"))
                .args(["--work", EDGE_WORK])
                .args(arguments),
        )
    };
    let library = format!("{EDGE_TARGET}/release/{}", addon.library);
    node(
        "prepare.mjs",
        &["--addon", &library, "--handler", &addon.handler],
    )?;
    let ours = format!("{EDGE_WORK}/ours");
    let bare = format!("{EDGE_TARGET}/release/examples/bare_verification");
    node(
        "run.mjs",
        &[&["--ours", &ours, "--bare", &bare], arguments].concat(),
    )
}

/// The crate that Node.js loads.
struct Addon {
    package: String,
    /// Its file in Cargo's folder.
    library: String,
    /// The handler beside it.
    handler: String,
}

impl Addon {
    /// Finds the only member of the workspace that is a C library.
    fn find() -> anyhow::Result<Self> {
        let packages = workspace::members_of("Cargo.toml")?.packages;
        let addons = packages.into_iter().filter_map(|package| {
            let target = package.targets.iter().find(|target| target.is_cdylib())?;
            Some(Self {
                library: format!("lib{}.so", target.name),
                handler: package
                    .manifest_path
                    .with_file_name("index.mjs")
                    .into_string(),
                package: package.name.to_string(),
            })
        });
        let mut addons: Vec<_> = addons.collect();
        match addons.pop() {
            Some(addon) if addons.is_empty() => Ok(addon),
            _ => bail!("the workspace must have exactly one C library, the addon"),
        }
    }
}

/// Builds for release, without symbols, as `gatepost package` does.
fn release(arguments: &[&str]) -> anyhow::Result<()> {
    command::run(
        Command::new(cargo_binary())
            .args(["build", "--release", "--locked", "--quiet"])
            .args(["--target-dir", EDGE_TARGET])
            .args(arguments)
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
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

/// The bytes that page views of a gallery transfer, for each way to authorize them.
fn transfer(arguments: &[&str]) -> anyhow::Result<()> {
    tools::page_packages()?;
    tools::chromium()?;
    tools::gatepost()?;
    command::run(
        Command::new("npm")
            .args(["run", "--silent", "bench:transfer", "--"])
            .args(arguments)
            .env("GATEPOST_BIN", std::path::absolute(tools::GATEPOST)?)
            .current_dir("web"),
    )
}
