//! Transfer functions: from samples to light.
//!
//! `described` and `profile` choose a curve, and `light` makes tables of it. It knows no picture.

use super::light::{PEAK, Range, WHITE};

/// The transfer function from samples to light (ITU-T H.273, table 3), as browsers apply it: they do not support
/// logarithmic curves and BT.1361.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Curve {
    Srgb,
    Power(f64),
    Smpte240,
    /// Digital cinema, whose white is 48 candelas per square metre.
    Smpte428,
    /// SMPTE ST 2084: absolute, up to 10,000 candelas per square metre.
    Pq,
    /// Scene light; the display's OOTF is applied afterwards.
    Hlg,
}

/// The curve with this code (H.273, table 3); `None` if it is reserved or not supported.
pub(super) fn curve_of(code: u8) -> Option<Curve> {
    Some(match code {
        // Recordings from BT.709, BT.601 or BT.2020 cameras are intended for a display gamma of 2.4 (BT.1886).
        1 | 6 | 11 | 14 | 15 => Curve::Power(2.4),
        4 => Curve::Power(2.2),
        5 => Curve::Power(2.8),
        7 => Curve::Smpte240,
        8 => Curve::Power(1.0),
        13 => Curve::Srgb,
        16 => Curve::Pq,
        17 => Curve::Smpte428,
        18 => Curve::Hlg,
        _ => return None,
    })
}

impl Curve {
    /// The light of a sample from 0 to 1. The result 1 is white; for HLG it is the brightest light of the scene.
    pub(super) fn light(self, value: f64) -> f64 {
        match self {
            Self::Srgb if value <= 0.040_45 => value / 12.92,
            Self::Srgb => ((value + 0.055) / 1.055).powf(2.4),
            Self::Power(exponent) => value.powf(exponent),
            Self::Smpte240 if value < 0.0913 => value / 4.0,
            Self::Smpte240 => ((value + 0.1115) / 1.1115).powf(1.0 / 0.45),
            Self::Smpte428 => value.powf(2.6) * 52.37 / 48.0,
            Self::Pq => pq(value) / f64::from(WHITE),
            Self::Hlg => hlg(value),
        }
    }
}

/// The light of a PQ sample in candelas per square metre (BT.2100, table 4).
pub(super) fn pq(value: f64) -> f64 {
    let (m1, m2) = (2610.0 / 16_384.0, 2523.0 / 4096.0 * 128.0);
    let (c1, c2, c3) = (
        3424.0 / 4096.0,
        2413.0 / 4096.0 * 32.0,
        2392.0 / 4096.0 * 32.0,
    );
    let power = value.powf(1.0 / m2);
    10_000.0 * ((power - c1).max(0.0) / (c2 - c3 * power)).powf(1.0 / m1)
}

/// The scene light of an HLG sample (BT.2100, table 5).
pub(super) fn hlg(value: f64) -> f64 {
    let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
    if value <= 0.5 {
        value * value / 3.0
    } else {
        (((value - c) / a).exp() + b) / 12.0
    }
}

impl Curve {
    /// The HDR parameters of the curve, if it is one of HDR.
    pub(super) fn range(self, peak: Option<f32>) -> Option<Range> {
        let is_hlg = self == Self::Hlg;
        (is_hlg || self == Self::Pq).then(|| Range {
            // The nominal HLG display has 1000 candelas per square metre.
            peak: peak.filter(|_| !is_hlg).unwrap_or(PEAK) / WHITE,
            is_hlg,
        })
    }
}
