//! JPEG: reads the headers, and decodes the picture to the planes that it is made of (ITU-T T.81).
//!
//! A decoder of our own, for three things that none of the safe ones does: it refuses whatever is not whole (`image`
//! shows a truncated scan half grey, and even zune-jpeg's strict mode fills in what is missing once an EOI follows);
//! it gives the planes as they are, brightness at its size and colour at its own, as narrow as `render` needs them,
//! before anything is converted; and it takes every layout. `markers` walks the segments, `frame` knows the picture's
//! layout, `huffman` reads codes, `scan` blocks, `idct` draws them, and `narrow` resizes their rows. What follows the EOI is not
//! looked at: MPO, Ultra HDR and motion photos keep more pictures or a film there.
//!
//! Nothing here indexes without a check, or allocates what the frame header's claim alone could size before
//! [`Header::parse`] has held it against the budget.

mod encode;
mod frame;
mod huffman;
mod idct;
mod markers;
mod narrow;
mod scan;

use image::metadata::Orientation;

use crate::rejection::Rejection;
use crate::settings::Settings;
use crate::window::Span;

pub(crate) use self::encode::encode;

use self::markers::Reader;
use self::scan::Picture;

/// What says whether the work may go on, before each row of blocks.
pub(crate) type GoOn<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), Rejection>;

/// A quantisation table, row by row.
type QuantTable = [f32; 64];

/// What a JPEG says of itself outside its scans' data.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) orientation: Orientation,
    /// The colour profile (ICC.1), if there is a whole one.
    pub(crate) profile: Option<Vec<u8>>,
    /// Estimated peak of decoding and rendering, in bytes, beside the upload.
    pub(crate) memory: u64,
}

/// What is to be made of a picture.
pub(crate) struct Wanted<'a> {
    /// The sizes, as stored, that are made of the source; one at least.
    pub(crate) sizes: &'a [(u32, u32)],
    /// In which stored directions the picture is seen from the other end.
    pub(crate) mirrored: (bool, bool),
    /// Whether RGB will be made of components that mean this.
    pub(crate) becomes_rgb: &'a mut dyn FnMut(Coding) -> bool,
}

/// A decoded picture, once for each wanted size.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) coding: Coding,
    /// The planes of colour have half the size of that of brightness.
    pub(crate) halved: bool,
    pub(crate) narrowed: Vec<Narrowed>,
}

/// A plane for each component, as narrow as a wanted size and still too high.
#[derive(Clone, Debug)]
pub(crate) struct Narrowed {
    /// The wanted size.
    pub(crate) size: (u32, u32),
    pub(crate) planes: Vec<Plane>,
}

/// A component's samples, in rows without gaps.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) samples: Vec<u8>,
    pub(crate) width: u32,
    pub(crate) rows: u32,
    /// What of the rows becomes the plane, and how many rows are made of it.
    pub(crate) down: Span,
    pub(crate) height: u32,
}

/// What the components mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    Grey,
    /// JFIF's: full range, the matrix of BT.601.
    YCbCr,
    Rgb,
    /// Inverted: as much light as ink is missing. Adobe's segment says so, and without it browsers and Pillow assume it.
    Cmyk,
    /// CMYK whose first three are as in YCbCr.
    Ycck,
}

impl Header {
    /// Reads all that stands outside the scans' data, up to EOI. `bytes` begins with SOI.
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

/// Decodes all of a picture whose [`Header`] was parsed, or says what is missing.
///
/// Planes are made as narrow as each wanted size while they are decoded. Blocks are drawn with fewer samples where
/// enough are left for the resizer's filter.
pub(crate) fn decode(
    bytes: &[u8],
    wanted: &mut Wanted<'_>,
    go_on: GoOn<'_>,
) -> Result<Planes, Rejection> {
    let mut reader = Reader::new(bytes, None);
    let mut begun = None;
    while let Some(header) = reader.next_scan()? {
        let (Some(frame), Some(coding)) = (&reader.frame, reader.coding()) else {
            break;
        };
        // What the components mean is told before the first scan.
        let (_, _, _, picture) = match &mut begun {
            Some(begun) => begun,
            none => {
                let becomes_rgb = (wanted.becomes_rgb)(coding);
                let halved = matches!(coding, Coding::Grey | Coding::YCbCr) && !becomes_rgb;
                let layouts = frame.layouts(wanted, halved);
                let picture = Picture::new(frame, &layouts);
                none.insert((coding, halved, layouts, picture))
            }
        };
        let next = scan::read(
            frame,
            &header,
            &reader.in_force,
            picture,
            reader.rest(),
            go_on,
        )?;
        reader.pass(next);
    }
    let (Some(frame), Some((coding, halved, layouts, picture))) = (&reader.frame, begun) else {
        return Err(Rejection::Truncated("JPEG has no scan"));
    };
    let mut planes = picture.finish(go_on)?;
    let narrowed = wanted.sizes.iter().enumerate().map(|(idx, size)| {
        let planes = planes.iter_mut().zip(&layouts).map(|(plane, layout)| {
            let (window, (width, height)) = layout.windows[idx];
            // The height of what fits into the pixel budget.
            #[allow(clippy::cast_possible_truncation)]
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
    Ok(Planes {
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

    /// Brightness as zune-jpeg has it, which is another's work altogether.
    #[test]
    fn brightness_is_that_of_another_decoder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures");
        let mut n_compared = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // zune-jpeg 0.5.15 reads neither of the first two, and other colours have no brightness of their own.
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
                // Where red, green or blue lies beyond its range, theirs was cut off.
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
    fn components_mean_what_libjpeg_takes_them_for() {
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
