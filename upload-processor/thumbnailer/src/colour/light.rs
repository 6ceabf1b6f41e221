//! Converts samples to light, and light to sRGB, with tables; tone-maps light that is brighter than white.
//!
//! It runs for each pixel, so its functions are `#[inline]`. Which curve and which matrix apply is decided by
//! `described` and `profile`.

use std::sync::{Arc, LazyLock};

use super::matrix::Matrix;

/// HDR reference white, in candelas per square metre (ITU-R BT.2408).
pub(super) const WHITE: f32 = 203.0;
/// The assumed peak of a file that does not name one, in candelas per square metre: that of common HDR screens.
pub(super) const PEAK: f32 = 1000.0;

/// A conversion from samples to light, and from light to sRGB.
#[derive(Clone)]
pub(super) struct Light {
    /// A table per channel (red, green, blue) with the light of each 8-bit or 16-bit sample; 1 is white.
    pub(super) tables: [Arc<[f32]>; 3],
    matrix: [[f32; 3]; 3],
    range: Option<Range>,
}

/// HDR parameters: light may exceed reference white.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// The brightest light, as a multiple of reference white.
    pub(super) peak: f32,
    pub(super) is_hlg: bool,
}

/// The bits of a sample.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Depth {
    Eight,
    Sixteen,
}

impl Light {
    /// Makes tables of the light of each sample of this depth; `matrix` leads to linear sRGB.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float's precision is enough for light"
    )]
    pub(super) fn new(
        light: impl Fn(f64) -> f64,
        matrix: &Matrix,
        range: Option<Range>,
        depth: Depth,
        is_narrow: bool,
    ) -> Self {
        let (max, black, white): (u16, f64, f64) = match depth {
            Depth::Eight => (255, 16.0, 235.0),
            Depth::Sixteen => (65_535, 4096.0, 60_160.0),
        };
        let table: Arc<[f32]> = (0..=max)
            .map(|sample| {
                let sample = f64::from(sample);
                let value = if is_narrow {
                    ((sample - black) / (white - black)).clamp(0.0, 1.0)
                } else {
                    sample / f64::from(max)
                };
                light(value) as f32
            })
            .collect();
        Self {
            tables: [0; 3].map(|_| Arc::clone(&table)),
            matrix: matrix.map(|row| row.map(|value| value as f32)),
            range,
        }
    }

    #[inline]
    pub(super) fn grey(&self, sample: usize) -> u8 {
        let light = self.tables[0][sample];
        let light = self.range.map_or(light, |range| range.shown([light; 3])[0]);
        encode(light)
    }

    #[inline]
    pub(super) fn colour(&self, samples: [usize; 3]) -> [u8; 3] {
        let light = std::array::from_fn(|idx| self.tables[idx][samples[idx]]);
        let [r, g, b] = self.range.map_or(light, |range| range.shown(light));
        self.matrix
            .map(|[of_r, of_g, of_b]| encode(of_r * r + of_g * g + of_b * b))
    }
}

impl Range {
    /// Tone-maps as Chromium does, with the reference white tone mapping of SMPTE ST 2094-50. It is linear up to
    /// reference white, which becomes half of the screen's light. Above that, a quadratic curve brings the peak to
    /// white. One factor for all three channels preserves the hue.
    #[inline]
    fn shown(self, mut light: [f32; 3]) -> [f32; 3] {
        if self.is_hlg {
            // The OOTF of a 1000-candela display has a gamma of 1.2 (BT.2100, table 5).
            let [r, g, b] = light;
            let scene = 0.2627 * r + 0.678 * g + 0.0593 * b;
            let gain = PEAK / WHITE * scene.powf(0.2);
            light = light.map(|value| gain * value);
        }
        let brightest = light.into_iter().fold(0.0, f32::max);
        if self.peak <= 1.0 || brightest <= 0.0 {
            return light;
        }
        // Pictures whose peak is below that of common screens are darkened less.
        let white = 1.0 - 0.5 * (self.peak.log2() / (PEAK / WHITE).log2()).min(1.0);
        let shown = if brightest <= 1.0 {
            white * brightest
        } else if brightest >= self.peak {
            1.0
        } else {
            // A Bézier curve from reference white to the peak; its middle point continues the line.
            let middle = (0.35 + 0.65 / white, 0.35 * white + 0.65);
            let (a, b) = (1.0 - 2.0 * middle.0 + self.peak, middle.0 - 1.0);
            let c = 1.0 - brightest;
            // The root between 0 and 1, in the form that stays exact if a is small.
            let t = -c / (b + (b * b - a * c).max(0.0).sqrt());
            let rest = 1.0 - t;
            rest * rest * white + 2.0 * t * rest * middle.1 + t * t
        };
        light.map(|value| value * (shown / brightest))
    }
}

/// An sRGB sample.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the table, or to a byte"
)]
#[inline]
fn encode(light: f32) -> u8 {
    /// One step is at most a fifth of an sRGB step, near black.
    const STEPS: u16 = 16_384;
    static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let samples = (0..=STEPS).map(|step| {
            let light = f64::from(step) / f64::from(STEPS);
            let value = if light <= 0.003_130_8 {
                12.92 * light
            } else {
                1.055 * light.powf(1.0 / 2.4) - 0.055
            };
            (255.0 * value).round() as u8
        });
        samples.collect()
    });
    // Clamped; NaN becomes 0.
    let step = (light.clamp(0.0, 1.0) * f32::from(STEPS) + 0.5) as usize;
    TABLE[step.min(usize::from(STEPS))]
}
