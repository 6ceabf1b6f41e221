//! The results: sizes, names, formats, the placeholder, and the deadline.

use std::time::Duration;

use thumbnailer::inspect::Declared;
use thumbnailer::rejection::Rejection;
use thumbnailer::settings::{Effort, ImageType, OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::samples::*;

/// Names and sizes of the renditions, with default settings.
fn made(bytes: &[u8]) -> Vec<String> {
    let renditions = run(bytes).unwrap().renditions;
    renditions
        .iter()
        .map(|rendition| {
            assert_eq!(rendition.content_type, "image/webp");
            let seen = image::load_from_memory(&rendition.data).unwrap();
            assert_eq!(
                (seen.width(), seen.height()),
                (rendition.width, rendition.height)
            );
            format!(
                "{} {}x{}",
                rendition.file_name, rendition.width, rendition.height
            )
        })
        .collect()
}

#[test]
fn renditions_have_every_width_up_to_the_source() {
    for ((width, height), expected) in [
        (
            (1300, 650),
            &["1280.webp 1280x640", "640.webp 640x320", "320.webp 320x160"][..],
        ),
        ((640, 480), &["640.webp 640x480", "320.webp 320x240"]),
        ((639, 480), &["320.webp 320x240"]),
        ((200, 100), &["200.webp 200x100"]),
        ((1, 1), &["1.webp 1x1"]),
        ((2, 3000), &["2.webp 2x3000"]),
        (
            (3000, 2),
            &[
                "1920.webp 1920x1",
                "1280.webp 1280x1",
                "640.webp 640x1",
                "320.webp 320x1",
            ],
        ),
    ] {
        for file in [png(photo(width, height)), jpeg(&photo(width, height))] {
            assert_eq!(made(&file), expected, "{width}x{height}");
        }
    }
}

#[test]
fn the_source_is_described() {
    let file = fixture("baseline-420.jpg");
    let made = run(&file).unwrap();
    assert_eq!(made.source.image_type, ImageType::Jpeg);
    assert_eq!(
        (made.source.width, made.source.height, made.source.bytes),
        (61, 45, 1812)
    );
    assert_eq!(
        data_encoding::HEXLOWER.encode(&made.source.sha256),
        "bc3e2426c1375f6632dc3a6747a894ea88b6411f89db80cebcc36498194b53c8"
    );
}

#[test]
fn the_placeholder_is_a_small_picture_of_it() {
    let made = run(&jpeg(&photo(400, 300))).unwrap();
    assert!(
        (15..=30).contains(&made.placeholder.len()),
        "{}",
        made.placeholder.len()
    );
    let (width, height, rgba) = thumbhash::thumb_hash_to_rgba(&made.placeholder).unwrap();
    assert!(width > height);
    // Blue increases towards the bottom.
    let blue = |row: usize| u32::from(rgba[4 * (row * width + width / 2) + 2]);
    assert!(blue(height - 1) > blue(0) + 40);
}

#[test]
fn the_same_bytes_give_the_same_files() {
    let file = fixture("progressive-420.jpg");
    assert_eq!(run(&file).unwrap(), run(&file).unwrap());
}

#[test]
fn progressive_files_come_out_like_baseline_ones_at_every_size() {
    // Blocks are decoded with eight samples per side down to one.
    for (baseline, progressive) in [
        ("baseline-420.jpg", "progressive-420.jpg"),
        ("baseline-444.jpg", "progressive-444-restart.jpg"),
        ("baseline-grey.jpg", "progressive-grey.jpg"),
    ] {
        for width in [61, 40, 33, 30, 25, 20, 15, 10, 6, 1] {
            let made = [baseline, progressive].map(|name| {
                let settings = Settings {
                    widths: vec![width],
                    ..Settings::default()
                };
                thumbnail(&fixture(name), &Declared::default(), &settings, None).unwrap()
            });
            assert_eq!(
                made[0].renditions, made[1].renditions,
                "{progressive}, {width}"
            );
        }
    }
}

#[test]
fn quality_changes_the_size() {
    let file = jpeg(&photo(640, 480));
    let bytes = |quality| {
        let settings = Settings {
            quality,
            ..Settings::default()
        };
        thumbnail(&file, &Declared::default(), &settings, None)
            .unwrap()
            .renditions[0]
            .data
            .len()
    };
    assert!(bytes(30) < bytes(80) && bytes(80) < bytes(100));
}

fn within(file: &[u8], time: Duration) -> Result<(), Rejection> {
    thumbnail(file, &Declared::default(), &Settings::default(), Some(time)).map(drop)
}

#[test]
fn effort_applies_only_to_webp_of_coloured_planes() {
    let made = |file: &[u8], effort, formats: &[OutputFormat]| {
        let settings = Settings {
            widths: vec![640],
            effort,
            formats: formats.to_vec(),
            ..Settings::default()
        };
        let made = thumbnail(file, &Declared::default(), &settings, None).unwrap();
        for rendition in &made.renditions {
            let seen = image::load_from_memory(&rendition.data).unwrap();
            assert_eq!((seen.width(), seen.height()), (640, 480));
        }
        made.renditions
    };
    let (colours, grey) = (jpeg(&photo(640, 480)), {
        let grey = image::DynamicImage::ImageRgb8(photo(640, 480)).to_luma8();
        let mut file = std::io::Cursor::new(Vec::new());
        grey.write_to(&mut file, image::ImageFormat::Jpeg).unwrap();
        file.into_inner()
    });
    let (webp, jpeg) = (OutputFormat::WebP, OutputFormat::Jpeg);
    for (what, file, formats, differ) in [
        ("WebP of colours", &colours, &[webp][..], true),
        ("WebP and JPEG of colours", &colours, &[webp, jpeg], true),
        ("JPEG of colours", &colours, &[jpeg], false),
        ("WebP of grey", &grey, &[webp], false),
        ("WebP of pixels", &png(photo(640, 480)), &[webp], false),
    ] {
        let fast = made(file, Effort::Fast, formats);
        let balanced = made(file, Effort::Balanced, formats);
        assert_eq!(fast != balanced, differ, "{what}");
    }
}

#[test]
fn no_step_starts_after_the_deadline() {
    let file = fixture("baseline-420.jpg");
    assert_eq!(
        within(&file, Duration::ZERO),
        Err(Rejection::Timeout("inspect"))
    );
    assert!(within(&file, Duration::from_hours(1)).is_ok());
}

#[test]
fn work_is_stopped_at_the_deadline() {
    // About 50 ms of work, with a hundredth of that as the limit.
    let file = png(photo(3000, 2000));
    let stopped = within(&file, Duration::from_micros(500));
    assert!(matches!(stopped, Err(Rejection::Timeout(_))), "{stopped:?}");
}
