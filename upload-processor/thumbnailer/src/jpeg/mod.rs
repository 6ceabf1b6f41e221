//! JPEG: parses the headers, and decodes the picture into its own planes (ITU-T T.81).
//!
//! Gatepost has its own decoder for three properties that none of the safe ones has. First, it refuses every incomplete
//! picture: `image` shows a truncated scan half grey, and even zune-jpeg's strict mode fills in missing data if an EOI
//! follows. Second, it yields the planes unconverted, luma and chroma each at its own size, as narrow as `render` needs
//! them. Third, it accepts every sampling layout.
//!
//! `markers` walks the segments, `frame` and `scan_header` parse them, `progress` keeps account of the scans, `layout`
//! scales the planes, `scan` and `coder` read blocks with `huffman`'s codes, `idct` transforms them into `planes`, and
//! `narrow` resizes their rows. `encode` is the other direction. Data after the EOI is ignored: MPO, Ultra HDR and motion
//! photos keep more pictures or a video there.
//!
//! Every index here is bounds-checked. Nothing that the frame header alone could size is allocated before
//! [`Header::parse`] has checked it against the budget.

mod coder;
mod encode;
mod frame;
mod huffman;
mod idct;
mod layout;
mod markers;
mod narrow;
mod planes;
mod progress;
mod scan;
mod scan_header;
mod tables;
mod zigzag;

use image::metadata::Orientation;

use crate::deadline::Checkpoint;
use crate::raster::{Coding, Narrowed, NarrowedPlanes, Plane};
use crate::rejection::Rejection;
use crate::settings::Settings;

pub(crate) use self::encode::encode;
pub(crate) use self::layout::Wanted;

use self::markers::Reader;
use self::planes::PictureDecoder;

/// The information in a JPEG outside its scans' data.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    /// The colour profile (ICC.1), if it is complete.
    pub(crate) profile: Option<Vec<u8>>,
    /// The estimated peak of decoding and rendering, in bytes, excluding the upload.
    pub(crate) memory: u64,
}

impl Header {
    /// Reads everything outside the scans' data, up to EOI. `bytes` begins with SOI.
    pub(crate) fn parse(bytes: &[u8], settings: &Settings) -> Result<Self, Rejection> {
        let mut reader = Reader::new(bytes, Some(settings));
        while reader.next_scan()?.is_some() {
            reader.pass_scan();
        }
        let Some(frame) = &reader.frame else {
            return Err(Rejection::Truncated("JPEG has no scan"));
        };
        let memory = frame.check_memory(settings, reader.upright())?;
        Ok(Self {
            width: frame.width,
            height: frame.height,
            orientation: reader.upright(),
            profile: reader.profile(),
            memory,
        })
    }
}

/// Decodes a picture whose [`Header`] was parsed, or reports what is missing.
///
/// Planes are narrowed to each wanted size during decoding. Blocks are decoded at fewer samples if enough remain for
/// the resizer's filter.
pub(crate) fn decode(
    bytes: &[u8],
    wanted: &mut Wanted<'_>,
    checkpoint: Checkpoint<'_>,
) -> Result<NarrowedPlanes, Rejection> {
    let mut reader = Reader::new(bytes, None);
    let mut begun = None;
    while let Some(header) = reader.next_scan()? {
        let (Some(frame), Some(coding)) = (&reader.frame, reader.coding()) else {
            break;
        };
        // The meaning of the components is known before the first scan.
        let (_, _, _, picture) = match &mut begun {
            Some(begun) => begun,
            none => {
                let becomes_rgb = (wanted.becomes_rgb)(coding);
                let halved = matches!(coding, Coding::Grey | Coding::YCbCr) && !becomes_rgb;
                let layouts = frame.layouts(wanted, halved);
                let picture = PictureDecoder::new(frame, &layouts);
                none.insert((coding, halved, layouts, picture))
            }
        };
        let next = scan::read(
            frame,
            &header,
            &reader.in_force,
            picture,
            reader.rest(),
            checkpoint,
        )?;
        reader.pass(next);
    }
    let (Some(frame), Some((coding, halved, layouts, picture))) = (&reader.frame, begun) else {
        return Err(Rejection::Truncated("JPEG has no scan"));
    };
    let mut planes = picture.finish(checkpoint)?;
    let narrowed = wanted.sizes.iter().enumerate().map(|(idx, size)| {
        let planes = planes.iter_mut().zip(&layouts).map(|(plane, layout)| {
            let (window, (width, height)) = layout.windows[idx];
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the height is within the pixel budget"
            )]
            Plane {
                samples: std::mem::take(&mut plane.narrowed[idx].samples),
                width,
                rows: layout.scaled.1 as u32,
                down: window.down,
                height,
            }
        });
        Narrowed {
            size: *size,
            planes: planes.collect(),
        }
    });
    Ok(NarrowedPlanes {
        width: frame.width,
        height: frame.height,
        coding,
        halved,
        narrowed: narrowed.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::frame::{Component, Frame};
    use super::*;

    /// Compares luma with zune-jpeg, an independent implementation.
    #[test]
    fn luma_matches_an_independent_decoder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures");
        let mut n_compared = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // zune-jpeg 0.5.15 supports neither of the first two, and the other colour spaces have no luma plane.
            let is_left_out = ["scans-backwards", "420-scans", "arithmetic", "cmyk", "rgb"]
                .iter()
                .any(|kind| name.contains(kind));
            if path.extension().is_none_or(|kind| kind != "jpg") || is_left_out {
                continue;
            }
            let file = std::fs::read(&path).unwrap();
            let theirs = image::load_from_memory(&file).unwrap().to_rgb8();
            let mut wanted = Wanted {
                sizes: &[theirs.dimensions()],
                mirrored: (false, false),
                becomes_rgb: &mut |_| false,
            };
            let planes = decode(&file, &mut wanted, &mut |_| Ok(())).unwrap();
            assert_eq!((planes.width, planes.height), theirs.dimensions(), "{name}");
            let luma = &planes.narrowed[0].planes[0];
            assert_eq!((luma.width, luma.rows), theirs.dimensions(), "{name}");
            let mut sum = 0.0;
            for (x, y, image::Rgb([r, g, b])) in theirs.enumerate_pixels() {
                let [r, g, b] = [r, g, b].map(|value| f64::from(*value));
                let expected = 0.299 * r + 0.587 * g + 0.114 * b;
                let found = f64::from(luma.samples[(y * luma.width + x) as usize]);
                // Where red, green or blue is out of range, zune-jpeg has clamped it.
                let is_cut = [r, g, b].iter().any(|value| *value < 3.0 || *value > 252.0);
                let difference = (found - expected).abs();
                assert!(
                    is_cut || difference < 2.5,
                    "{name}: {found}, {expected} at {x}, {y}"
                );
                sum += if is_cut { 0.0 } else { difference };
            }
            let mean = sum / f64::from(planes.width * planes.height);
            assert!(mean < 0.7, "{name}: {mean}");
            n_compared += 1;
        }
        assert!(n_compared >= 12, "{n_compared}");
    }

    #[test]
    fn components_have_the_meaning_that_libjpeg_gives_them() {
        let frame = |ids: &[u8]| Frame {
            progressive: false,
            width: 8,
            height: 8,
            widest: 1,
            tallest: 1,
            components: ids
                .iter()
                .map(|id| Component {
                    id: *id,
                    horizontal: 1,
                    vertical: 1,
                    quant: 0,
                })
                .collect(),
        };
        for (ids, jfif, adobe, coding) in [
            (&[1][..], true, None, Coding::Grey),
            (&[1, 2, 3], true, Some(0), Coding::YCbCr),
            (&[1, 2, 3], false, None, Coding::YCbCr),
            (&[1, 2, 3], false, Some(1), Coding::YCbCr),
            (&[1, 2, 3], false, Some(0), Coding::Rgb),
            (b"RGB", false, None, Coding::Rgb),
            (&[1, 2, 3], false, Some(7), Coding::YCbCr),
            (&[1, 2, 3, 4], false, None, Coding::Cmyk),
            (&[1, 2, 3, 4], false, Some(0), Coding::Cmyk),
            (&[1, 2, 3, 4], false, Some(1), Coding::Ycck),
            (&[1, 2, 3, 4], false, Some(2), Coding::Ycck),
            (&[1, 2, 3, 4], true, Some(255), Coding::Ycck),
        ] {
            assert_eq!(
                frame(ids).coding(jfif, adobe),
                coding,
                "{ids:?} {jfif} {adobe:?}"
            );
        }
    }
}
