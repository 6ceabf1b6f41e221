//! Colours come out as intended, with profiles for RGB and grey; no rendition carries a profile. The helpers serve the
//! other tests of colours, too.

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use moxcms::ColorProfile;
use thumbnailer::inspect::Declared;
use thumbnailer::settings::{OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::samples::*;

pub(crate) const SIZE: u32 = 64;

/// A file of one colour.
pub(crate) fn flat(kind: &str, colour: [u8; 3], profile: Option<Vec<u8>>) -> Vec<u8> {
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

/// The colour in the middle of a file's rendition.
pub(crate) fn seen(file: &[u8], format: OutputFormat) -> [u8; 3] {
    let settings = Settings {
        quality: 100,
        formats: vec![format],
        ..Settings::default()
    };
    let made = thumbnail(file, &Declared::default(), &settings, None).unwrap();
    let picture = image::load_from_memory(&made.renditions[0].data).unwrap();
    picture.to_rgb8().get_pixel(SIZE / 2, SIZE / 2).0
}

pub(crate) fn assert_near(found: [u8; 3], expected: [u8; 3], what: &str) {
    let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 4);
    assert!(is_near, "{what}: {found:?}, expected {expected:?}");
}

/// Converts a colour of another space to sRGB by the textbook: its curve, the matrix between the spaces, sRGB's curve.
pub(crate) fn by_the_textbook(
    colour: [u8; 3],
    to_light: fn(f64) -> f64,
    matrix: [[f64; 3]; 3],
) -> [u8; 3] {
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

pub(crate) fn srgb_curve(value: f64) -> f64 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// Linear Display P3 to linear sRGB; both have the white point D65.
pub(crate) const P3: [[f64; 3]; 3] = [
    [1.224_94, -0.224_94, 0.0],
    [-0.042_06, 1.042_06, 0.0],
    [-0.019_64, -0.078_64, 1.098_28],
];

/// Linear Adobe RGB (1998) to linear sRGB.
pub(crate) const ADOBE: [[f64; 3]; 3] = [
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

/// A lossy WebP with a profile, whose planes stay planes.
#[test]
fn planes_of_a_webp_have_profiles_too() {
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    for colour in [
        [200, 100, 60],
        [60, 160, 90],
        [20, 40, 120],
        [255, 255, 255],
    ] {
        let lossy = webp_lossy(&RgbImage::from_pixel(SIZE, SIZE, Rgb(colour)));
        assert_near(
            seen(&lossy, OutputFormat::WebP),
            colour,
            "without a profile",
        );
        let canvas = [0x20, 0, 0, 0, 63, 0, 0, 63, 0, 0];
        let file = riff(&[(b"VP8X", &canvas), (b"ICCP", &p3), (b"VP8 ", &lossy[20..])]);
        let expected = by_the_textbook(colour, srgb_curve, P3);
        assert_near(seen(&file, OutputFormat::WebP), expected, "Display P3");
    }
}

#[test]
fn srgb_and_invalid_profiles_change_nothing() {
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
    // Byte for byte the same: nothing was converted to RGB.
    let alone = run(&flat("jpeg", colour, None)).unwrap();
    let with_profile = run(&flat("jpeg", colour, Some(srgb))).unwrap();
    assert_eq!(alone.renditions, with_profile.renditions);
}

#[test]
fn grey_profiles_are_applied() {
    let profile = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let grey = image::GrayImage::from_pixel(SIZE, SIZE, image::Luma([55]));
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 100);
    encoder.set_icc_profile(profile).unwrap();
    encoder
        .write_image(grey.as_raw(), SIZE, SIZE, ExtendedColorType::L8)
        .unwrap();
    // Linear light of 55/255 is 128 in sRGB.
    assert_near(seen(&file, OutputFormat::WebP), [128; 3], "linear grey");
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
fn transparent_pixels_are_white_in_jpeg() {
    let picture = image::RgbaImage::from_pixel(SIZE, SIZE, image::Rgba([0, 0, 0, 0]));
    assert_near(seen(&png(picture), OutputFormat::Jpeg), [255; 3], "nothing");
    let picture = image::RgbaImage::from_pixel(SIZE, SIZE, image::Rgba([255, 0, 0, 128]));
    assert_near(
        seen(&png(picture), OutputFormat::Jpeg),
        [255, 127, 127],
        "half red",
    );
}
