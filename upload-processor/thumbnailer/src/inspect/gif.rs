//! Walks a GIF's blocks up to its trailer (`GIF89a`), or to the end of the file.
//!
//! Reads the canvas from the logical screen and counts pictures: a second one makes an animation. The decoder gets
//! everything up to the end of the first picture, without comments and application data. Its canvas is large enough for
//! the picture, and it is closed with a trailer. The decoder checks whether the codes suffice for all pixels.

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::limits::{check_memory, check_pixels};
use crate::rejection::Rejection;
use crate::settings::{Animated, ImageType, Settings};

use super::outline::{Essence, Outline};

/// Walks the blocks. `bytes` begins with GIF's signature.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let missing = || Rejection::Truncated("GIF ends before its picture does");
    let &[w0, w1, h0, h1, packed, background, aspect] = bytes
        .get(6..)
        .and_then(|rest| rest.first_chunk::<7>())
        .ok_or_else(missing)?;
    let number = |bytes: [u8; 2]| u32::from(u16::from_le_bytes(bytes));
    check_pixels(number([w0, w1]), number([h0, h1]), settings)?;

    let mut at = 13 + colours(packed);
    let mut kept: Vec<Cow<'a, [u8]>> = vec![Cow::Borrowed(bytes.get(13..at).ok_or_else(missing)?)];
    let mut picture: Option<[u8; 8]> = None;
    let mut is_cut = false;
    loop {
        let start = at;
        match bytes.get(at) {
            None if picture.is_some() => break,
            None => return Err(missing()),
            // An extension: only the graphic control affects pixels.
            Some(0x21) => {
                let end = bytes.get(at + 1).and_then(|_| after_blocks(bytes, at + 2));
                let Some(end) = end else {
                    if picture.is_some() {
                        break;
                    }
                    return Err(missing());
                };
                at = end;
                if bytes[start + 1] == 0xf9 && picture.is_none() {
                    kept.push(Cow::Borrowed(&bytes[start..at]));
                }
            }
            Some(0x2c) if picture.is_some() => {
                if settings.animated == Animated::Reject {
                    return Err(Rejection::Animated(ImageType::Gif));
                }
                break;
            }
            Some(0x2c) => {
                let &[ref place @ .., packed] = bytes
                    .get(at + 1..)
                    .and_then(|rest| rest.first_chunk::<9>())
                    .ok_or_else(missing)?;
                picture = Some(*place);
                // The colours, and the code size.
                let codes = at + 10 + colours(packed) + 1;
                kept.push(Cow::Borrowed(bytes.get(start..codes).ok_or_else(missing)?));
                // All of the codes, or as many as there are: the decoder checks whether they suffice.
                if let Some(end) = after_blocks(bytes, codes) {
                    at = end;
                    kept.push(Cow::Borrowed(&bytes[codes..at]));
                } else {
                    is_cut = true;
                    kept.push(Cow::Owned(closed(&bytes[codes..])));
                    break;
                }
            }
            Some(0x3b) => break,
            // Some encoders terminate their blocks twice.
            Some(0) => at += 1,
            // Bytes after the picture do not belong to it.
            Some(_) if picture.is_some() => break,
            Some(_) => return Err(Rejection::corrupt("GIF has an unknown block")),
        }
    }
    let Some([x0, x1, y0, y1, pw0, pw1, ph0, ph1]) = picture else {
        return Err(Rejection::Truncated("GIF has no picture"));
    };
    let (picture_width, picture_height) = (number([pw0, pw1]), number([ph0, ph1]));
    if picture_width == 0 || picture_height == 0 {
        return Err(Rejection::corrupt("GIF has no width or no height"));
    }
    // A canvas that is too small for its picture, or has no size, grows: browsers show the whole picture.
    let grown = |canvas: u32, start: [u8; 2], side: u32| canvas.max(number(start) + side);
    let width = grown(number([w0, w1]), [x0, x1], picture_width);
    let height = grown(number([h0, h1]), [y0, y1], picture_height);
    let pixels = check_pixels(width, height, settings)?;
    let (Ok(across), Ok(down)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(Rejection::corrupt("GIF picture is beyond any canvas"));
    };
    let [[w0, w1], [h0, h1]] = [across, down].map(u16::to_le_bytes);
    let screen = [w0, w1, h0, h1, packed, background, aspect];
    kept.insert(0, Cow::Owned([&bytes[..6], &screen].concat()));
    kept.push(Cow::Borrowed(&[0x3b]));

    // All pieces joined, including those written here.
    let essence_bytes: u64 = kept
        .iter()
        .map(|piece| piece.len() as u64 * if matches!(piece, Cow::Owned(_)) { 2 } else { 1 })
        .sum();
    let memory = check_memory(
        (width, height),
        Orientation::NoTransforms,
        // The decoded frame, and RGBA.
        pixels * 8 + essence_bytes,
        pixels * 4,
        true,
        settings,
    )?;
    Ok(Outline {
        width,
        height,
        orientation: Orientation::NoTransforms,
        memory,
        colours: None,
        frame: None,
        is_cut,
        essence: Essence::File(kept),
    })
}

/// A block chain that is truncated by the end of the file, closed.
fn closed(blocks: &[u8]) -> Vec<u8> {
    let mut closed = Vec::with_capacity(blocks.len() + 1);
    let mut at = 0;
    while let Some(length) = blocks.get(at).filter(|length| **length > 0) {
        let block = &blocks[at + 1..blocks.len().min(at + 1 + usize::from(*length))];
        if !block.is_empty() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most what a byte can hold"
            )]
            closed.push(block.len() as u8);
            closed.extend(block);
        }
        at += 1 + usize::from(*length);
    }
    closed.push(0);
    closed
}

/// The bytes of a colour table, from the field that announces it.
fn colours(packed: u8) -> usize {
    if packed & 0x80 == 0 {
        0
    } else {
        3 << ((packed & 7) + 1)
    }
}

/// The end of a block chain: each block is preceded by its length, and the last is empty.
fn after_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}
