//! The page in a browser: `web/e2e`, run on Chromium against this binary, with a real photo of 12 megapixels.

use std::path::{Path, PathBuf};
use std::process::Command;

use image::imageops::FilterType;
use image::{ImageEncoder, ImageReader};

use crate::harness::repository;

#[test]
fn people_sign_in_upload_and_see_only_their_own() {
    let chromium =
        std::env::var("GATEPOST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let missing = [
        (!Path::new(&chromium).exists())
            .then_some("Chromium (apt-get install chromium, or name it in GATEPOST_CHROMIUM)"),
        (!repository("web/node_modules/playwright-core").exists())
            .then_some("web/node_modules (npm ci in web/)"),
    ];
    let missing: Vec<_> = missing.into_iter().flatten().collect();
    if !missing.is_empty() {
        let message = format!("the browser test needs {}", missing.join(" and "));
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("NOT RUN: {message}");
        return;
    }
    let photo = photo_of_twelve_megapixels();
    let status = Command::new("npm")
        .args(["run", "--silent", "e2e"])
        .current_dir(repository("web"))
        .env("GATEPOST_BIN", env!("CARGO_BIN_EXE_gatepost"))
        .env("GATEPOST_CHROMIUM", chromium)
        .env("GATEPOST_PHOTO", photo)
        .status()
        .unwrap();
    assert!(status.success(), "npm run e2e: {status}");
}

/// The photo that the `webp` crate brings along, a lake in winter, cropped and enlarged to what a phone takes.
fn photo_of_twelve_megapixels() -> PathBuf {
    let photo = Path::new(env!("CARGO_TARGET_TMPDIR")).join("photo-12mp.jpg");
    if !photo.exists() {
        let source = ImageReader::open(crate_folder("webp").join("assets/lake.jpg"))
            .unwrap()
            .decode()
            .unwrap();
        let enlarged = source
            .resize_to_fill(4032, 3024, FilterType::Triangle)
            .to_rgb8();
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90)
            .write_image(
                enlarged.as_raw(),
                4032,
                3024,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
        std::fs::write(&photo, jpeg).unwrap();
    }
    photo
}

/// Where Cargo keeps the source of a dependency.
fn crate_folder(name: &str) -> PathBuf {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    // Only what this machine builds with has been downloaded.
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ])
        .current_dir(repository(""))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages
        .iter()
        .find(|package| package["name"] == name)
        .unwrap();
    Path::new(package["manifest_path"].as_str().unwrap())
        .parent()
        .unwrap()
        .to_owned()
}
