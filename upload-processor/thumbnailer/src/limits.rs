//! The budgets of a picture: its pixels, and the memory that decoding and rendering will take.
//!
//! The parsers of `inspect` and `jpeg` call this with the numbers of a header, before anything is allocated for the
//! picture. The limits themselves are settings.

use image::metadata::Orientation;

use crate::exif::upright;
use crate::plan::plan;
use crate::rejection::{Complexity, Rejection};
use crate::settings::Settings;

/// Checks the pixel budget, from the size in the header.
pub(crate) fn check_pixels(width: u32, height: u32, settings: &Settings) -> Result<u64, Rejection> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > settings.max_pixels {
        return Err(Rejection::TooManyPixels {
            width,
            height,
            max: settings.max_pixels,
        });
    }
    Ok(pixels)
}

/// Checks the memory budget. It adds a format's estimate for decoding, the part of it that renditions are made from,
/// and the common estimate for renditions. JPEG has its own check.
///
/// The estimate is an upper bound, which `tests/it/memory.rs` measures for every kind of file.
pub(crate) fn check_memory(
    stored: (u32, u32),
    orientation: Orientation,
    decoding: u64,
    decoded: u64,
    alpha: bool,
    settings: &Settings,
) -> Result<u64, Rejection> {
    let channels = if alpha { 4 } else { 3 };
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    // The orientation decides which side becomes the width, and with it the size of a panorama's renditions.
    let sizes = plan(upright(stored, orientation), &settings.widths);
    let largest = sizes.first().copied().unwrap_or_default();
    let made: u64 = sizes.iter().map(|size| channels * area(*size)).sum();
    // The resizer keeps the source, and a premultiplied copy of it if there is alpha.
    let source = decoded + if alpha { 4 * area(stored) } else { 0 };
    // Between its two passes the resizer has the new width and the old height. Orientation and colour conversion each
    // make a copy.
    let between = channels * area((upright(largest, orientation).0, stored.1));
    let copies = 2 * channels * area(largest);
    // The resizer keeps six weights for each sample of a row and of a column: little for a photo, but gigabytes for a
    // single row of 50 megapixels.
    let weights = WEIGHTS * (u64::from(stored.0) + u64::from(stored.1));
    let resizing = source + between + made + copies + weights;
    let encoder = if alpha { ALPHA_ENCODER } else { ENCODER };
    let encoding = made + encoder * area(largest);
    within_budget(decoding.max(resizing).max(encoding), settings)
}

/// The bytes of six weights, in 64 bits and again in 16.
const WEIGHTS: u64 = 64;
/// The bytes per pixel that an encoder takes, both libwebp's and Gatepost's.
const ENCODER: u64 = 14;
/// libwebp compresses alpha like a lossless picture.
const ALPHA_ENCODER: u64 = 36;

/// Checks an estimate against the memory that one image may take.
pub(crate) fn within_budget(needed: u64, settings: &Settings) -> Result<u64, Rejection> {
    let max = settings.max_memory();
    if needed > max {
        return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
    }
    Ok(needed)
}
