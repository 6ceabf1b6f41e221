//! Light that is brighter than white (PQ and HLG) is tone-mapped as in Chromium.

use moxcms::ColorProfile;
use thumbnailer::settings::OutputFormat;

use super::colour::{assert_near, flat, seen};
use super::png_colour::{cicp, flat_png, iccp};

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
