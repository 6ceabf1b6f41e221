//! Identifies the kind of a file from its first bytes.
//!
//! Called only by `inspect`. Unsupported types are distinguished only so that the refusal can be helpful; nothing
//! beyond the signature is parsed.

use crate::bytes::be_u32;
use crate::rejection::Unsupported;
use crate::settings::ImageType;

/// The kind of a file by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A type with a decoder, allowed or not.
    Image(ImageType),
    /// Anything else.
    Other(Unsupported),
}

/// Identifies a file's kind by its signature.
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
    } else if is_raw(bytes) {
        Kind::Other(Unsupported::Raw)
    } else if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xff\x4f\xff\x51") {
        Kind::Other(Unsupported::Jpeg2000)
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

/// Whether it is a raw photo: either the maker's own container, or a TIFF with a mark after its header.
fn is_raw(bytes: &[u8]) -> bool {
    // Canon's CRW and CR2, three variants of Olympus's ORF, Panasonic's RW2, Fujifilm's RAF, Sigma's X3F, Minolta's
    // MRW.
    const SIGNATURES: [&[u8]; 8] = [
        b"II\x1a\0\0\0HEAPCCDR",
        b"IIRO",
        b"IIRS",
        b"MMOR",
        b"IIU\0",
        b"FUJIFILMCCD-RAW ",
        b"FOVb",
        b"\0MRM",
    ];
    SIGNATURES
        .iter()
        .any(|signature| bytes.starts_with(signature))
        || bytes.starts_with(b"II*\0") && bytes.get(8..10) == Some(b"CR")
}

/// The kind of an ISO/IEC 14496-12 file, which lists its brands in the first box: length, `ftyp`, major brand, version,
/// others.
///
/// Many kinds of files share this container. Only known video brands count as video.
fn iso_media(bytes: &[u8]) -> Unsupported {
    let length = be_u32(bytes, 0).map_or(0, |length| length as usize);
    let brands = bytes
        .get(8..length.clamp(12, 256).min(bytes.len()))
        .unwrap_or_default();
    let has = |wanted: &[&[u8; 4]]| {
        brands
            .chunks_exact(4)
            .any(|brand| wanted.iter().any(|wanted| *wanted == brand))
    };
    if has(&[b"crx "]) {
        Unsupported::Raw
    } else if has(&[b"avif", b"avis"]) {
        Unsupported::Avif
    } else if has(&[b"jxl "]) {
        Unsupported::Jxl
    } else if has(&HEIF) {
        heic(bytes, has(&[b"MiHB", b"MiHE", b"MiPr"]))
    } else if has(&FILMS) || has_box(bytes, b"moov") {
        Unsupported::Video
    } else {
        Unsupported::Unknown
    }
}

/// ISO/IEC 23008-12: pictures and bursts in HEVC, AVC, VVC, EVC, JPEG and JPEG 2000, and the container alone, which
/// does not name the codec.
const HEIF: [&[u8; 4]; 25] = [
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"avci", b"avcs",
    b"vvic", b"vvis", b"evbi", b"evbs", b"evmi", b"evms", b"jpeg", b"jpgs", b"j2ki", b"j2is",
    b"mif1", b"mif2", b"msf1", b"miaf", b"1pic",
];

const FILMS: [&[u8; 4]; 20] = [
    b"qt  ", b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"mp71",
    b"avc1", b"hvc1", b"M4V ", b"M4VP", b"3gp4", b"3gp5", b"3gp6", b"3g2a", b"MSNV", b"dash",
];

/// Identifies the maker from the EXIF data, or from brands that only Apple writes.
fn heic(bytes: &[u8], has_brands_of_apple: bool) -> Unsupported {
    let start = &bytes[..bytes.len().min(MAKER_WITHIN)];
    let says = |name: &[u8]| memchr::memmem::find(start, name).is_some();
    if says(b"amsung\0") || says(b"SAMSUNG\0") {
        Unsupported::HeicOfSamsung
    } else if says(b"Apple\0") || has_brands_of_apple {
        Unsupported::HeicOfApple
    } else {
        Unsupported::Heic
    }
}

/// EXIF data may be anywhere in the file; the search stops here.
const MAKER_WITHIN: usize = 32 << 20;

/// Whether a top-level box of this type exists.
fn has_box(bytes: &[u8], wanted: &[u8]) -> bool {
    let mut at = 0_usize;
    // Videos have three or four.
    for _ in 0..64 {
        let (Some(size), Some(kind)) = (be_u32(bytes, at), bytes.get(at + 4..at + 8)) else {
            return false;
        };
        if kind == wanted {
            return true;
        }
        let large = bytes.get(at + 8..).and_then(|rest| rest.first_chunk());
        let size = match (size, large) {
            (1, Some(large)) => u64::from_be_bytes(*large),
            (size, _) => u64::from(size),
        };
        match usize::try_from(size) {
            Ok(size) if size >= 8 => at = at.saturating_add(size),
            _ => return false,
        }
    }
    false
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
            // Advice for iPhones is only for files from iPhones.
            (
                b"\0\0\0\x18ftypheix\0\0\0\0mif1heix....samsung\0",
                Other(Unsupported::HeicOfSamsung),
            ),
            (
                b"\0\0\0\x18ftypheic\0\0\0\0mif1heic....Apple\0iPhone 15\0",
                Other(Unsupported::HeicOfApple),
            ),
            (
                b"\0\0\0\x1cftypheic\0\0\0\0mif1MiHEmiaf",
                Other(Unsupported::HeicOfApple),
            ),
            (b"\0\0\0\x14ftypmsf1\0\0\0\0hevc", Other(Unsupported::Heic)),
            (b"\0\0\0\x14ftypavci\0\0\0\0avci", Other(Unsupported::Heic)),
            (
                b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
                Other(Unsupported::Raw),
            ),
            (b"\0\0\0\x14ftypjxl \0\0\0\0jxl ", Other(Unsupported::Jxl)),
            (b"\0\0\0\x14ftypqt  \0\0\0\0", Other(Unsupported::Video)),
            (
                b"\0\0\0\x18ftypXAVC\0\0\0\0mp42....",
                Other(Unsupported::Video),
            ),
            (
                b"\0\0\0\x10ftypnew \0\0\0\0\0\0\0\x08moov",
                Other(Unsupported::Video),
            ),
            // Audio, and unknown brands.
            (
                b"\0\0\0\x14ftypM4A \0\0\0\0M4A ",
                Other(Unsupported::Unknown),
            ),
            (b"\xff\xff\xff\xffftyp", Other(Unsupported::Unknown)),
            (b"II*\0\x10\0\0\0CR\x02\0", Other(Unsupported::Raw)),
            (b"FUJIFILMCCD-RAW 0201", Other(Unsupported::Raw)),
            (b"\0\0\0\x0cjP  \r\n\x87\n", Other(Unsupported::Jpeg2000)),
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
