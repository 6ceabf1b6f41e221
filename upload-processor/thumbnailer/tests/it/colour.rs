//! Colours come out as intended, with every kind of profile.

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

/// The colour in the middle of a file's rendition.
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

/// Converts a colour of another space to sRGB by the textbook: its curve, the matrix between the spaces, sRGB's curve.
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

/// Linear Display P3 to linear sRGB; both have the white point D65.
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

/// A JPEG of one CMYK colour, with 255 as the maximum of an ink, stored inverted; with or without Adobe's segment.
fn flat_cmyk(ink: [u8; 4], adobe: bool, profile: &[u8]) -> Vec<u8> {
    flat_four(ink.map(|ink| 255 - ink), adobe.then_some(0), profile)
}

/// A JPEG of four constant components, with Adobe's segment for a transform or without. Each block has only its DC
/// coefficient.
fn flat_four(samples: [u8; 4], adobe: Option<u8>, profile: &[u8]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut segment = |marker: u8, data: &[u8]| {
        file.extend([0xff, marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(data);
    };
    if let Some(transform) = adobe {
        segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat());
    }
    if !profile.is_empty() {
        segment(0xe2, &[b"ICC_PROFILE\0\x01\x01", profile].concat());
    }
    // With a quantisation step of 8, one unit of DC changes a sample by one.
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    let frame = [
        8, 0, SIZE as u8, 0, SIZE as u8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0,
    ];
    segment(0xc0, &frame);
    // DC: nine codes of four bits, one for each size. AC: "0", the end of the block.
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
        for sample in samples {
            let sample = i32::from(sample);
            // After the first block the difference is zero.
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

/// A printer's profile (ICC.1 10.10, lut8Type) that defines paper and four inks, any two of which make black. Colours
/// are Lab, in ICC.1's byte encoding.
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
    // The white point D50, in 16.16 fixed point.
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
fn cmyk_follows_its_profile() {
    // L*a*b* of 60, -20, -20; 50, 40, 0; 80, 0, 50; 10, 0, 0; and their sRGB values, from D50 by Bradford's matrix.
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
fn cmyk_without_a_profile_is_multiplied_out() {
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
fn an_unknown_transform_of_four_components_is_ycck() {
    // Two values of grey as two values of all three inks; black is stored inverted, too.
    for (transform, expected) in [
        (None, [200, 128, 128]),
        (Some(0), [200, 128, 128]),
        (Some(1), [55; 3]),
        (Some(2), [55; 3]),
        (Some(255), [55; 3]),
    ] {
        let file = flat_four([200, 128, 128, 255], transform, &[]);
        let what = format!("transform {transform:?}");
        assert_near(seen(&file, OutputFormat::WebP), expected, &what);
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

/// A PNG of 64 by 64 pixels of one colour, in 8 or 16 bits, with chunks before its data.
fn flat_png(colour: [f64; 3], depth: u8, chunks: &[PngChunk]) -> Vec<u8> {
    let pixel: Vec<u8> = colour
        .iter()
        .flat_map(|value| match depth {
            8 => vec![(value * 255.0).round() as u8],
            _ => ((value * 65_535.0).round() as u16).to_be_bytes().to_vec(),
        })
        .collect();
    let row = [&[0][..], &pixel.repeat(SIZE as usize)].concat();
    let mut all = vec![header(SIZE, SIZE, depth, 2, 0)];
    all.extend_from_slice(chunks);
    all.extend([(*b"IDAT", zlib(&row.repeat(SIZE as usize))), END]);
    png_of(&all)
}

fn cicp(primaries: u8, curve: u8, range: u8) -> PngChunk {
    (*b"cICP", vec![primaries, curve, 0, range])
}

fn gama(value: u32) -> PngChunk {
    (*b"gAMA", value.to_be_bytes().to_vec())
}

/// White, red, green, blue.
fn chrm(values: [f64; 8]) -> PngChunk {
    let values = values.map(|value| ((value * 100_000.0).round() as u32).to_be_bytes());
    (*b"cHRM", values.concat())
}

fn iccp(profile: &[u8]) -> PngChunk {
    (*b"iCCP", [b"profile\0\0", &zlib(profile)[..]].concat())
}

const CHRM_OF_P3: [f64; 8] = [0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
const CHRM_OF_SRGB: [f64; 8] = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];
const NO_MATRIX: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

#[test]
fn colour_numbers_in_a_png_are_applied() {
    type Curve = fn(f64) -> f64;
    type Case<'a> = (&'a str, &'a [PngChunk], Curve, [[f64; 3]; 3]);
    let cases: [Case<'_>; 11] = [
        ("cICP: Display P3", &[cicp(12, 13, 1)], srgb_curve, P3),
        ("cICP: sRGB", &[cicp(1, 13, 1)], srgb_curve, NO_MATRIX),
        ("cICP: linear", &[cicp(1, 8, 1)], |value| value, NO_MATRIX),
        (
            "cICP: BT.709 on a display of BT.1886",
            &[cicp(1, 1, 1)],
            |value| value.powf(2.4),
            NO_MATRIX,
        ),
        (
            "cICP: 2.2",
            &[cicp(1, 4, 1)],
            |value| value.powf(2.2),
            NO_MATRIX,
        ),
        (
            "cICP: a part of the range",
            &[cicp(12, 13, 0)],
            |value| srgb_curve(((value * 255.0 - 16.0) / 219.0).clamp(0.0, 1.0)),
            P3,
        ),
        ("gAMA: linear", &[gama(100_000)], |value| value, NO_MATRIX),
        (
            "gAMA: 1.8",
            &[gama(55_556)],
            |value| value.powf(1.8),
            NO_MATRIX,
        ),
        (
            "gAMA: sRGB, more or less",
            &[gama(45_455)],
            srgb_curve,
            NO_MATRIX,
        ),
        (
            "cHRM alone, which browsers ignore",
            &[chrm(CHRM_OF_P3)],
            srgb_curve,
            NO_MATRIX,
        ),
        (
            "gAMA and cHRM",
            &[gama(45_455), chrm(CHRM_OF_P3)],
            |value| value.powf(2.2),
            P3,
        ),
    ];
    for (what, chunks, curve, matrix) in cases {
        for depth in [8, 16] {
            for colour in [
                [200, 100, 60],
                [60, 160, 90],
                [90, 90, 90],
                [20, 40, 120],
                [255; 3],
            ] {
                let file = flat_png(colour.map(|value| f64::from(value) / 255.0), depth, chunks);
                let expected = by_the_textbook(colour, curve, matrix);
                let what = format!("{what}, {depth} bits, {colour:?}");
                assert_near(seen(&file, OutputFormat::WebP), expected, &what);
            }
        }
    }
}

#[test]
fn the_colour_description_of_highest_precedence_applies() {
    let adobe = ColorProfile::new_adobe_rgb().encode().unwrap();
    let p3 = |colour| by_the_textbook(colour, srgb_curve, P3);
    let colour = [200, 100, 60];
    let of_adobe = by_the_textbook(colour, |value| value.powf(563.0 / 256.0), ADOBE);
    let of_gamma = by_the_textbook(colour, |value| value, NO_MATRIX);
    let srgb = || (*b"sRGB", vec![0]);
    for (what, chunks, expected) in [
        (
            "cICP before all",
            vec![gama(100_000), srgb(), iccp(&adobe), cicp(12, 13, 1)],
            p3(colour),
        ),
        (
            "iCCP before sRGB",
            vec![gama(100_000), srgb(), iccp(&adobe)],
            of_adobe,
        ),
        (
            "sRGB before gAMA",
            vec![gama(100_000), chrm(CHRM_OF_P3), srgb()],
            colour,
        ),
        (
            "gAMA alone",
            vec![gama(100_000), chrm(CHRM_OF_SRGB)],
            of_gamma,
        ),
        // A malformed description is skipped.
        (
            "reserved primaries",
            vec![iccp(&adobe), cicp(3, 13, 1)],
            of_adobe,
        ),
        (
            "a reserved curve",
            vec![iccp(&adobe), cicp(12, 2, 1)],
            of_adobe,
        ),
        (
            "a matrix",
            vec![iccp(&adobe), (*b"cICP", vec![12, 13, 1, 1])],
            of_adobe,
        ),
        (
            "a cICP that is too long",
            vec![iccp(&adobe), (*b"cICP", vec![12, 13, 0, 1, 0])],
            of_adobe,
        ),
        (
            "a profile that does not inflate",
            vec![gama(100_000), (*b"iCCP", b"a\0\0bad".to_vec())],
            of_gamma,
        ),
        ("no gamma", vec![gama(0)], colour),
        ("no chromaticities", vec![chrm([0.0; 8])], colour),
        (
            "chromaticities on a line",
            vec![chrm([0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3])],
            colour,
        ),
    ] {
        let file = flat_png(colour.map(|value| f64::from(value) / 255.0), 8, &chunks);
        assert_near(seen(&file, OutputFormat::WebP), expected, what);
    }
    // A chunk with a wrong checksum is ignored.
    let mut file = flat_png([0.5; 3], 8, &[gama(100_000)]);
    let at = file.windows(4).position(|kind| kind == b"gAMA").unwrap() + 8;
    file[at] ^= 1;
    assert_near(
        seen(&file, OutputFormat::WebP),
        [128; 3],
        "a wrong checksum",
    );
}

/// The 256 steps of sRGB, one per column, in 16-bit linear light. Truncated to 8 bits first, the darkest twelve would
/// be one.
#[test]
fn sixteen_bits_preserve_dark_colours() {
    let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
    let ramp = |samples: usize| {
        let row: Vec<u8> = (0..=255_u8)
            .flat_map(|step| {
                let light = srgb_curve(f64::from(step) / 255.0);
                ((light * 65_535.0).round() as u16)
                    .to_be_bytes()
                    .repeat(samples)
            })
            .collect();
        [&[0][..], &row].concat().repeat(16)
    };
    let mut rgb_profile = ColorProfile::new_srgb();
    rgb_profile.cicp = None;
    let straight = Some(moxcms::ToneReprCurve::Lut(vec![]));
    rgb_profile.red_trc.clone_from(&straight);
    rgb_profile.green_trc.clone_from(&straight);
    rgb_profile.blue_trc = straight;
    let rgb_profile = rgb_profile.encode().unwrap();
    for (what, colour, samples, chunk) in [
        ("gAMA", 2, 3, gama(100_000)),
        ("gAMA of grey", 0, 1, gama(100_000)),
        ("cICP", 2, 3, cicp(1, 8, 1)),
        ("iCCP of grey", 0, 1, iccp(&linear)),
        ("iCCP", 2, 3, iccp(&rgb_profile)),
    ] {
        let file = png_of(&[
            header(256, 16, 16, colour, 0),
            chunk,
            (*b"IDAT", zlib(&ramp(samples))),
            END,
        ]);
        let seen = best(&file).to_rgb8();
        for step in 0..256 {
            let found = seen.get_pixel(step, 8).0;
            // Lossy WebP has 220 luma levels.
            assert!(
                found.iter().all(|value| value.abs_diff(step as u8) <= 3),
                "{what}: {step} is {found:?}"
            );
        }
    }
}

/// The PQ value of this many candelas per square metre (SMPTE ST 2084).
fn pq_of(nits: f64) -> f64 {
    let power = (nits / 10_000.0).powf(0.159_301_757_812_5);
    ((0.835_937_5 + 18.851_562_5 * power) / (1.0 + 18.6875 * power)).powf(78.84375)
}

/// The HLG value of scene light (ARIB STD-B67).
fn hlg_of(light: f64) -> f64 {
    if light <= 1.0 / 12.0 {
        (3.0 * light).sqrt()
    } else {
        0.178_832_77 * (12.0 * light - 0.284_668_92).ln() + 0.559_910_73
    }
}

/// The result for grey of this many candelas, with 203 as reference white (SMPTE ST 2094-50). The Bézier curve is
/// sampled instead of solved. Chromium 148 shows 29, 98, 187, 232 and 255 for 5, 50, 203, 500 and 1000, and 226 for
/// 1000 with a peak of 4000.
fn tone(nits: f64, peak: f64) -> u8 {
    let (light, peak) = (nits / 203.0, peak / 203.0);
    let shown = if light <= 1.0 {
        light / 2.0
    } else {
        let point = |t: f64| {
            let [a, b, c] = [(1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t];
            (a + 1.65 * b + peak * c, 0.5 * a + 0.825 * b + c)
        };
        let points = (0..=100_000).map(|step| point(f64::from(step) / 100_000.0));
        points
            .min_by(|a, b| (a.0 - light).abs().total_cmp(&(b.0 - light).abs()))
            .unwrap()
            .1
    };
    let value = if shown <= 0.003_130_8 {
        12.92 * shown
    } else {
        1.055 * shown.powf(1.0 / 2.4) - 0.055
    };
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

#[test]
fn tones_match_chromium() {
    for (nits, peak, expected) in [
        (5.0, 1000.0, 29),
        (50.0, 1000.0, 98),
        (203.0, 1000.0, 187),
        (500.0, 1000.0, 232),
        (1000.0, 1000.0, 255),
        (1000.0, 4000.0, 226),
    ] {
        assert!(tone(nits, peak).abs_diff(expected) <= 1, "{nits}");
    }
}

/// An RGB profile with the curve of a moxcms profile, and with or without that profile's cicp tag.
fn high_range(profile: &ColorProfile, with_cicp: bool) -> Vec<u8> {
    let mut profile = profile.clone();
    if !with_cicp {
        profile.cicp = None;
    }
    profile.encode().unwrap()
}

#[test]
fn light_brighter_than_white_is_tone_mapped() {
    let pq = ColorProfile::new_bt2020_pq();
    let hlg = ColorProfile::new_bt2020_hlg();
    for nits in [0.5, 5.0, 50.0, 203.0, 500.0, 1000.0] {
        let expected = [tone(nits, 1000.0); 3];
        let of_pq = [pq_of(nits); 3];
        // A display of 1000 candelas raises scene light to the power of 1.2.
        let of_hlg = [hlg_of((nits / 1000.0).powf(1.0 / 1.2)); 3];
        let mut files = Vec::new();
        for depth in [8, 16] {
            files.push(("PQ, cICP", flat_png(of_pq, depth, &[cicp(9, 16, 1)])));
            files.push(("HLG, cICP", flat_png(of_hlg, depth, &[cicp(9, 18, 1)])));
            for with_cicp in [true, false] {
                let (pq, hlg) = (high_range(&pq, with_cicp), high_range(&hlg, with_cicp));
                files.push(("PQ, iCCP", flat_png(of_pq, depth, &[iccp(&pq)])));
                files.push(("HLG, iCCP", flat_png(of_hlg, depth, &[iccp(&hlg)])));
            }
        }
        for kind in ["jpeg", "webp"] {
            for with_cicp in [true, false] {
                let bytes = |value: [f64; 3]| value.map(|value| (value * 255.0).round() as u8);
                files.push((
                    kind,
                    flat(kind, bytes(of_pq), Some(high_range(&pq, with_cicp))),
                ));
                files.push((
                    kind,
                    flat(kind, bytes(of_hlg), Some(high_range(&hlg, with_cicp))),
                ));
            }
        }
        for (what, file) in files {
            let found = seen(&file, OutputFormat::WebP);
            // A step of PQ in 8 bits is up to five steps of sRGB.
            let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 6);
            assert!(
                is_near,
                "{what}, {nits} candelas: {found:?}, expected {expected:?}"
            );
        }
    }
    // The peak that the file itself names.
    let brightest = (
        *b"cLLI",
        [4_000_u32 * 10_000, 0].map(u32::to_be_bytes).concat(),
    );
    let file = flat_png([pq_of(4000.0); 3], 16, &[cicp(9, 16, 1), brightest.clone()]);
    assert_near(
        seen(&file, OutputFormat::WebP),
        [255; 3],
        "the brightest is white",
    );
    let file = flat_png([pq_of(1000.0); 3], 16, &[cicp(9, 16, 1), brightest]);
    assert_near(
        seen(&file, OutputFormat::WebP),
        [tone(1000.0, 4000.0); 3],
        "and the rest is not",
    );
    // The hue is preserved: red of BT.2020 stays red.
    let [r, g, b] = seen(
        &flat_png([pq_of(203.0), 0.0, 0.0], 16, &[cicp(9, 16, 1)]),
        OutputFormat::WebP,
    );
    assert!(r > 150 && g < 20 && b < 20, "{r} {g} {b}");
}

/// A grey profile (ICC.1 F.2) with a single gamma curve, to XYZ or to Lab.
fn grey_profile(pcs: &[u8], gamma: f64) -> Vec<u8> {
    let curve = [
        &b"curv\0\0\0\0\0\0\0\x01"[..],
        &((gamma * 256.0).round() as u16).to_be_bytes(),
        &[0, 0],
    ]
    .concat();
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..20].copy_from_slice(b"mntrGRAY");
    profile[20..24].copy_from_slice(pcs);
    profile[36..40].copy_from_slice(b"acsp");
    for (at, value) in (68..).step_by(4).zip([0xf6d6_u32, 0x1_0000, 0xd32d]) {
        profile[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"kTRC");
    profile.extend(144_u32.to_be_bytes());
    profile.extend((curve.len() as u32).to_be_bytes());
    profile.extend(curve);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}

#[test]
fn a_grey_curve_to_lab_gives_lightness() {
    for gamma in [1.0, 1.5] {
        for grey in [0_u8, 10, 60, 128, 200, 255] {
            let lightness = 100.0 * (f64::from(grey) / 255.0).powf(gamma);
            let light = if lightness > 8.0 {
                ((lightness + 16.0) / 116.0).powi(3)
            } else {
                lightness / 903.3
            };
            let encoded = if light <= 0.003_130_8 {
                12.92 * light
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            };
            let expected = [(encoded * 255.0).round() as u8; 3];
            let profile = grey_profile(b"Lab ", gamma);
            let picture = image::GrayImage::from_pixel(SIZE, SIZE, image::Luma([grey]));
            let mut file = Vec::new();
            let mut encoder = JpegEncoder::new_with_quality(&mut file, 100);
            encoder.set_icc_profile(profile.clone()).unwrap();
            encoder
                .write_image(picture.as_raw(), SIZE, SIZE, ExtendedColorType::L8)
                .unwrap();
            assert_near(
                seen(&file, OutputFormat::WebP),
                expected,
                &format!("JPEG, {grey}"),
            );
            for depth in [8, 16] {
                let sample = if depth == 8 {
                    vec![grey]
                } else {
                    vec![grey; 2]
                };
                let row = [&[0][..], &sample.repeat(SIZE as usize)].concat();
                let file = png_of(&[
                    header(SIZE, SIZE, depth, 0, 0),
                    iccp(&profile),
                    (*b"IDAT", zlib(&row.repeat(SIZE as usize))),
                    END,
                ]);
                let what = format!("PNG of {depth} bits, {grey} to the power of {gamma}");
                assert_near(seen(&file, OutputFormat::WebP), expected, &what);
            }
        }
    }
    // To XYZ the curve gives light.
    let file = png_of(&[
        header(SIZE, SIZE, 8, 0, 0),
        iccp(&grey_profile(b"XYZ ", 1.0)),
        (
            *b"IDAT",
            zlib(
                &[&[0][..], &[55; SIZE as usize]]
                    .concat()
                    .repeat(SIZE as usize),
            ),
        ),
        END,
    ]);
    assert_near(seen(&file, OutputFormat::WebP), [128; 3], "linear grey");
}
