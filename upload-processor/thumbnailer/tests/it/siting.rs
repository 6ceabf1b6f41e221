//! Chroma is aligned with luma to a fraction of a pixel: at every row and column, for every sampling, every orientation
//! and both formats.

use std::f64::consts::TAU;

use thumbnailer::inspect::Declared;
use thumbnailer::settings::{Effort, OutputFormat, Settings};
use thumbnailer::thumbnail::thumbnail;

use super::jpegs::{Component, Segment, join, segments, write};

const N_WAVES: f64 = 5.0;

/// A wave along both sides with level ends, so that every orientation shows the same one.
fn wave(x: f64, y: f64, (width, height): (u32, u32)) -> f64 {
    let wave = |at: f64, side: u32| (TAU * N_WAVES * at / f64::from(side)).cos();
    128.0 + 20.0 * (wave(x, width) + wave(y, height))
}

/// Grey and red rise and fall together.
fn source(size: (u32, u32), (h, v): (u32, u32), orientation: u8) -> Vec<u8> {
    let luma = |x: u32, y: u32| wave(f64::from(x) + 0.5, f64::from(y) + 0.5, size);
    let (wide, tall) = (f64::from(h), f64::from(v));
    let red = |x: u32, y: u32| {
        wave(
            (f64::from(x) + 0.5) * wide,
            (f64::from(y) + 0.5) * tall,
            size,
        )
    };
    let flat = |_, _| 128.0;
    let file = write(
        size,
        &[
            Component {
                id: 1,
                sampling: (h, v),
                sample: &luma,
            },
            Component {
                id: 2,
                sampling: (1, 1),
                sample: &flat,
            },
            Component {
                id: 3,
                sampling: (1, 1),
                sample: &red,
            },
        ],
    );
    let exif = [
        &b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation],
        &[0; 6],
    ];
    join(&[vec![Segment::new(0xe1, exif.concat())], segments(&file)].concat())
}

/// How many pixels the second wave lags behind the first, from their phases at `N_WAVES`.
fn lag(first: &[f64], second: &[f64]) -> f64 {
    let side = first.len() as f64;
    let phase = |values: &[f64]| {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (at, value) in values.iter().enumerate() {
            let angle = TAU * N_WAVES * (at as f64 + 0.5) / side;
            sine += value * angle.sin();
            cosine += value * angle.cos();
        }
        sine.atan2(cosine)
    };
    (phase(second) - phase(first)) * side / (TAU * N_WAVES)
}

#[test]
fn chroma_waves_are_aligned_with_luma_waves() {
    for (sampling, size) in [
        // Large enough for blocks to be decoded with fewer samples.
        ((2, 2), (611, 449)),
        ((1, 1), (449, 611)),
        ((4, 1), (1601, 1201)),
        ((2, 2), (240, 179)),
        ((2, 2), (179, 240)),
        ((2, 2), (240, 180)),
        ((2, 1), (181, 179)),
        ((1, 2), (181, 179)),
        ((4, 1), (179, 181)),
        ((4, 2), (179, 181)),
        ((1, 1), (179, 181)),
    ] {
        for orientation in 1..=8 {
            let file = source(size, sampling, orientation);
            for (format, effort) in [
                (OutputFormat::WebP, Effort::Balanced),
                (OutputFormat::WebP, Effort::Fast),
                (OutputFormat::Jpeg, Effort::Balanced),
            ] {
                let settings = Settings {
                    quality: 100,
                    effort,
                    formats: vec![format],
                    widths: vec![179, 151, 64],
                    ..Settings::default()
                };
                let made = thumbnail(&file, &Declared::default(), &settings, None).unwrap();
                assert!(made.renditions.len() >= 2);
                for rendition in made.renditions {
                    let seen = image::load_from_memory(&rendition.data).unwrap().to_rgb8();
                    let (width, height) = seen.dimensions();
                    let what = format!(
                        "{sampling:?} {size:?}, orientation {orientation}, to {format} ({effort:?}) {width}×{height}"
                    );
                    let ycc = |x: u32, y: u32| {
                        let [r, g, b] = seen.get_pixel(x, y).0.map(f64::from);
                        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                        (luma, 0.713 * (r - luma))
                    };
                    let mut lags = Vec::new();
                    for y in 0..height {
                        let (luma, red): (Vec<_>, Vec<_>) = (0..width).map(|x| ycc(x, y)).unzip();
                        let lag = lag(&luma, &red);
                        lags.push(lag);
                    }
                    for x in 0..width {
                        let (luma, red): (Vec<_>, Vec<_>) = (0..height).map(|y| ycc(x, y)).unzip();
                        let lag = lag(&luma, &red);
                        lags.push(lag);
                    }
                    // Each lag is noise of the encoder, whose mean must not drift from one end to the other.
                    let (rows, columns) = lags.split_at(height as usize);
                    for (side, lags) in [("rows", rows), ("columns", columns)] {
                        assert!(
                            lags.iter().all(|lag| lag.abs() < 0.4),
                            "{what}, {side}: {lags:.2?}"
                        );
                        for part in lags.chunks(lags.len().div_ceil(3)) {
                            let mean = part.iter().sum::<f64>() / part.len() as f64;
                            assert!(mean.abs() < 0.1, "{what}, {side}: {mean:.2} pixels");
                        }
                    }
                }
            }
        }
    }
}
