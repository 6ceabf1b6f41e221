//! The page in a browser: runs `web/e2e` in Chromium against this binary, with a phone's photo of 16 megapixels.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::repository;

#[test]
#[ignore = "needs Chromium and a photo (cargo xtask test installs them)"]
fn people_sign_in_upload_and_see_only_their_own() {
    let chromium =
        std::env::var("GATEPOST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let photo = repository("target/photos/jscanify/package/docs/images/test/test3.jpg");
    let missing = [
        (!Path::new(&chromium).exists())
            .then_some("Chromium (apt-get install chromium, or name it in GATEPOST_CHROMIUM)"),
        (!repository("web/node_modules/playwright-core").exists())
            .then_some("web/node_modules (npm ci in web/)"),
        (!photo.exists()).then_some("a photo (cargo xtask test downloads it)"),
    ];
    let missing: Vec<_> = missing.into_iter().flatten().collect();
    assert!(
        missing.is_empty(),
        "the test needs {}",
        missing.join(" and ")
    );
    let output = Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(repository("web"))
        .env("GATEPOST_BIN", env!("CARGO_BIN_EXE_gatepost"))
        .env("GATEPOST_CHROMIUM", chromium)
        .env("GATEPOST_PHOTO", photo)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    // Directly to stdout, because the test harness shows only the output of failing tests.
    std::io::stdout().write_all(&output.stdout).unwrap();
    let failures = failures(&report).join("\n");
    assert!(
        output.status.success(),
        "npm run e2e: {}\n{failures}",
        output.status
    );
}

/// The lines about failed tests in a Test Anything Protocol report.
fn failures(report: &str) -> Vec<&str> {
    let mut is_failure = false;
    let lines = report.lines().filter(|line| {
        let text = line.trim_start();
        is_failure |= text.starts_with("not ok ");
        let shown = is_failure;
        is_failure &= text != "...";
        shown
    });
    lines.collect()
}
