//! The orientation of a picture: its EXIF tag, and what it does to sides and directions.
//!
//! `inspect` reads the tag, and everything that handles sizes asks for their upright form. It turns no pixels: that is
//! `render`'s work. This is the only metadata parser that sees an upload.

use image::metadata::Orientation;

/// The orientation in an EXIF block, which may begin with JPEG's `Exif\0\0`; `None` if the value is not one of the
/// eight.
pub(crate) fn orientation_tag(exif: &[u8]) -> Option<Orientation> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff)
}

/// A stored picture's size after orientation, and the reverse.
pub(crate) fn upright((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    if swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    }
}

/// Whether the orientation swaps width and height.
fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The stored directions, across and down, in which a picture is mirrored.
pub(crate) fn mirrored(orientation: Orientation) -> (bool, bool) {
    match orientation {
        Orientation::NoTransforms | Orientation::Rotate90FlipH => (false, false),
        Orientation::FlipHorizontal | Orientation::Rotate270 => (true, false),
        Orientation::FlipVertical | Orientation::Rotate90 => (false, true),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => (true, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
