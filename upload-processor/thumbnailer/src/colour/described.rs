//! Colours that a PNG describes by numbers: cICP, gAMA and cHRM (PNG third edition, §11.3.2).
//!
//! `inspect` makes them from the chunks; [`super::ToSrgb`] applies them.

use super::matrix::{self, Matrix, between, primaries_of};
use super::transfer::{Curve, curve_of};

/// Colours described by numbers.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The conversion to linear sRGB.
    pub(super) matrix: Matrix,
    pub(super) curve: Curve,
    /// Whether black is 16 and white is 235 of 255.
    pub(super) is_narrow: bool,
    /// The brightest pixel, in candelas per square metre.
    pub(super) peak: Option<f32>,
}

impl Described {
    /// Colours from a cICP chunk (PNG §11.3.2.6): primaries, curve, matrix, range. `None` if a value is reserved in
    /// H.273 or not allowed in PNG.
    pub(crate) fn of_cicp(cicp: [u8; 4], peak: Option<f32>) -> Option<Self> {
        let [primaries, curve, 0, range @ (0 | 1)] = cicp else {
            return None;
        };
        Some(Self {
            matrix: between(primaries_of(primaries)?)?,
            curve: curve_of(curve)?,
            is_narrow: range == 0,
            peak,
        })
    }

    /// Colours from gAMA and cHRM (§11.3.2.2, §11.3.2.1), in units of 1/100,000: the inverse of the exponent; x and y
    /// of white, red, green and blue.
    pub(crate) fn of_gamma(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<Self> {
        // Browsers ignore chromaticities without a gamma.
        let gamma = gamma.filter(|gamma| (1_000..1_000_000).contains(gamma))?;
        let primaries =
            chromaticities.map(|values| values.map(|value| f64::from(value) / 100_000.0));
        let matrix = primaries.and_then(between);
        let curve = match gamma {
            // Writers of sRGB store this value as an approximation (§11.3.2.5).
            45_400..=45_500 if matrix.is_none() => Curve::Srgb,
            gamma => Curve::Power(100_000.0 / f64::from(gamma)),
        };
        Some(Self {
            matrix: matrix.unwrap_or(matrix::IDENTITY),
            curve,
            is_narrow: false,
            peak: None,
        })
    }
}
