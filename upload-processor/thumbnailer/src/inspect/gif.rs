//! Walks a GIF's blocks up to its trailer (`GIF89a`).
//!
//! Reads the canvas from the logical screen and counts pictures: the second one makes an animation. The decoder gets
//! everything up to the end of the first, without comments and application data, closed with a trailer.

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::rejection::Rejection;
use crate::settings::{Animated, ImageType, Settings};

use super::{Outline, check_memory, check_pixels};

/// Walks the blocks. `bytes` begins with GIF's signature.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let missing = || Rejection::Truncated("GIF ends before its trailer");
    let &[w0, w1, h0, h1, packed, _, _] = bytes
        .get(6..)
        .and_then(|rest| rest.first_chunk::<7>())
        .ok_or_else(missing)?;
    let width = u32::from(u16::from_le_bytes([w0, w1]));
    let height = u32::from(u16::from_le_bytes([h0, h1]));
    if width == 0 || height == 0 {
        return Err(Rejection::corrupt("GIF has no width or no height"));
    }
    let pixels = check_pixels(width, height, settings)?;

    let mut at = 13 + colours(packed);
    let mut kept: Vec<Cow<'a, [u8]>> = vec![Cow::Borrowed(bytes.get(..at).ok_or_else(missing)?)];
    let mut n_pictures = 0;
    loop {
        let start = at;
        match bytes.get(at).ok_or_else(missing)? {
            // An extension: of those only the graphic control says something of pixels.
            0x21 => {
                let label = *bytes.get(at + 1).ok_or_else(missing)?;
                at = after_blocks(bytes, at + 2).ok_or_else(missing)?;
                if label == 0xf9 && n_pictures == 0 {
                    kept.push(Cow::Borrowed(&bytes[start..at]));
                }
            }
            0x2c => {
                n_pictures += 1;
                if n_pictures > 1 {
                    if settings.animated == Animated::Reject {
                        return Err(Rejection::Animated(ImageType::Gif));
                    }
                    break;
                }
                let &[x0, x1, y0, y1, w0, w1, h0, h1, packed] = bytes
                    .get(at + 1..)
                    .and_then(|rest| rest.first_chunk::<9>())
                    .ok_or_else(missing)?;
                let end = |start: [u8; 2], side: [u8; 2]| {
                    u32::from(u16::from_le_bytes(start)) + u32::from(u16::from_le_bytes(side))
                };
                if end([x0, x1], [w0, w1]) > width || end([y0, y1], [h0, h1]) > height {
                    return Err(Rejection::corrupt("GIF picture reaches beyond its canvas"));
                }
                // The colours, the size of codes, and the codes.
                at = after_blocks(bytes, at + 10 + colours(packed) + 1).ok_or_else(missing)?;
                kept.push(Cow::Borrowed(&bytes[start..at]));
            }
            0x3b => break,
            _ => return Err(Rejection::corrupt("GIF has an unknown block")),
        }
    }
    if n_pictures == 0 {
        return Err(Rejection::Truncated("GIF has no picture"));
    }
    kept.push(Cow::Borrowed(&[0x3b]));
    let essence_bytes = kept.iter().map(|piece| piece.len() as u64).sum();
    // The frame as it is decoded, and RGBA.
    let memory = check_memory((width, height), pixels * 8, true, essence_bytes, settings)?;
    Ok(Outline {
        width,
        height,
        orientation: Orientation::NoTransforms,
        memory,
        profile: None,
        frame: None,
        essence: kept,
    })
}

/// Bytes of a colour table, by the field that announces it.
fn colours(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        0
    } else {
        3 << ((packed & 7) + 1)
    }
}

/// Where a chain of blocks ends: each has its length before it, the last has none.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
