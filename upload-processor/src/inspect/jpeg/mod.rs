//! Walks a JPEG from SOI to EOI (ITU-T T.81, Annex B) and checks that every coefficient is there.
//!
//! Decoders are lenient: `image` shows a truncated scan half grey, and even zune-jpeg's strict mode fills in
//! what is missing once an EOI follows (see `scan`). So this walk reads the entropy-coded data itself, in one
//! pass over the file: `huffman` reads codes, `scan` counts blocks, and this file knows markers. What follows
//! the EOI is not looked at: MPO, Ultra HDR and motion photos keep more pictures or a film there.
//!
//! The decoder gets tables, frame, scans and Adobe's colour transform, without application data, comments, fill
//! bytes or stray bytes: it need not be lenient any more, and runs in strict mode.

mod huffman;
mod scan;

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::rejection::{Complexity, Rejection, Unsupported};
use crate::settings::Settings;

use self::huffman::Tables;
use self::scan::{Progress, ScanHeader};

use super::{Outline, be_u16, check_memory, check_pixels};

/// Walks the markers. `bytes` begins with SOI.
pub(super) fn outline<'a>(bytes: &'a [u8], settings: &Settings) -> Result<Outline<'a>, Rejection> {
    let mut adobe = None;
    let mut orientation = None;
    let mut frame: Option<Frame> = None;
    let mut tables = Tables::default();
    let mut restart_interval = 0;
    let mut progress: Option<Progress> = None;
    let mut memory = 0;
    let mut essence: Vec<Cow<'a, [u8]>> = vec![Cow::Borrowed(&bytes[..2])];
    let mut n_scans = 0;

    let mut at = 2;
    loop {
        let (marker, start) = next_marker(bytes, at)?;
        if marker == EOI {
            break;
        }
        let (data, end) = segment(bytes, start + 2)?;
        at = end;
        let whole = Cow::Borrowed(&bytes[start..end]);
        match marker {
            SOF0 | SOF1 | SOF2 => {
                if frame.is_some() {
                    return Err(Rejection::corrupt("JPEG has two frames"));
                }
                let new = Frame::parse(marker == SOF2, data)?;
                check_pixels(new.width, new.height, settings)?;
                frame = Some(new);
                essence.push(whole);
            }
            DHT => {
                tables.define(data)?;
                essence.push(whole);
            }
            DQT => essence.push(whole),
            DRI => {
                let Some(interval) = be_u16(data, 0).filter(|_| data.len() == 2) else {
                    return Err(Rejection::corrupt("DRI has the wrong length"));
                };
                restart_interval = u32::from(interval);
                essence.push(whole);
            }
            SOS => {
                let Some(frame) = &frame else {
                    return Err(Rejection::corrupt("JPEG has a scan before its frame"));
                };
                n_scans += 1;
                if n_scans > MOST_SCANS {
                    return Err(Rejection::TooComplex(Complexity::Scans { max: MOST_SCANS }));
                }
                let header = ScanHeader::parse(frame, data)?;
                if progress.is_none() {
                    memory = frame.check_first_scan(&header, bytes.len() as u64, settings)?;
                }
                let progress = progress.get_or_insert_with(|| Progress::new(frame));
                let scan = scan::verify(
                    frame,
                    &header,
                    &tables,
                    restart_interval,
                    progress,
                    &bytes[end..],
                )?;
                essence.push(Cow::Borrowed(&bytes[start..end + scan.length]));
                at = end + scan.next;
            }
            APP1 if orientation.is_none() && data.starts_with(b"Exif\0\0") => {
                orientation = Some(super::orientation(data));
            }
            // The transform is 0, 1 or 2; libjpeg ignores others with a warning, and the decoder would not.
            APP14
                if data.starts_with(b"Adobe")
                    && data.get(11).is_some_and(|transform| *transform <= 2) =>
            {
                adobe = Some(whole);
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

    let (Some(frame), Some(progress)) = (frame, progress) else {
        return Err(Rejection::Truncated("JPEG has no scan"));
    };
    progress.check_complete()?;
    // The decoder wants it before the frame, where almost every writer has it. Only one is kept, and it is put in
    // place only once: a file may hold nothing but such segments.
    if let Some(adobe) = adobe {
        essence.insert(1, adobe);
    }
    essence.push(Cow::Borrowed(&[0xff, EOI]));
    Ok(Outline {
        width: frame.width,
        height: frame.height,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        memory,
        essence,
    })
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
            };
            if components.iter().any(|other| other.id == component.id) {
                return Err(Rejection::corrupt("JPEG has two components of one name"));
            }
            match (component.horizontal, component.vertical) {
                (1 | 2 | 4, 1 | 2 | 4) => components.push(component),
                (3, 1..=4) | (1..=4, 3) => return unsupported(Unsupported::JpegLayout),
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

    /// What the decoder will do, known once the first scan is seen. Returns the memory that it will take.
    fn check_first_scan(
        &self,
        scan: &ScanHeader,
        essence: u64,
        settings: &Settings,
    ) -> Result<u64, Rejection> {
        let buffered = self.progressive || scan.components.len() < self.components.len();
        // zune-jpeg 0.5.15 reads a lone component's rows by the MCU: where it has two rows of blocks in one,
        // garbage comes out. And it wants every table before the first scan.
        let unusual = self.tallest > 1 || scan.components[0].index != 0;
        if buffered && !self.progressive && unusual {
            return unsupported(Unsupported::JpegLayout);
        }
        // RGB, and for all that does not come in one scan its coefficients in 16 bits each.
        let (across, down) = self.mcus();
        let blocks: u32 = self
            .components
            .iter()
            .map(|component| component.horizontal * component.vertical)
            .sum();
        let samples = u64::from(across) * u64::from(down) * u64::from(blocks) * 64;
        let rgb = 3 * u64::from(self.width) * u64::from(self.height);
        let decoding = rgb + if buffered { 2 * samples } else { 0 };
        check_memory(
            (self.width, self.height),
            decoding,
            false,
            essence,
            settings,
        )
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

/// jpegtran's and mozjpeg's scripts have 10 to 20 scans. zune-jpeg stops at 100, too.
const MOST_SCANS: usize = 100;

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
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;
