//! JPEG: reads the headers, and decodes the picture to the planes that it is made of (ITU-T T.81).
//!
//! A decoder of our own, for three things that none of the safe ones does: it refuses whatever is not whole (`image`
//! shows a truncated scan half grey, and even zune-jpeg's strict mode fills in what is missing once an EOI follows);
//! it gives the planes as they are, brightness at its size and colour at its own, so that `render` makes
//! small ones of them before anything is converted; and it takes every layout. `huffman` reads codes, `scan` blocks,
//! `idct` draws them, and this file knows markers. What follows the EOI is not looked at: MPO, Ultra HDR and motion
//! photos keep more pictures or a film there.
//!
//! Nothing here indexes without a check, or allocates what the frame header's claim alone could size before
//! [`Header::parse`] has held it against the budget.

mod encode;
mod huffman;
mod idct;
mod scan;

use image::metadata::Orientation;
use memchr::memchr;

use crate::colour::MAX_PROFILE_BYTES;
use crate::inspect::{be_u16, check_memory, check_pixels, orientation};
use crate::rejection::{Rejection, Unsupported};
use crate::settings::Settings;

pub(crate) use self::encode::encode;

use self::huffman::Tables;
use self::scan::{Picture, Progress, ScanHeader, ZIGZAG};

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

/// A decoded picture: one plane for each component.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) coding: Coding,
    pub(crate) planes: Vec<Plane>,
}

/// A component's samples.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) samples: Vec<u8>,
    /// Samples from one row to the next.
    pub(crate) stride: u32,
    /// Rows.
    pub(crate) rows: u32,
    /// How many of its samples lie across the picture, and down: not always whole ones.
    pub(crate) extent: (f64, f64),
}

/// What the components mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    Grey,
    /// JFIF's: full range, the matrix of BT.601.
    YCbCr,
    Rgb,
    /// As much light as ink is missing, which is how Adobe writes it, or as much ink.
    Cmyk {
        inverted: bool,
    },
    /// CMYK whose first three are as in YCbCr.
    Ycck {
        inverted: bool,
    },
}

impl Header {
    /// Reads all that stands outside the scans' data, up to EOI. `bytes` begins with SOI.
    pub(crate) fn parse(bytes: &[u8], settings: &Settings) -> Result<Self, Rejection> {
        let mut reader = Reader::new(bytes, Some(settings));
        let mut progress = None;
        let mut memory = 0;
        while let Some(scan) = reader.next_scan()? {
            // No scan is found before a frame.
            let Some(frame) = &reader.frame else { break };
            if progress.is_none() {
                memory = frame.check_memory(settings)?;
            }
            let progress = progress.get_or_insert_with(|| Progress::new(frame));
            progress.add(frame, &scan)?;
            reader.pass_scan();
        }
        let (Some(frame), Some(progress)) = (&reader.frame, progress) else {
            return Err(Rejection::Truncated("JPEG has no scan"));
        };
        progress.check_complete()?;
        Ok(Self {
            width: frame.width,
            height: frame.height,
            orientation: reader.orientation.unwrap_or(Orientation::NoTransforms),
            profile: reader.profile(),
            memory,
        })
    }
}

/// Decodes all of a picture whose [`Header`] was parsed, or says what is missing.
pub(crate) fn decode(bytes: &[u8], go_on: GoOn<'_>) -> Result<Planes, Rejection> {
    let mut reader = Reader::new(bytes, None);
    let mut picture = None;
    while let Some(header) = reader.next_scan()? {
        let Some(frame) = &reader.frame else { break };
        let next = scan::read(
            frame,
            &header,
            &reader.in_force,
            picture.get_or_insert_with(|| Picture::new(frame)),
            &bytes[reader.at..],
            go_on,
        )?;
        reader.at += next;
    }
    let (Some(frame), Some(picture)) = (&reader.frame, picture) else {
        return Err(Rejection::Truncated("JPEG has no scan"));
    };
    let coding = frame.coding(reader.jfif, reader.adobe);
    let planes = picture.finish(go_on)?;
    let planes = planes
        .into_iter()
        .zip(&frame.components)
        .map(|(plane, component)| frame.plane(plane, component));
    Ok(Planes {
        width: frame.width,
        height: frame.height,
        coding,
        planes: planes.collect(),
    })
}

/// What the markers so far have set for the next scan.
#[derive(Default)]
struct InForce {
    huffman: Tables,
    quant: [Option<QuantTable>; 4],
    restart_interval: u32,
}

/// Walks the markers from SOI to EOI.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What the frame's claim is held against.
    settings: Option<&'a Settings>,
    frame: Option<Frame>,
    in_force: InForce,
    jfif: bool,
    /// The colour transform of Adobe's segment.
    adobe: Option<u8>,
    orientation: Option<Orientation>,
    /// The pieces of the colour profile, by number, and of how many.
    profile: Vec<(u8, u8, &'a [u8])>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], settings: Option<&'a Settings>) -> Self {
        Self {
            bytes,
            at: 2,
            settings,
            frame: None,
            in_force: InForce::default(),
            jfif: false,
            adobe: None,
            orientation: None,
            profile: Vec::new(),
        }
    }

    /// Goes on to the data of the next scan, or to the EOI.
    fn next_scan(&mut self) -> Result<Option<ScanHeader>, Rejection> {
        loop {
            let (marker, start) = next_marker(self.bytes, self.at)?;
            if marker == EOI {
                return Ok(None);
            }
            let (data, end) = segment(self.bytes, start + 2)?;
            self.at = end;
            match marker {
                SOF0 | SOF1 | SOF2 => {
                    if self.frame.is_some() {
                        return Err(Rejection::corrupt("JPEG has two frames"));
                    }
                    let frame = Frame::parse(marker == SOF2, data)?;
                    if let Some(settings) = self.settings {
                        check_pixels(frame.width, frame.height, settings)?;
                    }
                    self.frame = Some(frame);
                }
                DHT => self.in_force.huffman.define(data)?,
                DQT => self.define_quant(data)?,
                DRI => {
                    let Some(interval) = be_u16(data, 0).filter(|_| data.len() == 2) else {
                        return Err(Rejection::corrupt("DRI has the wrong length"));
                    };
                    self.in_force.restart_interval = u32::from(interval);
                }
                SOS => {
                    let Some(frame) = &self.frame else {
                        return Err(Rejection::corrupt("JPEG has a scan before its frame"));
                    };
                    return ScanHeader::parse(frame, data).map(Some);
                }
                APP0 if data.starts_with(b"JFIF\0") => self.jfif = true,
                APP1 if self.orientation.is_none() && data.starts_with(b"Exif\0\0") => {
                    self.orientation = Some(orientation(data));
                }
                APP2 if data.starts_with(ICC) => {
                    // A byte numbers them.
                    if let [number, of, piece @ ..] = &data[ICC.len()..]
                        && self.profile.len() < 256
                    {
                        self.profile.push((*number, *of, piece));
                    }
                }
                // The transform is 0, 1 or 2; libjpeg ignores others with a warning.
                APP14 if data.starts_with(b"Adobe") => {
                    let transform = data.get(11).copied();
                    self.adobe = transform.filter(|transform| *transform <= 2).or(self.adobe);
                }
                SOF3 => return unsupported(Unsupported::JpegLossless),
                SOF5..=SOF7 | DHP => return unsupported(Unsupported::JpegHierarchical),
                // DAC, the arithmetic coder's conditioning, lies among them.
                SOF9..=SOF15 => return unsupported(Unsupported::JpegArithmetic),
                DNL => return unsupported(Unsupported::JpegLayout),
                APP0..=APP15 | COM => {}
                _ => {
                    return Err(Rejection::corrupt(format!(
                        "JPEG has the unexpected marker FF{marker:02X}"
                    )));
                }
            }
        }
    }

    /// Passes a scan's data without reading it: up to a marker that is no restart.
    fn pass_scan(&mut self) {
        while let Some(rest) = self.bytes.get(self.at..) {
            let Some(ff) = memchr(0xff, rest) else { break };
            match rest.get(ff + 1) {
                Some(0 | 0xd0..=0xd7) => self.at += ff + 2,
                // Any number of FF may stand before a marker.
                Some(0xff) => {
                    let fill = rest[ff..].iter().take_while(|byte| **byte == 0xff);
                    self.at += ff + fill.count() - 1;
                }
                _ => {
                    self.at += ff;
                    return;
                }
            }
        }
    }

    /// Reads the data of a DQT segment (§B.2.4.1), which may hold several tables.
    fn define_quant(&mut self, mut data: &[u8]) -> Result<(), Rejection> {
        while let [precision_and_destination, rest @ ..] = data {
            let is_wide = precision_and_destination >> 4 == 1;
            let destination = usize::from(precision_and_destination & 15);
            let length = if is_wide { 128 } else { 64 };
            let (Some((values, rest)), Some(slot), 0 | 1) = (
                rest.split_at_checked(length),
                self.in_force.quant.get_mut(destination),
                precision_and_destination >> 4,
            ) else {
                return Err(Rejection::corrupt("DQT is too short or impossible"));
            };
            let mut table = [0.0; 64];
            for (k, at) in ZIGZAG.iter().enumerate() {
                table[usize::from(*at)] = if is_wide {
                    f32::from(be_u16(values, 2 * k).unwrap_or(0))
                } else {
                    f32::from(values[k])
                };
            }
            *slot = Some(table);
            data = rest;
        }
        Ok(())
    }

    /// The pieces put together (ICC.1, annex B.4), unless one is missing: a profile never makes a picture a bad one.
    fn profile(&self) -> Option<Vec<u8>> {
        let mut pieces = self.profile.clone();
        pieces.sort_by_key(|(number, ..)| *number);
        let of = pieces.first()?.1;
        let length: usize = pieces.iter().map(|(.., piece)| piece.len()).sum();
        let is_whole = pieces.len() == usize::from(of)
            && length <= MAX_PROFILE_BYTES
            && (1..)
                .zip(&pieces)
                .all(|(expected, (number, its_of, _))| *number == expected && *its_of == of);
        is_whole.then(|| {
            pieces
                .iter()
                .flat_map(|(.., piece)| *piece)
                .copied()
                .collect()
        })
    }
}

/// The picture as the frame header (SOF) describes it.
struct Frame {
    progressive: bool,
    width: u32,
    height: u32,
    components: Vec<Component>,
    /// The largest sampling factors of any component.
    widest: u32,
    tallest: u32,
}

/// A colour plane and its sampling factors.
struct Component {
    id: u8,
    horizontal: u32,
    vertical: u32,
    /// Which quantisation table.
    quant: usize,
}

impl Frame {
    /// T.81 §B.2.2.
    fn parse(progressive: bool, data: &[u8]) -> Result<Self, Rejection> {
        let &[
            precision,
            height1,
            height0,
            width1,
            width0,
            n_components,
            ref specs @ ..,
        ] = data
        else {
            return Err(Rejection::corrupt("SOF is too short"));
        };
        if precision != 8 {
            return unsupported(Unsupported::JpegDeep);
        }
        let height = u32::from(u16::from_be_bytes([height1, height0]));
        let width = u32::from(u16::from_be_bytes([width1, width0]));
        if width == 0 {
            return Err(Rejection::corrupt("JPEG has no width"));
        }
        // No height here means that a DNL after the first scan tells it.
        if height == 0 || !matches!(n_components, 1 | 3 | 4) {
            return unsupported(Unsupported::JpegLayout);
        }
        if specs.len() != 3 * usize::from(n_components) {
            return Err(Rejection::corrupt("SOF has the wrong length"));
        }
        let mut components: Vec<Component> = Vec::new();
        for spec in specs.chunks_exact(3) {
            let component = Component {
                id: spec[0],
                horizontal: u32::from(spec[1] >> 4),
                vertical: u32::from(spec[1] & 15),
                quant: usize::from(spec[2]),
            };
            if components.iter().any(|other| other.id == component.id) {
                return Err(Rejection::corrupt("JPEG has two components of one name"));
            }
            match (component.horizontal, component.vertical) {
                (1..=4, 1..=4) => components.push(component),
                _ => return Err(Rejection::corrupt("JPEG has an impossible sampling factor")),
            }
        }
        // With one component there is nothing to sample against; T.81 §A.2.2 lays its blocks out plainly.
        if let [only] = &mut components[..] {
            (only.horizontal, only.vertical) = (1, 1);
        }
        let widest = components
            .iter()
            .map(|component| component.horizontal)
            .max()
            .unwrap_or(1);
        let tallest = components
            .iter()
            .map(|component| component.vertical)
            .max()
            .unwrap_or(1);
        Ok(Self {
            progressive,
            width,
            height,
            components,
            widest,
            tallest,
        })
    }

    /// How many MCUs lie side by side, and how many below one another (T.81 §A.2).
    fn mcus(&self) -> (u32, u32) {
        (
            self.width.div_ceil(8 * self.widest),
            self.height.div_ceil(8 * self.tallest),
        )
    }

    /// How many blocks of a component carry pixels, across and down: those that a scan of it alone holds.
    fn blocks(&self, component: &Component) -> (u32, u32) {
        (
            (self.width * component.horizontal).div_ceil(8 * self.widest),
            (self.height * component.vertical).div_ceil(8 * self.tallest),
        )
    }

    /// What decoding and rendering will take, known once the first scan is seen.
    fn check_memory(&self, settings: &Settings) -> Result<u64, Rejection> {
        let (across, down) = self.mcus();
        let blocks: u32 = self
            .components
            .iter()
            .map(|component| component.horizontal * component.vertical)
            .sum();
        let samples = u64::from(across) * u64::from(down) * u64::from(blocks) * 64;
        // Of a progressive picture the coefficients too, in 16 bits each, until the last scan is read.
        let decoding = samples * if self.progressive { 3 } else { 1 };
        check_memory(
            (self.width, self.height),
            decoding,
            samples,
            false,
            settings,
        )
    }

    /// What the components mean, as libjpeg finds it: by JFIF's and Adobe's segments, else by the components' names.
    fn coding(&self, jfif: bool, adobe: Option<u8>) -> Coding {
        let ids: Vec<_> = self
            .components
            .iter()
            .map(|component| component.id)
            .collect();
        match (self.components.len(), adobe) {
            (1, _) => Coding::Grey,
            (3, _) if jfif => Coding::YCbCr,
            (3, Some(0)) => Coding::Rgb,
            (3, None) if ids == *b"RGB" => Coding::Rgb,
            (3, _) => Coding::YCbCr,
            (_, Some(2)) => Coding::Ycck { inverted: true },
            (_, adobe) => Coding::Cmyk {
                inverted: adobe.is_some(),
            },
        }
    }

    fn plane(&self, plane: scan::Plane, component: &Component) -> Plane {
        let share = |side: u32, factor: u32, most: u32| {
            f64::from(side) * f64::from(factor) / f64::from(most)
        };
        // The sides of what fits into the pixel budget.
        #[allow(clippy::cast_possible_truncation)]
        let stride = plane.stride() as u32;
        Plane {
            rows: self.mcus().1 * 8 * component.vertical,
            stride,
            extent: (
                share(self.width, component.horizontal, self.widest),
                share(self.height, component.vertical, self.tallest),
            ),
            samples: plane.samples,
        }
    }
}

/// The next marker from `at` on: its code, and where its last FF stands.
///
/// Any number of FF may precede it (§B.1.1.2). Other bytes may not, but some phones write segments with a wrong
/// marker or length; like libjpeg, this looks for the next marker then, and the decoder never sees them.
fn next_marker(bytes: &[u8], mut at: usize) -> Result<(u8, usize), Rejection> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let ff = rest.iter().position(|byte| *byte == 0xff);
        let code = ff.and_then(|ff| {
            rest[ff..]
                .iter()
                .position(|byte| *byte != 0xff)
                .map(|fill| ff + fill)
        });
        match code {
            None => return Err(Rejection::Truncated("JPEG has no end-of-image marker")),
            Some(code) if rest[code] != 0 => return Ok((rest[code], at + code - 1)),
            Some(code) => at += code + 1,
        }
    }
}

/// The segment whose length stands at `at`: its data, and where it ends.
fn segment(bytes: &[u8], at: usize) -> Result<(&[u8], usize), Rejection> {
    let missing = Rejection::Truncated("JPEG ends inside a segment");
    let Some(length) = be_u16(bytes, at) else {
        return Err(missing);
    };
    let end = at + usize::from(length);
    if length < 2 {
        return Err(Rejection::corrupt("JPEG has a segment without length"));
    }
    bytes
        .get(at + 2..end)
        .map(|data| (data, end))
        .ok_or(missing)
}

fn unsupported<T>(found: Unsupported) -> Result<T, Rejection> {
    Err(Rejection::UnsupportedType(found))
}

/// What a colour profile's segments begin with.
const ICC: &[u8] = b"ICC_PROFILE\0";

// Marker codes, T.81 table B.1.
const SOF0: u8 = 0xc0;
const SOF1: u8 = 0xc1;
const SOF2: u8 = 0xc2;
const SOF3: u8 = 0xc3;
const DHT: u8 = 0xc4;
const SOF5: u8 = 0xc5;
const SOF7: u8 = 0xc7;
const SOF9: u8 = 0xc9;
const SOF15: u8 = 0xcf;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DNL: u8 = 0xdc;
const DRI: u8 = 0xdd;
const DHP: u8 = 0xde;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;

#[cfg(test)]
mod tests {
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
            let planes = decode(&file, &mut |_| Ok(())).unwrap();
            let theirs = image::load_from_memory(&file).unwrap().to_rgb8();
            assert_eq!((planes.width, planes.height), theirs.dimensions(), "{name}");
            let luma = &planes.planes[0];
            let mut sum = 0.0;
            for (x, y, image::Rgb([r, g, b])) in theirs.enumerate_pixels() {
                let [r, g, b] = [r, g, b].map(|value| f64::from(*value));
                let expected = 0.299 * r + 0.587 * g + 0.114 * b;
                let found = f64::from(luma.samples[(y * luma.stride + x) as usize]);
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
            (&[1, 2, 3, 4], false, None, Coding::Cmyk { inverted: false }),
            (
                &[1, 2, 3, 4],
                false,
                Some(0),
                Coding::Cmyk { inverted: true },
            ),
            (
                &[1, 2, 3, 4],
                false,
                Some(2),
                Coding::Ycck { inverted: true },
            ),
        ] {
            assert_eq!(
                frame(ids).coding(jfif, adobe),
                coding,
                "{ids:?} {jfif} {adobe:?}"
            );
        }
    }
}
