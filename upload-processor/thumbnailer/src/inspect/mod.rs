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
//! metadata parser but the EXIF orientation's ever sees an upload.

mod gif;
mod magic;
mod png;
mod vp8l;
mod webp;

use std::borrow::Cow;

use image::metadata::Orientation;
use sha2::{Digest, Sha256};

use crate::jpeg;
use crate::rejection::{Complexity, Rejection, Unsupported};
use crate::settings::{ImageType, Settings};

use self::magic::Kind;

/// What the uploader said about the bytes when the form was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The object's content type. `None`, empty and the `octet-stream` types declare nothing.
    pub content_type: Option<String>,
    /// The digest that the form pinned.
    pub sha256: Option<[u8; 32]>,
}

/// An upload that may be decoded: of an allowed type, within every budget, not animated, complete.
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
    /// The colour profile, unread.
    profile: Option<Vec<u8>>,
    /// Where on the picture the essence lies, if it does not fill it.
    frame: Option<Frame>,
    /// Laid end to end: a file of the same pixels and no metadata.
    essence: Vec<Cow<'a, [u8]>>,
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

    let outline = match image_type {
        ImageType::Jpeg => Outline::of_jpeg(bytes, settings)?,
        ImageType::Png => png::outline(bytes, settings)?,
        ImageType::WebP => webp::outline(bytes, settings)?,
        ImageType::Gif => gif::outline(bytes, settings)?,
    };
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
            profile: header.profile,
            frame: None,
            essence: vec![Cow::Borrowed(bytes)],
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

    /// The colour profile (ICC.1) that the file holds, unread.
    pub fn profile(&self) -> Option<&[u8]> {
        self.outline.profile.as_deref()
    }

    /// A file of the same pixels without metadata and without what follows the picture; of a JPEG the file itself,
    /// whose decoder reads nothing else.
    pub(crate) fn essence(&self) -> Cow<'_, [u8]> {
        match &self.outline.essence[..] {
            [Cow::Borrowed(whole)] => Cow::Borrowed(whole),
            pieces => Cow::Owned(pieces.concat()),
        }
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

/// The memory budget, from a format's estimate for decoding and the common one for rendering.
///
/// An upper bound for either orientation. Measured at 12 megapixels and the default widths, in megabytes (peak of
/// the process less the upload and the 4 that it takes anyway): PNG and WebP 92 for an estimate of 133, with alpha
/// 170 for 207. JPEG, whose planes are less than its pixels, 35 for 96, progressive 47 for 96.
pub(crate) fn check_memory(
    (width, height): (u32, u32),
    decoding: u64,
    alpha: bool,
    essence: u64,
    settings: &Settings,
) -> Result<u64, Rejection> {
    let (width, height) = (u64::from(width), u64::from(height));
    let channels = if alpha { 4 } else { 3 };
    let widest = u64::from(settings.widths.iter().copied().max().unwrap_or(0));
    // The resizer keeps the source, a premultiplied copy of it where there is alpha, and between its two
    // passes the picture at the new width and the old height; libwebp takes about 12 bytes a pixel.
    let source = width * height * if alpha { 8 } else { 3 };
    let rendition = |width: u64, height: u64| {
        let to = widest.min(width);
        channels * to * height + (channels + 12) * to * to * height / width
    };
    // Orientation decides which side becomes the width; take the costlier.
    let rendering = source + rendition(width, height).max(rendition(height, width));
    let needed = decoding.saturating_add(essence).max(rendering);
    let max = settings.max_memory();
    if needed > max {
        return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
    }
    Ok(needed)
}

/// The orientation in an EXIF block, which may begin with the `Exif\0\0` of JPEG. Nonsense counts as upright.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
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
    fn nonsense_in_exif_is_upright() {
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        assert_eq!(orientation(little), Orientation::Rotate90);
        assert_eq!(
            orientation(&[b"Exif\0\0", &little[..]].concat()),
            Orientation::Rotate90
        );
        for length in 0..little.len() - 2 {
            assert_eq!(
                orientation(&little[..length]),
                Orientation::NoTransforms,
                "{length}"
            );
        }
        assert_eq!(
            orientation(b"MM\0*\xff\xff\xff\xff"),
            Orientation::NoTransforms
        );
    }
}
