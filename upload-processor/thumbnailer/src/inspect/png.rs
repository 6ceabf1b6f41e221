//! Walks a PNG's chunks up to IEND (PNG third edition, §5 and §11).
//!
//! Reads IHDR and eXIf, refuses APNG's acTL, and keeps the critical chunks and tRNS for the decoder: no
//! compressed text is unpacked, and neither that nor a colour profile can break a good picture. Checksums are the
//! decoder's to verify, on the chunks that it gets.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::ZlibDecoder;
use image::metadata::Orientation;

use crate::rejection::Rejection;
use crate::settings::{Animated, ImageType, Settings};

use super::{Outline, be_u32, check_memory, check_pixels};

/// A profile that unpacks to more is not read. The largest for printing have some two million bytes.
const MAX_PROFILE_BYTES: u64 = 4 << 20;

/// Walks the chunks. `bytes` begins with PNG's signature.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let (kind, data, mut at) = chunk(bytes, SIGNATURE)?;
    if kind != *b"IHDR" {
        return Err(Rejection::corrupt("PNG does not begin with IHDR"));
    }
    let header = Header::parse(data)?;
    let pixels = check_pixels(header.width, header.height, settings)?;

    let mut kept = Kept {
        bytes,
        pieces: Vec::new(),
        from: 0,
        to: at,
    };
    let mut orientation = Orientation::NoTransforms;
    let mut profile = None;
    let mut has_profile = false;
    let mut transparent = false;
    let mut has_data = false;
    loop {
        let start = at;
        let (kind, data, end) = chunk(bytes, start)?;
        at = end;
        match &kind {
            b"IHDR" => return Err(Rejection::corrupt("PNG has two IHDR chunks")),
            // The picture of a PNG that is animated besides is its first frame, or stands for all of them.
            b"acTL" if settings.animated == Animated::Reject => {
                return Err(Rejection::Animated(ImageType::Png));
            }
            // §11.3.2.3: there is one, if any. Others would only be unpacked in vain.
            b"iCCP" if has_profile => {}
            b"iCCP" => {
                has_profile = true;
                profile = unpack_profile(data);
            }
            b"eXIf" => orientation = super::orientation(data),
            b"IDAT" => {
                has_data |= !data.is_empty();
                kept.add(start, end);
            }
            b"tRNS" => {
                transparent = true;
                kept.add(start, end);
            }
            b"PLTE" => kept.add(start, end),
            b"IEND" => {
                kept.add(start, end);
                break;
            }
            // §5.4: an upper-case first letter marks a chunk without which the picture cannot be read.
            unknown if unknown[0].is_ascii_uppercase() => {
                return Err(Rejection::corrupt("PNG has an unknown critical chunk"));
            }
            _ => {}
        }
    }
    if !has_data {
        return Err(Rejection::Truncated("PNG has no image data"));
    }

    let size = (header.width, header.height);
    let alpha = header.has_alpha() || transparent;
    let essence = kept.finish();
    let essence_bytes = essence.iter().map(|piece| piece.len() as u64).sum();
    let memory = check_memory(
        size,
        header.decoding(pixels, alpha),
        alpha,
        essence_bytes,
        settings,
    )?;
    Ok(Outline {
        width: header.width,
        height: header.height,
        orientation,
        memory,
        profile,
        frame: None,
        essence,
    })
}

/// The colour profile of an iCCP chunk (§11.3.2.3): a name, a zero, a zero for deflate, and deflated data.
fn unpack_profile(data: &[u8]) -> Option<Vec<u8>> {
    let name = data.iter().take(80).position(|byte| *byte == 0)?;
    let (0, deflated) = data[name + 1..]
        .split_first()
        .map(|(method, rest)| (*method, rest))?
    else {
        return None;
    };
    let mut profile = Vec::new();
    ZlibDecoder::new(deflated)
        .take(MAX_PROFILE_BYTES + 1)
        .read_to_end(&mut profile)
        .ok()?;
    (profile.len() as u64 <= MAX_PROFILE_BYTES).then_some(profile)
}

/// The chunk at `at`: its type, its data, and where it ends.
fn chunk(bytes: &[u8], at: usize) -> Result<([u8; 4], &[u8], usize), Rejection> {
    let missing = Rejection::Truncated("PNG ends before its IEND chunk");
    let (Some(length), Some(kind)) = (
        be_u32(bytes, at),
        bytes
            .get(at + 4..)
            .and_then(|rest| rest.first_chunk())
            .copied(),
    ) else {
        return Err(missing);
    };
    if !kind.is_ascii() || !kind.iter().all(u8::is_ascii_alphabetic) || length > i32::MAX as u32 {
        return Err(Rejection::corrupt("PNG has a malformed chunk"));
    }
    let data = at + 8;
    let end = data + length as usize;
    match bytes.get(data..end) {
        Some(contents) if bytes.len() - end >= CRC => Ok((kind, contents, end + CRC)),
        _ => Err(missing),
    }
}

struct Header {
    width: u32,
    height: u32,
    depth: u8,
    colour: u8,
}

impl Header {
    fn parse(data: &[u8]) -> Result<Self, Rejection> {
        let (Some(width), Some(height), &[depth, colour, compression, filter, interlace]) = (
            be_u32(data, 0),
            be_u32(data, 4),
            data.get(8..).unwrap_or_default(),
        ) else {
            return Err(Rejection::corrupt("IHDR has the wrong length"));
        };
        if width == 0 || height == 0 {
            return Err(Rejection::corrupt("PNG has no width or no height"));
        }
        let depths: &[u8] = match colour {
            GREY => &[1, 2, 4, 8, 16],
            PALETTE => &[1, 2, 4, 8],
            RGB | GREY_ALPHA | RGB_ALPHA => &[8, 16],
            _ => &[],
        };
        if !depths.contains(&depth) || compression != 0 || filter != 0 || interlace > 1 {
            return Err(Rejection::corrupt(
                "IHDR has values that PNG does not define",
            ));
        }
        Ok(Self {
            width,
            height,
            depth,
            colour,
        })
    }

    fn has_alpha(&self) -> bool {
        matches!(self.colour, GREY_ALPHA | RGB_ALPHA)
    }

    /// Bytes that decoding takes: the samples as the decoder gives them, and the RGB made from grey ones.
    fn decoding(&self, pixels: u64, alpha: bool) -> u64 {
        let alpha = u64::from(alpha);
        let grey = matches!(self.colour, GREY | GREY_ALPHA);
        let samples = if grey { 1 } else { 3 } + alpha;
        let expanded = if grey { 3 + alpha } else { 0 };
        pixels * (samples * if self.depth == 16 { 2 } else { 1 } + expanded)
    }
}

/// Collects ranges, joining neighbours: a PNG may have its data in many thousand chunks.
struct Kept<'a> {
    bytes: &'a [u8],
    pieces: Vec<Cow<'a, [u8]>>,
    from: usize,
    to: usize,
}

impl<'a> Kept<'a> {
    fn add(&mut self, from: usize, to: usize) {
        if from != self.to {
            self.pieces
                .push(Cow::Borrowed(&self.bytes[self.from..self.to]));
            self.from = from;
        }
        self.to = to;
    }

    fn finish(mut self) -> Vec<Cow<'a, [u8]>> {
        self.pieces
            .push(Cow::Borrowed(&self.bytes[self.from..self.to]));
        self.pieces
    }
}

const SIGNATURE: usize = 8;
const CRC: usize = 4;

const GREY: u8 = 0;
const RGB: u8 = 2;
const PALETTE: u8 = 3;
const GREY_ALPHA: u8 = 4;
const RGB_ALPHA: u8 = 6;
