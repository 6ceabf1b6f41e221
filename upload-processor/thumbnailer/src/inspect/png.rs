//! Walks a PNG's chunks (PNG third edition, §5 and §11) as far as the picture needs.
//!
//! Reads IHDR, the palette, transparency, orientation and colour information, counts the frames of an APNG, and records
//! where the image data begins. Chunks after the image data contain no pixels. Browsers show a picture whose IEND is
//! missing or whose last chunk is truncated, so it is accepted. `png::decode` checks whether the image data itself is
//! complete: it counts rows and checks the Adler-32.

use std::io::Read as _;
use std::sync::Arc;

use flate2::read::ZlibDecoder;
use image::metadata::Orientation;

use crate::bytes::be_u32;
use crate::colour::{Colours, Described, MAX_PROFILE_BYTES};
use crate::exif::orientation_tag;
use crate::limits::{check_memory, check_pixels};
use crate::png::chunk::{Chunk, chunk};
use crate::png::{Header, Stored};
use crate::rejection::{Rejection, Unsupported};
use crate::settings::{Animated, ImageType, Settings};

use super::outline::{Essence, Outline};

/// Walks the chunks. `bytes` begins with PNG's signature.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let first = chunk(bytes, SIGNATURE)?;
    match &first.kind {
        b"IHDR" => {}
        // Xcode's own format for app resources: no zlib header, blue before red.
        b"CgBI" => return Err(Rejection::UnsupportedType(Unsupported::PngCgbi)),
        _ => return Err(Rejection::corrupt("PNG does not begin with IHDR")),
    }
    let header = parse_header(first.data)?;
    let pixels = check_pixels(header.width, header.height, settings)?;
    // The decoder refuses wrong checksums here, as it does for the image data.
    let mut is_intact = first.check_crc().is_ok();

    let mut found = Found::default();
    let mut at = first.end;
    let data = loop {
        let rest = &bytes[at..];
        // A truncated chunk may still contain the whole picture.
        if rest.get(4..8) == Some(b"IDAT") {
            break rest;
        }
        let chunk = chunk(bytes, at)?;
        match &chunk.kind {
            b"IHDR" => return Err(Rejection::corrupt("PNG has two IHDR chunks")),
            b"IEND" => return Err(Rejection::Truncated("PNG has no image data")),
            // A second palette is an error, as in libpng.
            b"PLTE" if found.palette.is_some() => {
                return Err(Rejection::corrupt("PNG has two palettes"));
            }
            b"PLTE" => {
                is_intact &= chunk.check_crc().is_ok();
                found.palette = Some(chunk.data);
            }
            // §5.4: an upper-case first letter marks a critical chunk, without which the picture cannot be decoded.
            unknown if unknown[0].is_ascii_uppercase() => {
                return Err(Rejection::corrupt("PNG has an unknown critical chunk"));
            }
            _ => found.note(&chunk, &header),
        }
        at = chunk.end;
    };
    found.note_rest(bytes, at);
    if settings.animated == Animated::Reject && found.is_animated() {
        return Err(Rejection::Animated(ImageType::Png));
    }

    let stored = Stored {
        palette: match (found.palette, header.is_palette()) {
            (Some(palette), true) => check_palette(palette)?,
            (None, true) => return Err(Rejection::corrupt("PNG has no palette")),
            (_, false) => &[],
        },
        transparency: found.transparency,
        is_intact,
        header,
        data,
    };
    let colours = found.colours();
    let size = (header.width, header.height);
    let alpha = stored.has_alpha();
    let memory = check_memory(
        size,
        found.orientation.unwrap_or(Orientation::NoTransforms),
        stored.memory(pixels),
        stored.decoded(pixels),
        alpha,
        settings,
    )?;
    Ok(Outline {
        width: header.width,
        height: header.height,
        orientation: found.orientation.unwrap_or(Orientation::NoTransforms),
        memory,
        colours,
        frame: None,
        is_cut: false,
        essence: Essence::Png(stored),
    })
}

/// The chunks before the image data.
#[derive(Default)]
struct Found<'a> {
    palette: Option<&'a [u8]>,
    transparency: Option<&'a [u8]>,
    orientation: Option<Orientation>,
    /// The number of frames in acTL.
    frames_announced: Option<u32>,
    /// The number of fcTL chunks.
    n_frames: u32,
    /// Whether one of them is before the image data.
    is_first_frame: bool,
    /// Whether there is an IEND.
    has_end: bool,
    profile: Option<&'a [u8]>,
    cicp: Option<[u8; 4]>,
    srgb: bool,
    gamma: Option<u32>,
    chromaticities: Option<[u32; 8]>,
    peak: Option<f32>,
}

impl<'a> Found<'a> {
    /// Records an ancillary chunk; the first of its kind counts. A chunk with a wrong checksum or a wrong length is
    /// ignored, as in libpng. Orientation is the exception: a sideways photo is worse.
    fn note(&mut self, chunk: &Chunk<'a>, header: &Header) {
        if chunk.kind != *b"eXIf" && chunk.check_crc().is_err() {
            return;
        }
        let data = chunk.data;
        match &chunk.kind {
            b"tRNS" if self.transparency.is_none() => {
                let is_right = match header.transparency_bytes() {
                    Some(length) => data.len() == length,
                    None => {
                        header.is_palette()
                            && self.palette.is_some_and(|palette| {
                                (1..=palette.len() / 3).contains(&data.len())
                            })
                    }
                };
                self.transparency = is_right.then_some(data);
            }
            b"acTL" => self.frames_announced = self.frames_announced.or(be_u32(data, 0)),
            b"fcTL" => self.n_frames += 1,
            b"eXIf" if self.orientation.is_none() => {
                self.orientation = orientation_tag(data);
            }
            b"iCCP" if self.profile.is_none() => self.profile = Some(data),
            b"cICP" if self.cicp.is_none() => self.cicp = data.try_into().ok(),
            b"sRGB" => self.srgb = true,
            b"gAMA" if self.gamma.is_none() && data.len() == 4 => self.gamma = be_u32(data, 0),
            b"cHRM" if self.chromaticities.is_none() && data.len() == 32 => {
                self.chromaticities = Some(std::array::from_fn(|idx| {
                    be_u32(data, 4 * idx).unwrap_or_default()
                }));
            }
            // §11.3.2.8: the brightest pixel, in ten-thousandths of a candela per square metre.
            b"cLLI" if self.peak.is_none() => self.peak = be_u32(data, 0).and_then(nits),
            // §11.3.2.7: the peak of the mastering screen, after eight chromaticities.
            b"mDCV" if self.peak.is_none() => self.peak = be_u32(data, 16).and_then(nits),
            _ => {}
        }
    }

    /// Reads the chunks after the image data, all of which may be missing.
    fn note_rest(&mut self, bytes: &'a [u8], mut at: usize) {
        self.is_first_frame = self.n_frames > 0;
        while let Ok(chunk) = chunk(bytes, at) {
            at = chunk.end;
            match &chunk.kind {
                b"fcTL" => self.n_frames += 1,
                b"eXIf" if self.orientation.is_none() => {
                    self.orientation = orientation_tag(chunk.data);
                }
                b"IEND" => {
                    self.has_end = true;
                    return;
                }
                _ => {}
            }
        }
    }

    /// Whether it is animated. Frames are counted, because encoders also write acTL for a single frame. Without IEND
    /// the count is not reliable, and acTL is trusted.
    fn is_animated(&self) -> bool {
        let Some(announced) = self.frames_announced else {
            return false;
        };
        let n_frames = if self.has_end {
            self.n_frames
        } else {
            self.n_frames.max(announced)
        };
        // Without a preceding fcTL the image data does not belong to the animation: a single frame is then a second
        // picture.
        n_frames > u32::from(self.is_first_frame)
    }

    /// The colour information that applies. §4.3: cICP takes precedence over iCCP, then sRGB, then gAMA and cHRM.
    fn colours(&self) -> Option<Colours> {
        if let Some(described) = self
            .cicp
            .and_then(|cicp| Described::of_cicp(cicp, self.peak))
        {
            return Some(Colours::Described(described));
        }
        if let Some(profile) = self.profile.and_then(unpack_profile) {
            return Some(Colours::Profile(profile));
        }
        if self.srgb {
            return None;
        }
        Described::of_gamma(self.gamma, self.chromaticities).map(Colours::Described)
    }
}

/// Candelas per square metre; 0 means unknown.
#[expect(
    clippy::cast_precision_loss,
    reason = "seven digits are enough for a luminance"
)]
fn nits(value: u32) -> Option<f32> {
    (value > 0).then(|| value as f32 / 10_000.0)
}

/// The colour profile of an iCCP chunk (§11.3.2.3): a name, a zero, a zero for deflate, and deflated data.
fn unpack_profile(data: &[u8]) -> Option<Arc<[u8]>> {
    let name = data.iter().take(80).position(|byte| *byte == 0)?;
    let (0, deflated) = data[name + 1..]
        .split_first()
        .map(|(method, rest)| (*method, rest))?
    else {
        return None;
    };
    let mut profile = Vec::new();
    ZlibDecoder::new(deflated)
        .take(MAX_PROFILE_BYTES as u64 + 1)
        .read_to_end(&mut profile)
        .ok()?;
    (profile.len() <= MAX_PROFILE_BYTES).then(|| profile.into())
}

/// §11.2.2: one to 256 colours of three bytes.
fn check_palette(palette: &[u8]) -> Result<&[u8], Rejection> {
    if palette.is_empty() || !palette.len().is_multiple_of(3) || palette.len() > 768 {
        return Err(Rejection::corrupt("PNG has a palette of the wrong length"));
    }
    Ok(palette)
}

fn parse_header(data: &[u8]) -> Result<Header, Rejection> {
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
    let header = Header {
        width,
        height,
        depth,
        colour,
        interlaced: interlace == 1,
    };
    if !header.is_defined() || compression != 0 || filter != 0 || interlace > 1 {
        return Err(Rejection::corrupt(
            "IHDR has values that PNG does not define",
        ));
    }
    Ok(header)
}

const SIGNATURE: usize = 8;
