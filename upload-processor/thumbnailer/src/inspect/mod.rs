//! Looks at an upload's bytes before any decoder does: what are they, may they be here, are they all there?
//!
//! [`inspect`] is the way from untrusted bytes to an [`Inspected`], which only it can make. It compares size,
//! SHA-256, type by magic number and declared type; then one small parser per format walks the headers and
//! refuses what is animated, truncated, or too much to decode, from the numbers alone. Bytes decide, not
//! claims: the declared type picks no code path (CVE-2026-66066 was a claim that picked a decoder).
//!
//! The parsers never index without a check, allocate nothing that the file's claims could size (a progressive
//! JPEG's one bit per coefficient comes after the budget check), and read each byte a bounded number of times.
//! They also note which parts of the file the pixels need: decoders get these and nothing else, so that no
//! metadata parser but the EXIF orientation's ever sees an upload. Where only decoding can tell whether all pixels
//! are there (PNG, GIF), that is left to the decoder.

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

/// What the uploader said about the bytes when the form was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The object's content type. `None`, empty and the `octet-stream` types declare nothing.
    pub content_type: Option<String>,
    /// The digest that the form pinned.
    pub sha256: Option<[u8; 32]>,
}

/// An upload that may be decoded: of an allowed type, within every budget, not animated. A JPEG and a WebP are complete; of
/// a PNG and a GIF the decoder decides.
#[derive(Debug)]
pub struct Inspected<'a> {
    image_type: ImageType,
    bytes: u64,
    sha256: [u8; 32],
    outline: Outline<'a>,
}

/// A frame of an animation, which need not cover all of the canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// What a format's parser learned.
#[derive(Debug)]
struct Outline<'a> {
    width: u32,
    height: u32,
    orientation: Orientation,
    /// Estimated peak of decoding and rendering, in bytes, beside the upload.
    memory: u64,
    /// What the file says of its colours.
    colours: Option<Colours>,
    /// Where on the picture the essence lies, if it does not fill it.
    frame: Option<Frame>,
    /// The file ends before the essence does; all pixels may still be there.
    is_cut: bool,
    essence: Essence<'a>,
}

/// The parts of a file that the pixels need, and nothing else.
#[derive(Debug)]
pub(crate) enum Essence<'a> {
    /// Laid end to end, a file of the same pixels and no metadata; of a JPEG the file itself, whose decoder reads nothing
    /// else.
    File(Vec<Cow<'a, [u8]>>),
    Png(Stored<'a>),
    /// The bitstream of a lossy WebP without alpha.
    Vp8(&'a [u8]),
}

impl Essence<'_> {
    /// Pieces of a file put together.
    pub(crate) fn joined<'b>(pieces: &'b [Cow<'_, [u8]>]) -> Cow<'b, [u8]> {
        match pieces {
            [whole] => Cow::Borrowed(whole),
            pieces => Cow::Owned(pieces.concat()),
        }
    }
}

/// Checks everything that can be checked without decoding pixels.
///
/// The order is that of usefulness to the person who uploaded: bytes that changed on the way are reported as
/// such, not as the corrupt image that they may have become.
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

    /// Size of the whole upload, in bytes.
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

    /// How the stored picture must be turned to be seen upright.
    pub fn orientation(&self) -> Orientation {
        self.outline.orientation
    }

    /// The estimated peak of decoding and rendering, in bytes, beside the upload itself.
    pub fn memory(&self) -> u64 {
        self.outline.memory
    }

    /// Where on the picture the essence lies, if it does not fill it.
    pub(crate) fn frame(&self) -> Option<Frame> {
        self.outline.frame
    }

    /// Whether the file ends before the essence does.
    pub(crate) fn is_cut(&self) -> bool {
        self.outline.is_cut
    }

    /// The colour profile (ICC.1) that counts for this file, unread.
    pub fn profile(&self) -> Option<&[u8]> {
        match &self.outline.colours {
            Some(Colours::Profile(profile)) => Some(profile),
            _ => None,
        }
    }

    /// What the file says of its colours.
    pub(crate) fn colours(&self) -> Option<&Colours> {
        self.outline.colours.as_ref()
    }

    pub(crate) fn essence(&self) -> &Essence<'_> {
        &self.outline.essence
    }
}

/// Whether a declared type speaks of the type that was found.
fn agrees(declared: &str, found: ImageType) -> bool {
    let declared = declared
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match declared.as_str() {
        // Browsers that do not know a file's type, and S3 when nobody told it.
        "" | "application/octet-stream" | "binary/octet-stream" => true,
        // Never registered, but what some programs send.
        "image/jpg" | "image/pjpeg" => found == ImageType::Jpeg,
        declared => declared == found.content_type(),
    }
}

/// The pixel budget, from the header's claim.
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

/// The memory budget, from a format's estimate for decoding, what is left of that to make renditions from, and the
/// common estimate for those; JPEG has its own.
///
/// An upper bound, which `tests/it/memory.rs` measures for every kind of file.
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
    // The orientation decides which side becomes the width, and so how large the renditions of a panorama are.
    let sizes = plan(upright(stored, orientation), &settings.widths);
    let largest = sizes.first().copied().unwrap_or_default();
    let made: u64 = sizes.iter().map(|size| channels * area(*size)).sum();
    // The resizer keeps the source, and a premultiplied copy of it where there is alpha.
    let source = decoded + if alpha { 4 * area(stored) } else { 0 };
    // Between its two passes the resizer has the new width and the old height. Turning a picture and converting its
    // colours copy it.
    let between = channels * area((upright(largest, orientation).0, stored.1));
    let copies = 2 * channels * area(largest);
    // The resizer keeps six weights for each sample of a row and of a column: little for a photo, gigabytes for a single row
    // of 50 megapixels.
    let weights = WEIGHTS * (u64::from(stored.0) + u64::from(stored.1));
    let resizing = source + between + made + copies + weights;
    let encoder = if alpha { ALPHA_ENCODER } else { ENCODER };
    let encoding = made + encoder * area(largest);
    within_budget(decoding.max(resizing).max(encoding), settings)
}

/// Bytes of six weights, in 64 bits and again in 16.
const WEIGHTS: u64 = 64;
/// Bytes a pixel that an encoder takes, libwebp's and ours.
const ENCODER: u64 = 14;
/// libwebp packs alpha like a lossless picture.
const ALPHA_ENCODER: u64 = 36;

fn within_budget(needed: u64, settings: &Settings) -> Result<u64, Rejection> {
    let max = settings.max_memory();
    if needed > max {
        return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
    }
    Ok(needed)
}

/// The orientation in an EXIF block, which may begin with the `Exif\0\0` of JPEG; `None` if it has none of the eight.
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
    fn a_declared_type_agrees_or_not() {
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
    fn nonsense_in_exif_is_no_orientation() {
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
