//! Walks a WebP's RIFF chunks (RFC 9649).
//!
//! Reads the size from the bitstream's own header (the canvas must agree), the EXIF chunk, and the flags. Refuses a
//! picture with more than one frame, or takes the first. The decoder gets the bitstream alone, or the bitstream and its
//! alpha in a newly written container.

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::bytes::le_u32;
use crate::colour::Colours;
use crate::exif::orientation_tag;
use crate::limits::{check_memory, check_pixels};
use crate::rejection::Rejection;
use crate::settings::{Animated, ImageType, Settings};

use super::outline::{Essence, Frame, Outline};
use super::vp8l;

/// Walks the chunks. `bytes` begins with `RIFF`, a size, and `WEBP`.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let missing = Rejection::Truncated("WebP ends before its RIFF size");
    let end = le_u32(bytes, 4).map_or(0, |size| size as usize + 8);
    // Bytes after the RIFF do not belong to the picture. A truncated RIFF is refused even if only metadata is missing,
    // as in browsers and libwebp.
    let Some(riff) = bytes.get(..end) else {
        return Err(missing);
    };

    let Found {
        canvas,
        orientation,
        profile,
        alpha,
        bitstream,
        frame,
    } = Found::walk(riff, settings)?;
    let Some(bitstream) = bitstream else {
        return Err(Rejection::Truncated("WebP has no image data"));
    };
    let (width, height) = (bitstream.width, bitstream.height);
    check_pixels(width, height, settings)?;
    let size = match (&canvas, frame) {
        (Some(canvas), Some(frame)) => {
            let is_within =
                frame.x + frame.width <= canvas.width && frame.y + frame.height <= canvas.height;
            if (frame.width, frame.height) != (width, height) || !is_within {
                return Err(Rejection::corrupt(
                    "WebP frame does not match its declared size or exceeds its canvas",
                ));
            }
            (canvas.width, canvas.height)
        }
        (Some(canvas), None) if (canvas.width, canvas.height) != (width, height) => {
            return Err(Rejection::corrupt("WebP canvas and picture differ in size"));
        }
        (None, Some(_)) => return Err(Rejection::corrupt("WebP has a frame without a canvas")),
        _ => (width, height),
    };
    let frame = frame.filter(|_| size != (width, height));
    // An ALPH chunk counts only in the extended format and with its flag, as in libwebp.
    let alpha = alpha.filter(|_| {
        !bitstream.lossless
            && canvas
                .as_ref()
                .is_some_and(|canvas| canvas.flags & ALPHA != 0)
    });
    let has_alpha = alpha.is_some() || bitstream.lossless && bitstream.alpha;
    // For a picture that fills its canvas, only the planes are needed.
    let is_planes = !bitstream.lossless && !has_alpha && frame.is_none();
    let essence = if is_planes {
        Essence::Vp8(bitstream.data)
    } else {
        Essence::File(container(&bitstream, alpha))
    };
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    let (decoding, decoded) = memory(&bitstream, has_alpha, frame.map(|_| size));
    let essence_bytes: u64 = match &essence {
        Essence::File(pieces) => pieces.iter().map(|piece| piece.len() as u64).sum(),
        _ => 0,
    };
    let decoding = decoding + essence_bytes + codes(&bitstream, alpha, settings)?;
    let has_alpha = has_alpha || frame.is_some();
    let memory = check_memory(size, orientation, decoding, decoded, has_alpha, settings)?;
    Ok(Outline {
        width: size.0,
        height: size.1,
        orientation,
        memory,
        colours: profile.and_then(Colours::of_profile),
        frame,
        is_cut: false,
        essence,
    })
}

/// The content of the chunks.
#[derive(Default)]
struct Found<'a> {
    canvas: Option<Canvas>,
    orientation: Option<Orientation>,
    profile: Option<&'a [u8]>,
    alpha: Option<&'a [u8]>,
    bitstream: Option<Bitstream<'a>>,
    frame: Option<Frame>,
}

impl<'a> Found<'a> {
    fn walk(riff: &'a [u8], settings: &Settings) -> Result<Self, Rejection> {
        let rejects = settings.animated == Animated::Reject;
        let mut found = Self::default();
        let mut at = 12;
        while at < riff.len() {
            let (kind, data, next) = chunk(riff, at)?;
            at = next;
            match kind {
                // Frames are counted: a single frame is not an animation, even if the flag is set.
                b"ANMF" if found.frame.is_some() && rejects => {
                    return Err(Rejection::Animated(ImageType::WebP));
                }
                b"ANMF" if found.frame.is_some() => {}
                // The first frame represents all of them.
                b"ANMF" if found.bitstream.is_none() => {
                    let first = AnimatedFrame::parse(data)?;
                    found.frame = Some(first.at);
                    (found.bitstream, found.alpha) = (first.bitstream, first.alpha);
                }
                b"VP8X" if found.canvas.is_none() && found.bitstream.is_none() => {
                    let header = Canvas::parse(data)?;
                    check_pixels(header.width, header.height, settings)?;
                    found.canvas = Some(header);
                }
                b"ALPH" if found.alpha.is_none() => found.alpha = Some(data),
                b"VP8 " if found.bitstream.is_none() => {
                    found.bitstream = Some(Bitstream::lossy(data)?);
                }
                b"VP8L" if found.bitstream.is_none() => {
                    found.bitstream = Some(Bitstream::lossless(data)?);
                }
                b"VP8X" | b"ALPH" | b"VP8 " | b"VP8L" | b"ANMF" => {
                    return Err(Rejection::corrupt("WebP has a chunk twice or out of place"));
                }
                b"ICCP" => found.profile = found.profile.or(Some(data)),
                b"EXIF" if found.orientation.is_none() => {
                    found.orientation = orientation_tag(data);
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The bytes for decoding beside the file and the codes, and the bytes of the decoded picture. `canvas` is the size of
/// the canvas for a frame.
fn memory(bitstream: &Bitstream<'_>, alpha: bool, canvas: Option<(u32, u32)>) -> (u64, u64) {
    let pixels = u64::from(bitstream.width) * u64::from(bitstream.height);
    // The VP8 decoder copies partitions into buffers, and those into others.
    let partitions = 3 * bitstream.data.len() as u64;
    let (decoding, decoded) = match (bitstream.lossless, alpha) {
        // ARGB, from which RGB is taken.
        (true, false) => (pixels * 7, pixels * 3),
        (true, true) => (pixels * 4, pixels * 4),
        (false, false) => {
            let planes = planes_memory(bitstream.width, bitstream.height);
            (planes + planes / 4 + partitions, planes)
        }
        // Planes beside RGBA, and alpha as a lossless picture.
        (false, true) => (pixels * 21 / 2 + partitions, pixels * 4),
    };
    let Some((width, height)) = canvas else {
        return (decoding, decoded);
    };
    let canvas = 4 * u64::from(width) * u64::from(height);
    // In addition to the frame's pixels, which for a lossy frame take more than its planes.
    let rgb = if bitstream.lossless { 0 } else { 3 * pixels };
    (decoding + rgb + canvas, canvas)
}

/// The bytes of a lossy picture's planes, which consist of whole macroblocks.
fn planes_memory(width: u32, height: u32) -> u64 {
    let whole = |side: u32| u64::from(side.next_multiple_of(16));
    whole(width) * whole(height) * 3 / 2
}

/// The memory for prefix codes: only the bitstream of a lossless picture or alpha tells how many it has.
fn codes(
    bitstream: &Bitstream<'_>,
    alpha: Option<&[u8]>,
    settings: &Settings,
) -> Result<u64, Rejection> {
    let lossless = match alpha {
        _ if bitstream.lossless => bitstream.data.get(LOSSLESS_HEADER..),
        Some([info, data @ ..]) if info & 3 == LOSSLESS_ALPHA => Some(data),
        _ => None,
    };
    let size = (bitstream.width, bitstream.height);
    lossless.map_or(Ok(0), |data| {
        vp8l::memory(data, size, settings.max_memory())
    })
}

/// The chunk at `at`: its type, its data, and the offset of the next one.
fn chunk(riff: &[u8], at: usize) -> Result<(&[u8; 4], &[u8], usize), Rejection> {
    let (Some(kind), Some(size)) = (
        riff.get(at..).and_then(|rest| rest.first_chunk()),
        le_u32(riff, at + 4),
    ) else {
        return Err(Rejection::corrupt("WebP has a malformed chunk"));
    };
    let size = size as usize;
    let Some(data) = riff.get(at + 8..at + 8 + size) else {
        return Err(Rejection::Truncated("WebP chunk is longer than its file"));
    };
    // Chunks are padded to even sizes. Some writers omit the last one's padding byte.
    Ok((kind, data, at + 8 + size + size % 2))
}

struct Canvas {
    flags: u8,
    width: u32,
    height: u32,
}

impl Canvas {
    /// RFC 9649 §2.7.1: flags, three reserved bytes, width minus one and height minus one in 24 bits each.
    fn parse(data: &[u8]) -> Result<Self, Rejection> {
        let &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = data else {
            return Err(Rejection::corrupt("VP8X is too short"));
        };
        Ok(Self {
            flags,
            width: 1 + u32::from_le_bytes([w0, w1, w2, 0]),
            height: 1 + u32::from_le_bytes([h0, h1, h2, 0]),
        })
    }
}

/// The data of an ANMF chunk (RFC 9649 §2.7.1.1).
struct AnimatedFrame<'a> {
    at: Frame,
    bitstream: Option<Bitstream<'a>>,
    alpha: Option<&'a [u8]>,
}

impl<'a> AnimatedFrame<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, Rejection> {
        let &[
            x0,
            x1,
            x2,
            y0,
            y1,
            y2,
            w0,
            w1,
            w2,
            h0,
            h1,
            h2,
            _,
            _,
            _,
            _,
            ..,
        ] = data
        else {
            return Err(Rejection::corrupt("ANMF is too short"));
        };
        let number = |bytes: [u8; 3]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        let mut frame = Self {
            at: Frame {
                x: 2 * number([x0, x1, x2]),
                y: 2 * number([y0, y1, y2]),
                width: 1 + number([w0, w1, w2]),
                height: 1 + number([h0, h1, h2]),
            },
            bitstream: None,
            alpha: None,
        };
        let mut at = 16;
        while at < data.len() {
            let (kind, data, next) = chunk(data, at)?;
            at = next;
            match kind {
                b"ALPH" if frame.alpha.is_none() => frame.alpha = Some(data),
                b"VP8 " if frame.bitstream.is_none() => {
                    frame.bitstream = Some(Bitstream::lossy(data)?);
                }
                b"VP8L" if frame.bitstream.is_none() => {
                    frame.bitstream = Some(Bitstream::lossless(data)?);
                }
                _ => {}
            }
        }
        Ok(frame)
    }
}

struct Bitstream<'a> {
    lossless: bool,
    alpha: bool,
    width: u32,
    height: u32,
    data: &'a [u8],
}

impl<'a> Bitstream<'a> {
    /// RFC 6386 §9.1: frame tag, start code, width and height in 14 bits each.
    fn lossy(data: &'a [u8]) -> Result<Self, Rejection> {
        let &[
            tag0,
            tag1,
            tag2,
            0x9d,
            0x01,
            0x2a,
            w0,
            w1,
            h0,
            h1,
            ref rest @ ..,
        ] = data
        else {
            return Err(Rejection::corrupt("VP8 has no key frame header"));
        };
        let tag = u32::from_le_bytes([tag0, tag1, tag2, 0]);
        if tag & 1 != 0 {
            return Err(Rejection::corrupt("VP8 does not begin with a key frame"));
        }
        if (tag >> 5) as usize > rest.len() {
            return Err(Rejection::Truncated("VP8 ends inside its first partition"));
        }
        let width = u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff);
        let height = u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff);
        if width == 0 || height == 0 {
            return Err(Rejection::corrupt("VP8 has no width or no height"));
        }
        Ok(Self {
            lossless: false,
            alpha: false,
            width,
            height,
            data,
        })
    }

    /// RFC 9649 §3.4: signature, width minus one and height minus one in 14 bits each, alpha hint, version.
    fn lossless(data: &'a [u8]) -> Result<Self, Rejection> {
        let (Some(0x2f), Some(header)) = (data.first(), le_u32(data, 1)) else {
            return Err(Rejection::corrupt("VP8L has no header"));
        };
        if header >> 29 != 0 {
            return Err(Rejection::corrupt("VP8L has an unknown version"));
        }
        let width = 1 + (header & 0x3fff);
        let height = 1 + (header >> 14 & 0x3fff);
        Ok(Self {
            lossless: true,
            alpha: header >> 28 & 1 != 0,
            width,
            height,
            data,
        })
    }
}

/// A WebP with only the bitstream and its alpha.
fn container<'a>(bitstream: &Bitstream<'a>, alpha: Option<&'a [u8]>) -> Vec<Cow<'a, [u8]>> {
    let mut pieces = Vec::new();
    let mut add = |kind: &[u8; 4], data: Cow<'a, [u8]>| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "both fit: they were 32-bit sizes in the file"
        )]
        let size = (data.len() as u32).to_le_bytes();
        let odd = data.len() % 2 == 1;
        pieces.push(Cow::Owned([&kind[..], &size].concat()));
        pieces.push(data);
        if odd {
            pieces.push(Cow::Borrowed(&[0]));
        }
    };
    if let Some(alpha) = alpha {
        let [w0, w1, w2, _] = (bitstream.width - 1).to_le_bytes();
        let [h0, h1, h2, _] = (bitstream.height - 1).to_le_bytes();
        add(
            b"VP8X",
            Cow::Owned(vec![ALPHA, 0, 0, 0, w0, w1, w2, h0, h1, h2]),
        );
        add(b"ALPH", Cow::Borrowed(alpha));
    }
    add(
        if bitstream.lossless { b"VP8L" } else { b"VP8 " },
        Cow::Borrowed(bitstream.data),
    );

    #[expect(
        clippy::cast_possible_truncation,
        reason = "pieces of a file whose size has 32 bits"
    )]
    let size = 4 + pieces.iter().map(|piece| piece.len() as u32).sum::<u32>();
    pieces.insert(
        0,
        Cow::Owned([&b"RIFF"[..], &size.to_le_bytes(), b"WEBP"].concat()),
    );
    pieces
}

const ALPHA: u8 = 0x10;

/// Signature, sizes, alpha hint and version.
const LOSSLESS_HEADER: usize = 5;
/// The compression of an ALPH chunk (RFC 9649 §2.7.1.2).
const LOSSLESS_ALPHA: u8 = 1;
