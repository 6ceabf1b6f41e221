//! Plans the renditions of a picture: their sizes, and what each is made from.
//!
//! Planning comes first, because inspection's memory estimate, the decoders and `render` must agree on it. It needs the
//! upright size and the settings, and no pixel.

use crate::raster::Coding;
use crate::settings::{Effort, MAX_SIDE, OutputFormat, Settings};

/// The size so far that this one is made from: the smallest that is at least twice as wide.
pub(crate) fn earlier(made: &[(u32, u32)], size: (u32, u32)) -> Option<usize> {
    made.iter().rposition(|made| made.0 / 2 >= size.0)
}

/// The planned sizes that are made from the source.
pub(crate) fn of_source(sizes: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let is_of_source =
        |(idx, size): &(usize, &(u32, u32))| earlier(&sizes[..*idx], **size).is_none();
    let of_source = sizes.iter().enumerate().filter(is_of_source);
    of_source.map(|(_, size)| *size).collect()
}

/// The sizes to make, largest first: every width up to the source's, or the source's own if all are larger.
///
/// A picture too tall for its format is made narrower than requested until it fits.
pub(crate) fn plan((width, height): (u32, u32), widths: &[u32]) -> Vec<(u32, u32)> {
    let mut widths: Vec<u32> = widths
        .iter()
        .copied()
        .filter(|wanted| *wanted <= width)
        .collect();
    if widths.is_empty() {
        widths.push(width);
    }
    widths.sort_unstable_by(|a, b| b.cmp(a));
    let mut sizes: Vec<_> = widths
        .into_iter()
        .map(|wanted| {
            let wanted = wanted.min(MAX_SIDE);
            let fitting = scale(height, wanted, width);
            if fitting <= MAX_SIDE {
                (wanted, fitting)
            } else {
                (scale(width, MAX_SIDE, height), MAX_SIDE)
            }
        })
        .collect();
    sizes.dedup();
    sizes
}

/// `side × to / from`, rounded, at least 1. Saturates, though no decoded side reaches that.
pub(crate) fn scale(side: u32, to: u32, from: u32) -> u32 {
    let (side, to, from) = (u64::from(side), u64::from(to), u64::from(from));
    u32::try_from((side * to + from / 2) / from)
        .unwrap_or(u32::MAX)
        .max(1)
}

/// Whether chroma is decoded at full size, so that libwebp averages colours by their light.
///
/// This pays off only for coloured pictures that become WebP: JPEG uses the planes in any case. In a tiny picture one
/// chroma sample covers much of the picture, so it keeps its planes.
pub(crate) fn averages_by_light(
    coding: Coding,
    (width, height): (u32, u32),
    settings: &Settings,
) -> bool {
    settings.effort == Effort::Balanced
        && u64::from(width) * u64::from(height) > TINY
        && coding == Coding::YCbCr
        && settings.formats.contains(&OutputFormat::WebP)
}

/// Pictures of at most this many pixels keep their planes.
const TINY: u64 = 16 * 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_made_from_the_source_or_from_one_twice_as_wide() {
        let sizes = |widths: &[u32]| {
            of_source(&plan((4000, 3000), widths))
                .into_iter()
                .map(|size| size.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[320, 640, 1280, 1920]), [1920, 1280]);
        assert_eq!(sizes(&[1600, 800, 320]), [1600]);
        assert_eq!(sizes(&[500, 400, 300, 200]), [500, 400, 300]);
    }

    #[test]
    fn sizes_are_planned() {
        for (source, widths, expected) in [
            (
                (4032, 3024),
                &[320, 640, 1280, 1920][..],
                &[(1920, 1440), (1280, 960), (640, 480), (320, 240)][..],
            ),
            // Between two widths: nothing larger than the source.
            ((1000, 500), &[320, 640, 1280], &[(640, 320), (320, 160)]),
            // Exactly a width.
            ((640, 480), &[640, 320], &[(640, 480), (320, 240)]),
            // Narrower than all widths: its own width.
            ((200, 100), &[320, 640], &[(200, 100)]),
            ((1, 1), &[320], &[(1, 1)]),
            // A line stays a line.
            ((4000, 1), &[320], &[(320, 1)]),
            // Too tall for WebP: made narrower, and both widths coincide.
            ((640, 64_000), &[640, 320], &[(164, 16_383)]),
            ((1, 50_000), &[320], &[(1, 16_383)]),
            ((60_000, 2), &[100_000], &[(16_383, 1)]),
        ] {
            assert_eq!(plan(source, widths), expected, "{source:?} {widths:?}");
        }
    }
}
