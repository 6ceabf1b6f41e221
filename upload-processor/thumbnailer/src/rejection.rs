//! The table of reasons for rejecting an upload.
//!
//! Every check of this crate answers with a [`Rejection`], and the manifest carries its [`code`](Rejection::code) and
//! its [`message`](Rejection::message). A rejection is final: the same bytes would be rejected again, so it is never
//! retried. Transient failures (the store is unavailable, the queue is slow) are not in this table.
//!
//! There are three texts for three readers. The code is for programs, the message for the uploader, and `Display` is
//! the line in the operator's log, with the numbers and the technical detail.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use media_contract::size;

use crate::settings::ImageType;

/// A failed check, with the expected and the actual value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// More than one frame. A thumbnail of the first one would misrepresent the upload.
    #[error("animated {0}")]
    Animated(ImageType),
    /// The bytes do not match the SHA-256 that the browser announced.
    #[error("SHA-256 is {}, expected {}", HEXLOWER.encode(found), HEXLOWER.encode(expected))]
    ChecksumMismatch {
        /// The digest that was pinned when the form was signed.
        expected: [u8; 32],
        /// The digest of the received bytes.
        found: [u8; 32],
    },
    /// The file violates its format, or its decoder failed.
    #[error("corrupt: {0}")]
    Corrupt(Cow<'static, str>),
    /// A malware scanner found a threat.
    #[error("malware")]
    Malware,
    /// The malware scanner could not examine it, so it may be harmful.
    #[error("the malware scanner could not examine it")]
    NotScanned,
    /// The processor time is used up; contains the step that was not started.
    #[error("time used up before {0}")]
    Timeout(&'static str),
    /// Decoding would take more work or memory than its pixels justify.
    #[error("too complex: {0}")]
    TooComplex(Complexity),
    /// More bytes than the settings allow.
    #[error("{bytes} bytes, at most {max} allowed")]
    TooLarge {
        /// Size of the upload.
        bytes: u64,
        /// The settings' `max_bytes`.
        max: u64,
    },
    /// More pixels in the header than the settings allow.
    #[error("{width}×{height} pixels, at most {max} allowed")]
    TooManyPixels {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// The settings' `max_pixels`.
        max: u64,
    },
    /// No bytes at all.
    #[error("empty upload")]
    TooSmall,
    /// The file is truncated; contains what is missing.
    #[error("truncated: {0}")]
    Truncated(&'static str),
    /// The bytes are an image of another type than the declared one.
    #[error("declared {declared:?}, found {found}")]
    TypeMismatch {
        /// The declared content type, as received.
        declared: String,
        /// The actual type of the bytes.
        found: ImageType,
    },
    /// The bytes are not of an accepted type.
    #[error("unsupported type: {0}")]
    UnsupportedType(Unsupported),
}

/// The exceeded limit, in [`Rejection::TooComplex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Complexity {
    /// The encoder of a rendition ran out of memory.
    #[error("a rendition of {width}×{height} could not be encoded")]
    Encoding {
        /// Width of the rendition.
        width: u32,
        /// Height of the rendition.
        height: u32,
    },
    /// The decoder's working set, estimated from the header.
    #[error("decoding takes about {needed} bytes of memory, at most {max} allowed")]
    Memory {
        /// Estimated bytes.
        needed: u64,
        /// The budget that follows from the settings.
        max: u64,
    },
    /// A progressive JPEG with very many scans: each costs a pass over the whole picture, and 100 bytes suffice for
    /// one.
    #[error("more than {max} scans")]
    Scans {
        /// The maximum number.
        max: usize,
    },
    /// Scans times blocks: a few scans over a huge picture cost as much as many over a small one.
    #[error("scans visit {blocks} blocks, at most {max} allowed")]
    Work {
        /// Blocks visited by all scans so far.
        blocks: u64,
        /// The maximum number.
        max: u64,
    },
}

/// The actual kind of the bytes, in [`Rejection::UnsupportedType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsupported {
    /// AV1 image.
    Avif,
    /// Windows bitmap.
    Bmp,
    /// HEIC or another HEIF from an unknown camera.
    Heic,
    /// HEIC from an iPhone, whose cameras use it by default.
    HeicOfApple,
    /// HEIC from a Samsung phone, whose setting is called "high efficiency pictures".
    HeicOfSamsung,
    /// JPEG with arithmetic coding.
    JpegArithmetic,
    /// JPEG with more than 8 bits per sample.
    JpegDeep,
    /// JPEG with hierarchical (differential) frames.
    JpegHierarchical,
    /// JPEG with a component layout that the decoder does not support.
    JpegLayout,
    /// Lossless JPEG (SOF3), found in raw and medical files.
    JpegLossless,
    /// JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    Jxl,
    /// A supported type that the settings do not list.
    NotAllowed(ImageType),
    /// PDF document.
    Pdf,
    /// `CgBI`: PNG as Xcode rewrites it for app resources. Other decoders cannot read it.
    PngCgbi,
    /// Raw sensor data in a camera maker's own format.
    Raw,
    /// SVG or other XML: documents with scripts, never accepted as images.
    Svg,
    /// TIFF, and raw formats that are indistinguishable from it.
    Tiff,
    /// None of the above.
    Unknown,
    /// MP4, `QuickTime` and relatives.
    Video,
}

impl Rejection {
    /// A violation of the format's rules.
    pub fn corrupt(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Corrupt(detail.into())
    }

    /// The stable code of the manifest.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Animated(_) => "animated",
            Self::ChecksumMismatch { .. } => "checksum_mismatch",
            Self::Corrupt(_) => "corrupt",
            Self::Malware => "malware",
            Self::NotScanned => "not_scanned",
            Self::Timeout(_) => "timeout",
            Self::TooComplex(_) => "too_complex",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyPixels { .. } => "too_many_pixels",
            Self::TooSmall => "too_small",
            Self::Truncated(_) => "truncated",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::UnsupportedType(_) => "unsupported_type",
        }
    }

    /// A sentence or two for the uploader: what is wrong, and what to do about it.
    pub fn message(&self) -> String {
        match self {
            Self::Animated(found) => format!(
                "This {} is animated. Please upload a still picture.",
                found.name()
            ),
            Self::ChecksumMismatch { .. } => {
                "The file changed on its way here. Please upload it again.".into()
            }
            Self::Corrupt(_) => {
                "This file is damaged and cannot be shown in full. Please export or take the picture again.".into()
            }
            Self::Malware => {
                "Something harmful was found in this file, so it was not taken.".into()
            }
            Self::NotScanned => {
                "This file could not be checked for harmful content, so it was not accepted. Please save the picture as a normal JPEG or PNG and upload that.".into()
            }
            Self::Timeout(_) => {
                "This picture took too long to process. Please upload a smaller version.".into()
            }
            Self::TooComplex(_) => {
                "This picture is stored in an unusually demanding way. Please save it as a normal JPEG or PNG and upload that.".into()
            }
            // The size is rounded up and the limit down, so that they differ however near they are.
            Self::TooLarge { bytes, max } => format!(
                "This file is {}. The limit is {}. Please upload a smaller version.",
                size::of(*bytes),
                size::limit(*max)
            ),
            Self::TooManyPixels { width, height, max } => format!(
                "This picture has {width} × {height} pixels. The limit is {} megapixels. Please upload a smaller version.",
                max / 1_000_000
            ),
            Self::TooSmall => "This file is empty.".into(),
            Self::Truncated(_) => {
                "This file is incomplete: its end is missing. Please upload it again from the original.".into()
            }
            Self::TypeMismatch { declared, found } => format!(
                "This file was sent as {}, but it is a {}. Please give it the right file extension and upload it again.",
                // The text is untrusted and ends up on somebody's page: keep it short and plain.
                declared
                    .chars()
                    .filter(|character| character.is_ascii_alphanumeric() || "/.+-".contains(*character))
                    .take(40)
                    .collect::<String>(),
                found.name()
            ),
            Self::UnsupportedType(found) => found.message(),
        }
    }
}

impl Unsupported {
    fn message(self) -> String {
        match self {
            Self::Heic => "HEIC photos are not supported. Please save this one as JPEG and upload that.".into(),
            Self::HeicOfApple => "HEIC photos are not supported. On your iPhone, choose Settings > Camera > Formats > \
                 Most Compatible for new photos, or share this one as JPEG."
                .into(),
            Self::HeicOfSamsung => "HEIC photos are not supported. On your phone, turn off high efficiency pictures in the \
                 camera's settings for new photos, or save this one as JPEG."
                .into(),
            Self::PngCgbi => "This PNG was taken out of an iPhone or Mac app, and only such apps can show it. Please upload \
                 the original picture."
                .into(),
            Self::Raw => "This is a raw photo, which browsers cannot show. Please export it as JPEG from your camera or \
                 your photo program."
                .into(),
            Self::JpegArithmetic
            | Self::JpegDeep
            | Self::JpegHierarchical
            | Self::JpegLayout
            | Self::JpegLossless => format!(
                "This is {self}, which browsers cannot show either. Please save it as a normal JPEG."
            ),
            Self::Unknown => {
                "This file is not a picture that we recognise. Please upload a JPEG, PNG or WebP.".into()
            }
            Self::NotAllowed(found) => format!(
                "{} pictures are not accepted here. Please convert this one to another format.",
                found.name()
            ),
            Self::Svg => "SVG and other XML files are not accepted, because they can carry scripts. Please export \
                 the drawing as PNG."
                .into(),
            Self::Video => "This is a video. Please upload a picture.".into(),
            other => format!("{other} is not supported. Please convert the picture to JPEG, PNG or WebP."),
        }
    }
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Avif => "AVIF",
            Self::Bmp => "BMP",
            Self::Heic => "HEIC",
            Self::HeicOfApple => "HEIC of an iPhone",
            Self::HeicOfSamsung => "HEIC of a Samsung phone",
            Self::JpegArithmetic => "a JPEG with arithmetic coding",
            Self::JpegDeep => "a JPEG of more than 8 bits per sample",
            Self::JpegHierarchical => "a hierarchical JPEG",
            Self::JpegLayout => "a JPEG with an unusual component layout",
            Self::JpegLossless => "a lossless JPEG",
            Self::Jpeg2000 => "JPEG 2000",
            Self::Jxl => "JPEG XL",
            Self::NotAllowed(found) => {
                return write!(formatter, "{found} is not in the allow-list");
            }
            Self::Pdf => "PDF",
            Self::PngCgbi => "a PNG of Xcode's (CgBI)",
            Self::Raw => "a camera's raw format",
            Self::Svg => "SVG or XML",
            Self::Tiff => "TIFF",
            Self::Unknown => "no known image format",
            Self::Video => "video",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_code_its_message_and_its_log_line() {
        let table = [
            (
                Rejection::Animated(ImageType::WebP),
                "animated",
                "This WebP is animated. Please upload a still picture.",
                "animated image/webp",
            ),
            (
                Rejection::TooLarge {
                    bytes: 26_214_401,
                    max: 26_214_400,
                },
                "too_large",
                "This file is 25.1 MB. The limit is 25 MB. Please upload a smaller version.",
                "26214401 bytes, at most 26214400 allowed",
            ),
            (
                Rejection::TooManyPixels {
                    width: 60_000,
                    height: 60_000,
                    max: 50_000_000,
                },
                "too_many_pixels",
                "This picture has 60000 × 60000 pixels. The limit is 50 megapixels. Please upload a smaller version.",
                "60000×60000 pixels, at most 50000000 allowed",
            ),
            (
                Rejection::TypeMismatch {
                    declared: "image/png<b>".into(),
                    found: ImageType::Jpeg,
                },
                "type_mismatch",
                "This file was sent as image/pngb, but it is a JPEG. Please give it the right file extension and upload it again.",
                "declared \"image/png<b>\", found image/jpeg",
            ),
            (
                Rejection::NotScanned,
                "not_scanned",
                "This file could not be checked for harmful content, so it was not accepted. Please save the picture as a normal JPEG or PNG and upload that.",
                "the malware scanner could not examine it",
            ),
            (
                Rejection::UnsupportedType(Unsupported::HeicOfApple),
                "unsupported_type",
                "HEIC photos are not supported. On your iPhone, choose Settings > Camera > Formats > Most Compatible for new photos, or share this one as JPEG.",
                "unsupported type: HEIC of an iPhone",
            ),
            (
                Rejection::UnsupportedType(Unsupported::Raw),
                "unsupported_type",
                "This is a raw photo, which browsers cannot show. Please export it as JPEG from your camera or your photo program.",
                "unsupported type: a camera's raw format",
            ),
            (
                Rejection::UnsupportedType(Unsupported::JpegArithmetic),
                "unsupported_type",
                "This is a JPEG with arithmetic coding, which browsers cannot show either. Please save it as a normal JPEG.",
                "unsupported type: a JPEG with arithmetic coding",
            ),
            (
                Rejection::Truncated("no end-of-image marker"),
                "truncated",
                "This file is incomplete: its end is missing. Please upload it again from the original.",
                "truncated: no end-of-image marker",
            ),
        ];
        for (rejection, code, message, log) in table {
            assert_eq!(rejection.code(), code);
            assert_eq!(rejection.message(), message);
            assert_eq!(rejection.to_string(), log);
        }
    }

    #[test]
    fn sizes_have_the_units_of_the_page() {
        const MIB: u64 = 1 << 20;
        for (bytes, max, message) in [
            (11, 10, "This file is 11 B. The limit is 10 B."),
            (1025, 1024, "This file is 2 KB. The limit is 1 KB."),
            (MIB + 1, MIB, "This file is 1.1 MB. The limit is 1 MB."),
            (
                26 * MIB,
                25 * MIB,
                "This file is 26 MB. The limit is 25 MB.",
            ),
            (
                2_000_001,
                2_000_000,
                "This file is 2 MB. The limit is 1.9 MB.",
            ),
        ] {
            let found = Rejection::TooLarge { bytes, max }.message();
            assert_eq!(
                found,
                format!("{message} Please upload a smaller version."),
                "{bytes} {max}"
            );
        }
    }
}
