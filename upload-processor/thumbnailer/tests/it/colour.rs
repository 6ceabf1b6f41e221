//! Colours come out as they were meant, whatever profile they were written with.

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use moxcms::ColorProfile;
use thumbnailer::inspect::Declared;
use thumbnailer::settings::{OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::samples::*;

const SIZE: u32 = 64;

/// A file of one colour.
fn flat(kind: &str, colour: [u8; 3], profile: Option<Vec<u8>>) -> Vec<u8> {
    let picture = RgbImage::from_pixel(SIZE, SIZE, Rgb(colour));
    let mut file = Vec::new();
    let pixels = picture.as_raw();
    match kind {
        "jpeg" => write(
            JpegEncoder::new_with_quality(&mut file, 100),
            pixels,
            profile,
        ),
        "png" => write(PngEncoder::new(&mut file), pixels, profile),
        _ => write(WebPEncoder::new_lossless(&mut file), pixels, profile),
    }
    file
}

fn write(mut encoder: impl ImageEncoder, pixels: &[u8], profile: Option<Vec<u8>>) {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    encoder
        .write_image(pixels, SIZE, SIZE, ExtendedColorType::Rgb8)
        .unwrap();
}

/// The colour in the middle of what is made of a file.
fn seen(file: &[u8], format: OutputFormat) -> [u8; 3] {
    let settings = Settings {
        quality: 100,
        formats: vec![format],
        ..Settings::default()
    };
    let made = thumbnail(file, &Declared::default(), &settings, None).unwrap();
    let picture = image::load_from_memory(&made.renditions[0].data).unwrap();
    picture.to_rgb8().get_pixel(SIZE / 2, SIZE / 2).0
}

fn assert_near(found: [u8; 3], expected: [u8; 3], what: &str) {
    let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 4);
    assert!(is_near, "{what}: {found:?}, expected {expected:?}");
}

/// sRGB of a colour of another space, by the textbook: its curve, the two spaces' matrix, sRGB's curve.
fn by_the_textbook(colour: [u8; 3], to_light: fn(f64) -> f64, matrix: [[f64; 3]; 3]) -> [u8; 3] {
    let light = colour.map(|value| to_light(f64::from(value) / 255.0));
    matrix.map(|row| {
        let light: f64 = row
            .iter()
            .zip(light)
            .map(|(factor, light)| factor * light)
            .sum();
        let value = if light <= 0.003_130_8 {
            12.92 * light
        } else {
            1.055 * light.powf(1.0 / 2.4) - 0.055
        };
        (value.clamp(0.0, 1.0) * 255.0).round() as u8
    })
}

fn srgb_curve(value: f64) -> f64 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// Linear Display P3 to linear sRGB; both have the white of D65.
const P3: [[f64; 3]; 3] = [
    [1.224_94, -0.224_94, 0.0],
    [-0.042_06, 1.042_06, 0.0],
    [-0.019_64, -0.078_64, 1.098_28],
];

/// Linear Adobe RGB (1998) to linear sRGB.
const ADOBE: [[f64; 3]; 3] = [
    [1.398_36, -0.398_36, 0.0],
    [0.0, 1.0, 0.0],
    [0.0, -0.042_93, 1.042_93],
];

#[test]
fn wide_gamuts_become_srgb() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    for colour in [
        [200, 100, 60],
        [60, 160, 90],
        [90, 90, 90],
        [255, 255, 255],
        [20, 40, 120],
    ] {
        for kind in ["jpeg", "png", "webp"] {
            for format in [OutputFormat::WebP, OutputFormat::Jpeg] {
                let what = format!("{kind} {colour:?} as {format}");
                let file = flat(kind, colour, Some(p3.clone()));
                let expected = by_the_textbook(colour, srgb_curve, P3);
                assert_near(seen(&file, format), expected, &format!("Display P3 {what}"));
                let file = flat(kind, colour, Some(adobe.clone()));
                let expected = by_the_textbook(colour, |value| value.powf(563.0 / 256.0), ADOBE);
                assert_near(seen(&file, format), expected, &format!("Adobe RGB {what}"));
            }
        }
    }
}

#[test]
fn what_is_srgb_or_makes_no_sense_stays() {
    let colour = [200, 100, 60];
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    for kind in ["jpeg", "png", "webp"] {
        for profile in [
            None,
            Some(srgb.clone()),
            Some(grey.clone()),
            Some(b"no profile".to_vec()),
        ] {
            let file = flat(kind, colour, profile);
            assert_near(seen(&file, OutputFormat::WebP), colour, kind);
        }
    }
    // The same bytes, to the last: nothing went through RGB.
    let alone = run(&flat("jpeg", colour, None)).unwrap();
    let with_profile = run(&flat("jpeg", colour, Some(srgb))).unwrap();
    assert_eq!(alone.renditions, with_profile.renditions);
}

#[test]
fn grey_has_profiles_of_its_own() {
    let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let grey = image::GrayImage::from_pixel(SIZE, SIZE, image::Luma([55]));
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 100);
    encoder.set_icc_profile(profile).unwrap();
    encoder
        .write_image(grey.as_raw(), SIZE, SIZE, ExtendedColorType::L8)
        .unwrap();
    // Light of 55/255 is 128 in sRGB.
    assert_near(seen(&file, OutputFormat::WebP), [128; 3], "linear grey");
}

/// A JPEG of one colour in ink, 255 is all of it; with Adobe's segment, where it is stored the other way round, or
/// without. Each block is its DC coefficient and nothing else.
fn flat_cmyk(ink: [u8; 4], adobe: bool, profile: &[u8]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, data: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(data);
    };
    if adobe {
        segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    }
    if !profile.is_empty() {
        segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat());
    }
    // A step of 8 makes a DC coefficient of one the difference of one in a sample.
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    let frame = [
        8, 0, SIZE as u8, 0, SIZE as u8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0,
    ];
    segment(0xc0, &frame);
    // DC: nine codes of four bits, for as many sizes. AC: "0", the end of the block.
    let counts = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(
        0xc4,
        &[&[0][..], &counts, &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat(),
    );
    let counts = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(0xc4, &[&[0x10][..], &counts, &[0]].concat());
    segment(0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);

    let mut bits = Vec::new();
    for block in 0..SIZE / 8 * (SIZE / 8) {
        for ink in ink {
            let sample = i32::from(if adobe { 255 - ink } else { ink });
            // After the first block nothing changes.
            let difference = if block == 0 { sample - 128 } else { 0 };
            let size = 32 - difference.unsigned_abs().leading_zeros();
            let value = if difference < 0 {
                difference - 1
            } else {
                difference
            };
            bits.extend((0..4).rev().map(|bit| size >> bit & 1 == 1));
            bits.extend((0..size).rev().map(|bit| value >> bit & 1 == 1));
            bits.push(false);
        }
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    for byte in bits.chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    file.extend([0xff, 0xd9]);
    file
}

/// A printer's profile (ICC.1 10.10, lut8Type) that knows paper, four inks, and that any two make black. Colours are
/// Lab, in bytes as ICC.1 has them.
fn printer(inks: [[u8; 3]; 4]) -> Vec<u8> {
    const PAPER: [u8; 3] = [255, 128, 128];
    const BLACK: [u8; 3] = [0, 128, 128];
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for at in 0..9 {
        let one = i32::from(at % 4 == 0) << 16;
        table.extend(one.to_be_bytes());
    }
    (0..4).for_each(|_| table.extend(0..=255));
    // The first ink changes slowest.
    for corner in 0..16_u32 {
        table.extend(match corner.count_ones() {
            0 => PAPER,
            1 => inks[3 - corner.trailing_zeros() as usize],
            _ => BLACK,
        });
    }
    (0..3).for_each(|_| table.extend(0..=255));

    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    // The white of D50, in sixteenths of sixteen bits.
    for (at, value) in (68..).step_by(4).zip([0xf6d6_u32, 0x1_0000, 0xd32d]) {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144_u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}

#[test]
fn ink_is_what_its_profile_says() {
    // L*a*b* of 60, -20, -20; 50, 40, 0; 80, 0, 50; 10, 0, 0; and what these are in sRGB, from D50 by Bradford's matrix.
    let profile = printer([
        [153, 108, 108],
        [128, 168, 128],
        [204, 128, 178],
        [26, 128, 128],
    ]);
    for (ink, expected) in [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([255, 0, 0, 0], [77, 156, 179]),
        ([0, 255, 0, 0], [180, 90, 121]),
        ([0, 0, 255, 0], [220, 197, 102]),
        ([0, 0, 0, 255], [28, 28, 28]),
        ([255, 255, 0, 0], [0, 0, 0]),
    ] {
        for adobe in [true, false] {
            let what = format!("{ink:?}, Adobe's segment: {adobe}");
            let file = flat_cmyk(ink, adobe, &profile);
            assert_near(seen(&file, OutputFormat::WebP), expected, &what);
        }
    }
}

#[test]
fn ink_without_a_profile_is_multiplied_out() {
    for (ink, expected) in [
        ([0, 0, 0, 0], [255, 255, 255]),
        ([255, 0, 0, 0], [0, 255, 255]),
        ([0, 102, 204, 51], [204, 122, 41]),
        ([0, 0, 0, 255], [0, 0, 0]),
    ] {
        for adobe in [true, false] {
            let what = format!("{ink:?}, Adobe's segment: {adobe}");
            let file = flat_cmyk(ink, adobe, &[]);
            assert_near(seen(&file, OutputFormat::WebP), expected, &what);
        }
    }
}

#[test]
fn no_rendition_carries_metadata() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    let mut file = flat("jpeg", [200, 100, 60], Some(p3));
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0GPS 52.5 N 13.4 E";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    file.splice(2..2, [&[0xff, 0xe1], &length[..], exif].concat());
    let settings = Settings {
        formats: vec![OutputFormat::WebP, OutputFormat::Jpeg],
        ..Settings::default()
    };
    let made = thumbnail(&file, &Declared::default(), &settings, None).unwrap();
    assert_eq!(made.renditions.len(), 2);
    for rendition in made.renditions {
        for name in [
            &b"GPS"[..],
            b"Exif",
            b"ICC_PROFILE",
            b"ICCP",
            b"EXIF",
            b"XMP ",
        ] {
            let found = rendition
                .data
                .windows(name.len())
                .any(|bytes| bytes == name);
            assert!(!found, "{}: {}", rendition.file_name, name.escape_ascii());
        }
    }
}

#[test]
fn what_is_transparent_is_white_in_jpeg() {
    let picture = image::RgbaImage::from_pixel(SIZE, SIZE, image::Rgba([0, 0, 0, 0]));
    assert_near(seen(&png(picture), OutputFormat::Jpeg), [255; 3], "nothing");
    let picture = image::RgbaImage::from_pixel(SIZE, SIZE, image::Rgba([255, 0, 0, 128]));
    assert_near(
        seen(&png(picture), OutputFormat::Jpeg),
        [255, 127, 127],
        "half red",
    );
}
