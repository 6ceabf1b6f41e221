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
//! parts of the file the pixels need: decoders get only these, so the parser of EXIF orientation (`exif`) is the only
//! metadata parser that sees an upload. For PNG and GIF only decoding can tell whether all pixels are there, so the decoder
//! checks that.

mod gif;
mod magic;
mod outline;
mod png;
mod vp8l;
mod webp;

use image::metadata::Orientation;
use sha2::{Digest, Sha256};

use crate::colour::Colours;
use crate::limits::within_budget;
use crate::rejection::{Rejection, Unsupported};
use crate::settings::{ImageType, Settings};

pub(crate) use self::outline::Essence;

use self::magic::Kind;
use self::outline::{Frame, Outline};

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
}
