//! What kind of file the first bytes announce.
//!
//! Called by `inspect` alone. The types that we do not read are told apart only so that the refusal can say
//! something useful; nothing is parsed beyond the signature.

use crate::rejection::Unsupported;
use crate::settings::ImageType;

/// What the first bytes announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A type with a decoder, allowed or not.
    Image(ImageType),
    /// Anything else.
    Other(Unsupported),
}

/// Tells a file's kind from its signature.
pub(super) fn kind(bytes: &[u8]) -> Kind {
    let begins = |signature: &[u8]| bytes.starts_with(signature);
    let follows = |at: usize, signature: &[u8]| {
        bytes
            .get(at..)
            .is_some_and(|rest| rest.starts_with(signature))
    };

    if begins(b"\xff\xd8\xff") {
        Kind::Image(ImageType::Jpeg)
    } else if begins(b"\x89PNG\r\n\x1a\n") {
        Kind::Image(ImageType::Png)
    } else if begins(b"RIFF") && follows(8, b"WEBP") {
        Kind::Image(ImageType::WebP)
    } else if follows(4, b"ftyp") {
        Kind::Other(iso_media(bytes))
    } else if begins(b"GIF87a") || begins(b"GIF89a") {
        Kind::Image(ImageType::Gif)
    } else if begins(b"II*\0") || begins(b"MM\0*") || begins(b"II+\0") || begins(b"MM\0+") {
        Kind::Other(Unsupported::Tiff)
    } else if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL \r\n\x87\n") {
        Kind::Other(Unsupported::Jxl)
    } else if begins(b"%PDF-") {
        Kind::Other(Unsupported::Pdf)
    } else if begins(b"\x1a\x45\xdf\xa3") || begins(b"RIFF") && follows(8, b"AVI ") {
        Kind::Other(Unsupported::Video)
    } else if begins(b"BM") && follows(6, &[0; 4]) {
        Kind::Other(Unsupported::Bmp)
    } else if is_markup(bytes) {
        Kind::Other(Unsupported::Svg)
    } else {
        Kind::Other(Unsupported::Unknown)
    }
}

/// ISO/IEC 14496-12 files name their brands in a first box: length, `ftyp`, major brand, version, others.
fn iso_media(bytes: &[u8]) -> Unsupported {
    let length = super::be_u32(bytes, 0).map_or(0, |length| length as usize);
    let brands = bytes
        .get(8..length.clamp(12, 256).min(bytes.len()))
        .unwrap_or_default();
    // `mif1` and `msf1` say no more than "HEIF container", so a codec's brand wins over them.
    let mut container = false;
    for brand in brands.chunks_exact(4) {
        match brand {
            b"avif" | b"avis" => return Unsupported::Avif,
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"hevm" | b"hevs" => {
                return Unsupported::Heic;
            }
            b"mif1" | b"msf1" => container = true,
            _ => {}
        }
    }
    if container {
        Unsupported::Heic
    } else {
        Unsupported::Video
    }
}

fn is_markup(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = &text[..text.len().min(256)];
    let text = text.trim_ascii_start();
    [&b"<svg"[..], b"<?xml", b"<!--", b"<!DOCTYPE svg"]
        .iter()
        .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        use Kind::{Image, Other};
        for (bytes, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], Image(ImageType::Jpeg)),
            (b"\x89PNG\r\n\x1a\n", Image(ImageType::Png)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Image(ImageType::WebP)),
            (b"RIFF\x10\0\0\0WAVEfmt ", Other(Unsupported::Unknown)),
            (
                b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
                Other(Unsupported::Heic),
            ),
            (
                b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf",
                Other(Unsupported::Avif),
            ),
            (b"\0\0\0\x14ftypmif1\0\0\0\0", Other(Unsupported::Heic)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", Other(Unsupported::Video)),
            (b"\xff\xff\xff\xffftyp", Other(Unsupported::Video)),
            (b"GIF89a", Image(ImageType::Gif)),
            (b"MM\0*\0\0\0\x08", Other(Unsupported::Tiff)),
            (b"\xff\x0a\xfa\x1f", Other(Unsupported::Jxl)),
            (b"%PDF-1.7", Other(Unsupported::Pdf)),
            (b"BM\x46\0\0\0\0\0\0\0\x36", Other(Unsupported::Bmp)),
            (b"\xef\xbb\xbf  <svg xmlns=", Other(Unsupported::Svg)),
            (b"BM, said the text", Other(Unsupported::Unknown)),
            (b"plain text", Other(Unsupported::Unknown)),
            (b"\xff\xd8", Other(Unsupported::Unknown)),
            (b"\0", Other(Unsupported::Unknown)),
        ] {
            assert_eq!(kind(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
