//! Colours that a PNG describes by numbers or by a profile come out as intended, in 8 and in 16 bits.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;
use thumbnailer::settings::OutputFormat;

use super::colour::{ADOBE, P3, SIZE, assert_near, by_the_textbook, seen, srgb_curve};
use super::samples::*;

/// A PNG of 64 by 64 pixels of one colour, in 8 or 16 bits, with chunks before its data.
pub(crate) fn flat_png(colour: [f64; 3], depth: u8, chunks: &[PngChunk]) -> Vec<u8> {
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

pub(crate) fn cicp(primaries: u8, curve: u8, range: u8) -> PngChunk {
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

pub(crate) fn iccp(profile: &[u8]) -> PngChunk {
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
