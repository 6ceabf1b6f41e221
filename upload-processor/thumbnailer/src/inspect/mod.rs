//! Checks an upload's bytes before any decoder reads them: their type, whether it is allowed, and whether they are
//! complete.
//!
//! [`inspect`] turns untrusted bytes into an [`Inspected`], which no other function can make. It checks the size,
//! SHA-256, the type by magic number and the declared type. Then one small parser per format walks the headers. It
//! refuses animated, truncated and too expensive pictures from the numbers alone. The bytes decide, not the claims: the
//! declared type never selects a code path (in CVE-2026-66066 a claim selected a decoder).
//!
//! The parsers bounds-check every index and read each byte a bounded number of times. They allocate nothing whose size
//! the file controls; a progressive JPEG's one bit per coefficient comes after the budget check. They also record which
//! parts of the file the pixels need: decoders get only these, so the EXIF orientation parser is the only metadata
//! parser that sees an upload. For PNG and GIF only decoding can tell whether all pixels are there, so the decoder
//! checks that.

mod gif;
mod magic;
mod png;
mod vp8l;
mod webp;

use std::borrow::Cow;

use image::metadata::Orientation;
use sha2::{Digest, Sha256};

use crate::colour::Colours;
use crate::decode::upright;
use crate::jpeg;
use crate::png::Stored;
use crate::rejection::{Complexity, Rejection, Unsupported};
use crate::render::plan;
use crate::settings::{ImageType, Settings};

pub(crate) use self::png::chunk as png_chunk;

use self::magic::Kind;

/// The uploader's claims about the bytes when the form was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The object's content type. `None`, empty and the `octet-stream` types declare nothing.
    pub content_type: Option<String>,
    /// The digest that the form pinned.
    pub sha256: Option<[u8; 32]>,
}

/// An upload that may be decoded: of an allowed type, within every budget, not animated. JPEG and WebP files are
/// complete; for PNG and GIF the decoder checks that.
#[derive(Debug)]
pub struct Inspected<'a> {
    image_type: ImageType,
    bytes: u64,
    sha256: [u8; 32],
    outline: Outline<'a>,
}

/// A frame of an animation, which may cover only part of the canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The result of a format's parser.
#[derive(Debug)]
struct Outline<'a> {
    width: u32,
    height: u32,
    orientation: Orientation,
    /// The estimated peak of decoding and rendering, in bytes, excluding the upload.
    memory: u64,
    /// The colour information of the file.
    colours: Option<Colours>,
    /// The position of the essence in the picture, if it does not fill it.
    frame: Option<Frame>,
    /// Whether the file ends before the essence does; all pixels may still be there.
    is_cut: bool,
    essence: Essence<'a>,
}

/// The parts of a file that the pixels need, and nothing else.
#[derive(Debug)]
pub(crate) enum Essence<'a> {
    /// Concatenated, they form a file with the same pixels and no metadata. For JPEG this is the file itself, because
    /// its decoder reads nothing else.
    File(Vec<Cow<'a, [u8]>>),
    Png(Stored<'a>),
    /// The bitstream of a lossy WebP without alpha.
    Vp8(&'a [u8]),
}

impl Essence<'_> {
    /// Concatenates the pieces of a file.
    pub(crate) fn joined<'b>(pieces: &'b [Cow<'_, [u8]>]) -> Cow<'b, [u8]> {
        match pieces {
            [whole] => Cow::Borrowed(whole),
            pieces => Cow::Owned(pieces.concat()),
        }
    }
}

/// Checks everything that does not require decoding pixels.
///
/// The checks run in the order of usefulness to the uploader: bytes that changed in transit are reported as such, not
/// as the corrupt image that they may have become.
pub fn inspect<'a>(
    bytes: &'a [u8],
    declared: &Declared,
    settings: &Settings,
) -> Result<Inspected<'a>, Rejection> {
    let size = bytes.len() as u64;
    if size == 0 {
        return Err(Rejection::TooSmall);
    }
    if size > settings.max_bytes {
        return Err(Rejection::TooLarge {
            bytes: size,
            max: settings.max_bytes,
        });
    }
    let sha256: [u8; 32] = Sha256::digest(bytes).into();
    if let Some(expected) = declared.sha256
        && expected != sha256
    {
        return Err(Rejection::ChecksumMismatch {
            expected,
            found: sha256,
        });
    }

    let image_type = match magic::kind(bytes) {
        Kind::Image(found) if settings.types.contains(&found) => found,
        Kind::Image(found) => {
            return Err(Rejection::UnsupportedType(Unsupported::NotAllowed(found)));
        }
        Kind::Other(found) => return Err(Rejection::UnsupportedType(found)),
    };
    if let Some(content_type) = &declared.content_type
        && !agrees(content_type, image_type)
    {
        return Err(Rejection::TypeMismatch {
            declared: content_type.clone(),
            found: image_type,
        });
    }

    let mut outline = match image_type {
        ImageType::Jpeg => Outline::of_jpeg(bytes, settings)?,
        ImageType::Png => png::outline(bytes, settings)?,
        ImageType::WebP => webp::outline(bytes, settings)?,
        ImageType::Gif => gif::outline(bytes, settings)?,
    };
    outline.memory += outline.colours.as_ref().map_or(0, Colours::memory);
    within_budget(outline.memory, settings)?;
    Ok(Inspected {
        image_type,
        bytes: size,
        sha256,
        outline,
    })
}

impl<'a> Outline<'a> {
    fn of_jpeg(bytes: &'a [u8], settings: &Settings) -> Result<Self, Rejection> {
        let header = jpeg::Header::parse(bytes, settings)?;
        Ok(Self {
            width: header.width,
            height: header.height,
            orientation: header.orientation,
            memory: header.memory,
            colours: header.profile.as_deref().and_then(Colours::of_profile),
            frame: None,
            is_cut: false,
            essence: Essence::File(vec![Cow::Borrowed(bytes)]),
        })
    }
}

impl Inspected<'_> {
    /// The type of the bytes.
    pub fn image_type(&self) -> ImageType {
        self.image_type
    }

    /// The size of the whole upload, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the whole upload.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Width and height as stored, before orientation.
    pub fn stored_size(&self) -> (u32, u32) {
        (self.outline.width, self.outline.height)
    }

    /// The rotation that makes the stored picture upright.
    pub fn orientation(&self) -> Orientation {
        self.outline.orientation
    }

    /// The estimated peak of decoding and rendering, in bytes, excluding the upload itself.
    pub fn memory(&self) -> u64 {
        self.outline.memory
    }

    /// The position of the essence in the picture, if it does not fill it.
    pub(crate) fn frame(&self) -> Option<Frame> {
        self.outline.frame
    }

    /// Whether the file ends before the essence does.
    pub(crate) fn is_cut(&self) -> bool {
        self.outline.is_cut
    }

    /// The colour profile (ICC.1) that applies to this file, unparsed.
    pub fn profile(&self) -> Option<&[u8]> {
        match &self.outline.colours {
            Some(Colours::Profile(profile)) => Some(profile),
            _ => None,
        }
    }

    /// The colour information of the file.
    pub(crate) fn colours(&self) -> Option<&Colours> {
        self.outline.colours.as_ref()
    }

    pub(crate) fn essence(&self) -> &Essence<'_> {
        &self.outline.essence
    }
}

/// Whether a declared type matches the type that was found.
fn agrees(declared: &str, found: ImageType) -> bool {
    let declared = declared
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match declared.as_str() {
        // Sent by browsers that do not know a file's type, and by S3 when no type was given.
        "" | "application/octet-stream" | "binary/octet-stream" => true,
        // Never registered, but some programs send it.
        "image/jpg" | "image/pjpeg" => found == ImageType::Jpeg,
        declared => declared == found.content_type(),
    }
}

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

fn within_budget(needed: u64, settings: &Settings) -> Result<u64, Rejection> {
    let max = settings.max_memory();
    if needed > max {
        return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
    }
    Ok(needed)
}

/// The orientation in an EXIF block, which may begin with JPEG's `Exif\0\0`; `None` if the value is not one of the
/// eight.
pub(crate) fn orientation_tag(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff)
}

pub(crate) fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u16::from_be_bytes(*chunk))
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_be_bytes(*chunk))
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u32::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_type_matches_or_not() {
        use ImageType::{Jpeg, Png, WebP};
        for (declared, found, expected) in [
            ("image/jpeg", Jpeg, true),
            ("IMAGE/JPEG; q=1", Jpeg, true),
            ("image/jpg", Jpeg, true),
            ("image/jpg", Png, false),
            ("image/png", Jpeg, false),
            ("image/webp", WebP, true),
            ("application/octet-stream", WebP, true),
            ("", Png, true),
            ("text/html", Png, false),
            ("image/", Png, false),
        ] {
            assert_eq!(agrees(declared, found), expected, "{declared} {found}");
        }
    }

    #[test]
    fn malformed_exif_has_no_orientation() {
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        let turned = Some(Orientation::Rotate90);
        assert_eq!(orientation_tag(little), turned);
        assert_eq!(
            orientation_tag(&[b"Exif\0\0", &little[..]].concat()),
            turned
        );
        for length in 0..little.len() - 2 {
            assert_eq!(orientation_tag(&little[..length]), None, "{length}");
        }
        assert_eq!(orientation_tag(b"MM\0*\xff\xff\xff\xff"), None);
    }
}
