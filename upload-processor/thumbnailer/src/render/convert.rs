//! Converts samples between RGB, `YCbCr` and CMYK, and between full and limited range.
//!
//! `resize`, `encode` and the placeholder use it. Conversion by a colour profile is `colour`'s work; here are the fixed
//! matrices.

use crate::colour::ToSrgb;
use crate::raster::{Coding, Pixels, YCbCr, halved};

impl YCbCr {
    /// The same in limited range, which VP8 uses (RFC 6386 §9.2).
    pub(super) fn with_limited_range(&self) -> Self {
        // `zero` is the image of black, or of the chroma value −128, times 255. Both are rounded; 128 stays, and values
        // on either side are rounded alike. The arithmetic has 16 bits, which the compiler vectorises.
        let through = |zero: u16, range: u16, plane: &[u8]| -> Vec<u8> {
            let value = |value: &u8| (zero + range * u16::from(*value)) / 255;
            #[expect(clippy::cast_possible_truncation, reason = "at most 240")]
            plane.iter().map(|sample| value(sample) as u8).collect()
        };
        Self {
            width: self.width,
            height: self.height,
            y: through(16 * 255 + 127, 219, &self.y),
            cb: through(16 * 255 + 15, 224, &self.cb),
            cr: through(16 * 255 + 15, 224, &self.cr),
        }
    }

    /// Converts pixels, over white where they are transparent.
    pub(super) fn of_pixels(pixels: &Pixels) -> Self {
        let channels = if pixels.alpha { 4 } else { 3 };
        let (width, height) = (pixels.width as usize, pixels.height as usize);
        let (across, down) = halved((pixels.width, pixels.height));
        let mut y = Vec::with_capacity(width * height);
        // The sums of the up to four pixels that share a chroma sample, and their number.
        let mut sums = vec![([0_u32; 2], 0_u32); across as usize * down as usize];
        for (row, line) in pixels.data.chunks_exact(channels * width).enumerate() {
            for (column, pixel) in line.chunks_exact(channels).enumerate() {
                let opaque = pixel.get(3).copied().map_or(255, u32::from);
                let over_white =
                    |value: u8| (u32::from(value) * opaque + 255 * (255 - opaque) + 127) / 255;
                let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(over_white);
                // BT.601 in fixed point with 16 fraction bits; chroma has an offset of 128.
                let luma = (19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16;
                let cb = (8_388_608 + 32_768 * b - 11_059 * r - 21_709 * g) >> 8;
                let cr = (8_388_608 + 32_768 * r - 27_439 * g - 5_329 * b) >> 8;
                y.push(luma.min(255) as u8);
                let (sum, count) = &mut sums[row / 2 * across as usize + column / 2];
                sum[0] += cb;
                sum[1] += cr;
                *count += 1;
            }
        }
        let mean = |idx: usize| {
            sums.iter()
                .map(|(sum, count)| {
                    ((sum[idx] + 128 * count) / (256 * (*count).max(1))).min(255) as u8
                })
                .collect()
        };
        Self {
            width: pixels.width,
            height: pixels.height,
            y,
            cb: mean(0),
            cr: mean(1),
        }
    }
}

/// Converts planes of one size to RGB; CMYK and grey use the profile, if there is one.
pub(super) fn rgb_of_planes(
    coding: Coding,
    samples: &[Vec<u8>],
    (width, height): (u32, u32),
    to_srgb: Option<&ToSrgb>,
) -> Pixels {
    let data = match (coding, samples) {
        (Coding::YCbCr, [y, cb, cr]) => interleave([y, cb, cr], rgb_of_ycbcr),
        (Coding::Rgb, [r, g, b]) => interleave([r, g, b], |rgb| rgb),
        (Coding::Cmyk, [c, m, y, k]) => rgb_of_ink(
            &interleave([c, m, y, k], |cmyk| cmyk.map(|light| 255 - light)),
            to_srgb,
        ),
        (Coding::Ycck, [luma, cb, cr, black]) => {
            let cmyk = interleave([luma, cb, cr, black], |[luma, cb, cr, black]| {
                // CMY is 255 minus the RGB of this YCC; since it is also inverted, the ink equals that RGB.
                let [red, green, blue] = rgb_of_ycbcr([luma, cb, cr]);
                [red, green, blue, 255 - black]
            });
            rgb_of_ink(&cmyk, to_srgb)
        }
        // Grey, in one plane.
        (_, [grey, ..]) => to_srgb
            .and_then(|to_srgb| to_srgb.run(grey))
            .unwrap_or_else(|| interleave([grey], |[grey]| [grey; 3])),
        (_, []) => Vec::new(),
    };
    Pixels {
        width,
        height,
        alpha: false,
        grey: coding == Coding::Grey,
        data,
    }
}

/// Interleaves planes of one size into pixels.
pub(super) fn interleave<const N: usize, const M: usize>(
    planes: [&Vec<u8>; N],
    pixel: impl Fn([u8; N]) -> [u8; M],
) -> Vec<u8> {
    let n = planes[0].len();
    let planes = planes.map(|plane| &plane[..n]);
    let mut pixels = vec![0; n * M];
    // In this shape the compiler vectorises it.
    for (at, to) in pixels.as_chunks_mut::<M>().0.iter_mut().enumerate() {
        *to = pixel(planes.map(|plane| plane[at]));
    }
    pixels
}

/// JFIF's conversion.
pub(super) fn rgb_of_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    #[expect(clippy::cast_sign_loss, reason = "clamped to a byte")]
    [
        y + 91_881 * cr,
        y - 22_554 * cb - 46_802 * cr,
        y + 116_130 * cb,
    ]
    .map(|value| ((value + 32_768) >> 16).clamp(0, 255) as u8)
}

/// Converts CMYK to RGB, 255 being the maximum of an ink.
fn rgb_of_ink(cmyk: &[u8], to_srgb: Option<&ToSrgb>) -> Vec<u8> {
    if let Some(rgb) = to_srgb.and_then(|to_srgb| to_srgb.run(cmyk)) {
        return rgb;
    }
    // Without a profile: each ink removes its own light, and black removes all.
    let light = |ink: u8, black: u8| {
        let light = (255 - u32::from(ink)) * (255 - u32::from(black));
        #[expect(clippy::cast_possible_truncation, reason = "at most 255")]
        {
            ((light + 127) / 255) as u8
        }
    };
    cmyk.as_chunks()
        .0
        .iter()
        .flat_map(|[c, m, y, k]| [light(*c, *k), light(*m, *k), light(*y, *k)])
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "expected values are computed with small numbers"
)]
mod tests {
    use super::*;

    #[test]
    fn the_limited_range_is_rounded() {
        let all: Vec<u8> = (0..=255).collect();
        let planes = YCbCr {
            width: 256,
            height: 1,
            y: all.clone(),
            cb: all.clone(),
            cr: all,
        };
        let limited = planes.with_limited_range();
        for value in 0..=255_u8 {
            let (at, value) = (usize::from(value), f64::from(value));
            let luma = 16.0 + (value * 219.0 / 255.0).round();
            assert_eq!(limited.y[at], luma as u8, "luma {value}");
            let chroma = 128.0 + ((value - 128.0) * 224.0 / 255.0).round();
            assert_eq!(limited.cb[at], chroma as u8, "chroma {value}");
        }
        assert_eq!(limited.cb, limited.cr);
    }
}
