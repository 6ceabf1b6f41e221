//! `cargo xtask test`: the checks, and every test of every kind.
//!
//! A step with a missing dependency is skipped and names it; with `CI=true` it fails. Tests that need a tool are
//! `#[ignore = "needs …"]`: they run here, where the tool is installed.

use std::path::Path;
use std::process::Command;

use crate::command::{cargo, cargo_binary, npm, run};
use crate::steps::{Step, missing};
use crate::{check, libraries, rehearse, terraform, tools};

/// The test of the processor's package as one process.
const PACKAGED: &str = "lambda::";
/// The tests of `edge-auth` with files that no package registry has. They run by hand only.
const JOSE_FILES: &str = "verify::vectors::wycheproof_";
/// The test of the page in Chromium.
const BROWSER: &str = "browser::";

/// Every step, in an order that lets no build slow down a test.
pub(crate) fn steps() -> Vec<Step> {
    [check::STATIC, BUILDS, TESTS, TERRAFORM].concat()
}

const BUILDS: &[Step] = &[
    Step {
        name: "documentation",
        title: "rustdoc without warnings, private items included",
        needs: &[],
        run: build_documentation,
    },
    Step {
        name: "features",
        title: "each library alone, with each feature set",
        needs: &[],
        run: libraries::check_feature_sets,
    },
    Step {
        name: "rust-version",
        title: "each library with the oldest compiler that it promises",
        needs: &[],
        run: libraries::check_rust_versions,
    },
    Step {
        name: "fuzz-targets",
        title: "the fuzz targets compile",
        needs: &[],
        run: || {
            let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
            // Their own folder, which `cargo xtask fuzz` does not use: it builds with another compiler.
            let target = ["--target-dir", "target/fuzz-check"];
            cargo(&[&["check", "--quiet", "--locked"], &manifest[..], &target].concat())
        },
    },
    Step {
        name: "lint-page",
        title: "Biome on TypeScript, JavaScript, CSS and JSON",
        needs: &[tools::page_packages],
        run: lint_page,
    },
    Step {
        name: "lint-python",
        title: "Ruff on Python",
        needs: &[],
        run: lint_python,
    },
    Step {
        name: "build",
        title: "every test and example",
        needs: &[tools::page_packages],
        run: || cargo(&["test", "--workspace", "--locked", "--no-run"]),
    },
];

const TESTS: &[Step] = &[
    // Builds the addon, which the tests below use.
    Step {
        name: "replay-edge",
        title: "viewer requests in the package for Lambda@Edge",
        needs: &[tools::gatepost],
        run: || replay(&["--runtime", "node", "test-events/viewer-requests"]),
    },
    // A separate step, because building the processor's package takes minutes.
    Step {
        name: "photos",
        title: "a hundred photos through the processor's package",
        needs: &[],
        run: || one_test(PACKAGED),
    },
    // Before the other tests: it installs the tools.
    Step {
        name: "rust-tests-with-tools",
        title: "the tests that are ignored without Node.js 22 and 24, njs, MiniStack, AWS's SDKs",
        needs: &[
            tools::page_packages,
            tools::edge_nodes,
            tools::njs,
            tools::python_packages,
            tools::signing_peers,
            tools::phone_photos,
        ],
        // Without `--tests` it would run code blocks that documentation marks as `ignore`.
        run: || rust_tests(&["--tests"], &["--ignored", "--skip", JOSE_FILES]),
    },
    Step {
        name: "rust-tests",
        title: "unit tests, integration tests, documentation tests",
        needs: &[tools::page_packages],
        run: || rust_tests(&[], &[]),
    },
    Step {
        name: "browser",
        title: "the page in Chromium",
        needs: &[tools::page_packages, tools::chromium, tools::phone_photos],
        run: || one_test(BROWSER),
    },
    Step {
        name: "page-tests",
        title: "unit tests of the page, and of the CloudFront Functions of infra/",
        needs: &[tools::page_packages, tools::njs],
        run: || npm(&["test", "--silent"]),
    },
    Step {
        name: "replay",
        title: "test-events/ through the handlers",
        needs: &[tools::gatepost],
        run: || replay(&["test-events"]),
    },
];

const TERRAFORM: &[Step] = &[
    Step {
        name: "terraform",
        title: "format, schema, policies of infra/",
        needs: &[tools::terraform],
        run: terraform::check,
    },
    Step {
        name: "checkov",
        title: "known problems of such stacks",
        needs: &[tools::checkov],
        run: terraform::check_with_checkov,
    },
    Step {
        name: "rehearsal",
        title: "infra/ from the first apply to the last destroy",
        needs: &[
            tools::terraform,
            tools::python_packages,
            tools::phone_photos,
        ],
        run: rehearse::run,
    },
];

fn build_documentation() -> anyhow::Result<()> {
    run(Command::new(cargo_binary())
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--locked",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn lint_page() -> anyhow::Result<()> {
    let package: serde_json::Value = serde_json::from_slice(&std::fs::read("web/package.json")?)?;
    if package["scripts"]["lint"].is_null() {
        return Err(missing("web/package.json has no script named lint; add it"));
    }
    npm(&["run", "--silent", "lint"])
}

fn lint_python() -> anyhow::Result<()> {
    if !Path::new("ruff.toml").exists() {
        return Err(missing("ruff.toml was not found; add it"));
    }
    tools::ruff()?;
    run(Command::new(tools::ruff_binary()).args(["check", "."]))?;
    run(Command::new(tools::ruff_binary()).args(["format", "--check", "."]))
}

/// All Rust tests except for those that are steps of their own.
fn rust_tests(targets: &[&str], options: &[&str]) -> anyhow::Result<()> {
    let skipped = ["--", "--skip", PACKAGED, "--skip", BROWSER];
    cargo(
        &[
            &["test", "--workspace", "--locked"],
            targets,
            &skipped,
            options,
        ]
        .concat(),
    )
}

/// Runs one end-to-end test, with its whole output.
fn one_test(name: &str) -> anyhow::Result<()> {
    let tests = ["test", "--package", "gatepost", "--test", "it", "--locked"];
    cargo(
        &[
            &tests[..],
            &[name, "--", "--include-ignored", "--nocapture"],
        ]
        .concat(),
    )
}

fn replay(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new(tools::GATEPOST).arg("replay").args(arguments))
}
