//! Walks a JPEG's markers from SOI to EOI (ITU-T T.81, Annex B), and keeps their settings for the scans.
//!
//! Used by `Header::parse` and `decode`, which see the same scans in the same order. It is strict about everything that
//! pixels depend on (frame, tables, scans) and as lenient as libjpeg about the rest: browsers show such files in full,
//! so refusing them would be wrong. A file without an EOI is accepted only if its scans have sent every coefficient.

use image::metadata::Orientation;
use memchr::memchr;

use crate::bytes::be_u16;
use crate::colour::MAX_PROFILE_BYTES;
use crate::exif::orientation_tag;
use crate::limits::check_pixels;
use crate::raster::Coding;
use crate::rejection::{Rejection, Unsupported};
use crate::settings::Settings;

use super::frame::{Frame, unsupported};
use super::progress::Progress;
use super::scan_header::ScanHeader;
use super::tables::InForce;

/// Walks the markers from SOI to EOI.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The settings that the frame header is checked against.
    settings: Option<&'a Settings>,
    pub(super) frame: Option<Frame>,
    pub(super) in_force: InForce,
    /// The coefficients that the scans so far have announced.
    progress: Option<Progress>,
    jfif: bool,
    /// The colour transform of Adobe's segment.
    adobe: Option<u8>,
    orientation: Option<Orientation>,
    /// The pieces of the colour profile: number, total, data.
    profile: Vec<(u8, u8, &'a [u8])>,
}

/// The result of walking the markers.
enum Next {
    Scan(ScanHeader),
    Eoi,
    /// The file ends here.
    Nothing,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], settings: Option<&'a Settings>) -> Self {
        Self {
            bytes,
            at: 2,
            settings,
            frame: None,
            in_force: InForce::default(),
            progress: None,
            jfif: false,
            adobe: None,
            orientation: None,
            profile: Vec::new(),
        }
    }

    /// Advances to the data of the next scan. `None` at the end of a complete picture; an error if it is incomplete.
    pub(super) fn next_scan(&mut self) -> Result<Option<ScanHeader>, Rejection> {
        let next = match self.next() {
            // Data after the last block does not change a pixel.
            Err(_) if self.is_whole() => Next::Eoi,
            next => next?,
        };
        match (next, &self.frame, &mut self.progress) {
            (Next::Scan(scan), Some(frame), progress) => {
                let progress = progress.get_or_insert_with(|| Progress::new(frame));
                progress.add(frame, &scan)?;
                if !frame.progressive {
                    self.in_force.huffman.supply_standard();
                }
                Ok(Some(scan))
            }
            (Next::Eoi, Some(_), Some(progress)) => progress.check_complete().map(|()| None),
            // An optimiser may drop scans of zeros, but here the rest of the file may be missing, too.
            (Next::Nothing, Some(_), Some(progress)) if !progress.is_whole() => {
                Err(Rejection::Truncated("JPEG has no end-of-image marker"))
            }
            (Next::Nothing, Some(_), Some(_)) => Ok(None),
            _ => Err(Rejection::Truncated("JPEG has no scan")),
        }
    }

    /// The orientation of the picture.
    pub(super) fn upright(&self) -> Orientation {
        self.orientation.unwrap_or(Orientation::NoTransforms)
    }

    /// The meaning of the components, by the segments so far.
    pub(super) fn coding(&self) -> Option<Coding> {
        let frame = self.frame.as_ref()?;
        Some(frame.coding(self.jfif, self.adobe))
    }

    /// The data from the reader's position.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Skips this many bytes of a scan's data.
    pub(super) fn pass(&mut self, n_bytes: usize) {
        self.at += n_bytes;
    }

    fn is_whole(&self) -> bool {
        self.progress.as_ref().is_some_and(Progress::is_whole)
    }

    /// Reads markers up to the next scan or the end.
    fn next(&mut self) -> Result<Next, Rejection> {
        loop {
            let Some((marker, start)) = next_marker(self.bytes, self.at) else {
                return Ok(Next::Nothing);
            };
            match marker {
                EOI => return Ok(Next::Eoi),
                // These have no length field (§B.1.1.3).
                TEM | RST0..=RST7 => {
                    self.at = start + 2;
                    continue;
                }
                _ => {}
            }
            let (data, end) = segment(self.bytes, start + 2, marker)?;
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
                DQT => self.in_force.define_quant(data)?,
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
                    return ScanHeader::parse(frame, data).map(Next::Scan);
                }
                // The minimum lengths are libjpeg's; shorter segments have another meaning.
                APP0 if data.starts_with(b"JFIF\0") && data.len() >= 14 => self.jfif = true,
                APP1 if self.orientation.is_none() && data.starts_with(b"Exif\0\0") => {
                    self.orientation = orientation_tag(data);
                }
                APP2 if data.starts_with(ICC) => {
                    // One byte numbers them, and some programs write them twice.
                    if let [number, of, piece @ ..] = &data[ICC.len()..]
                        && self.profile.len() < 512
                    {
                        self.profile.push((*number, *of, piece));
                    }
                }
                APP14 if data.starts_with(b"Adobe") => {
                    self.adobe = data.get(11).copied().or(self.adobe);
                }
                SOF3 => return unsupported(Unsupported::JpegLossless),
                SOF5..=SOF7 | DHP => return unsupported(Unsupported::JpegHierarchical),
                // DAC sets up the arithmetic coder, but only SOF selects it.
                DAC => {}
                SOF9..=SOF15 => return unsupported(Unsupported::JpegArithmetic),
                DNL => {
                    let lines = be_u16(data, 0).map_or(0, u32::from);
                    if self
                        .frame
                        .as_ref()
                        .is_some_and(|frame| lines > frame.height)
                    {
                        return Err(Rejection::corrupt("JPEG has more lines than its frame"));
                    }
                }
                APP0..=APP15 | COM => {}
                _ => {
                    return Err(Rejection::corrupt(format!(
                        "JPEG has the unexpected marker FF{marker:02X}"
                    )));
                }
            }
        }
    }

    /// Skips a scan's data without decoding it, up to a marker that is not a restart marker.
    pub(super) fn pass_scan(&mut self) {
        while let Some(rest) = self.bytes.get(self.at..) {
            let Some(ff) = memchr(0xff, rest) else { break };
            match rest.get(ff + 1) {
                Some(0 | 0xd0..=0xd7) => self.at += ff + 2,
                // Any number of FF may precede a marker.
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

    /// The pieces joined (ICC.1, annex B.4), unless one is missing: a profile is never a reason to reject a picture.
    ///
    /// Some programs embed their profile twice. As in Skia, the first complete set counts.
    pub(super) fn profile(&self) -> Option<Vec<u8>> {
        let of = self.profile.first()?.1;
        let mut pieces = vec![None; usize::from(of)];
        let mut n_missing = pieces.len();
        for (number, its_of, piece) in &self.profile {
            let slot = usize::from(*number)
                .checked_sub(1)
                .filter(|_| *its_of == of)
                .and_then(|idx| pieces.get_mut(idx));
            match slot {
                _ if n_missing == 0 => break,
                Some(slot @ None) => {
                    *slot = Some(*piece);
                    n_missing -= 1;
                }
                // Two pieces have the same number, and nothing tells which is right.
                Some(Some(other)) if other != piece => return None,
                _ => {}
            }
        }
        let pieces: Option<Vec<_>> = pieces.into_iter().collect();
        let is_readable = |pieces: &Vec<&[u8]>| {
            let length: usize = pieces.iter().map(|piece| piece.len()).sum();
            length <= MAX_PROFILE_BYTES
        };
        pieces.filter(is_readable).map(|pieces| pieces.concat())
    }
}

/// The next marker from `at`: its code, and the offset of its last FF.
///
/// Any number of FF may precede it (§B.1.1.2). Other bytes may not, but some phones write segments with a wrong marker
/// or length. In that case this searches for the next marker, like libjpeg.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        let rest = bytes.get(at..)?;
        let ff = memchr(0xff, rest)?;
        let code = ff + rest[ff..].iter().position(|byte| *byte != 0xff)?;
        if rest[code] != 0 {
            return Some((rest[code], at + code - 1));
        }
        at += code + 1;
    }
}

/// The segment whose length field is at `at`: its data, and its end.
fn segment(bytes: &[u8], at: usize, marker: u8) -> Result<(&[u8], usize), Rejection> {
    let missing = Rejection::Truncated("JPEG ends inside a segment");
    let length = match be_u16(bytes, at) {
        None => return Err(missing),
        // The length includes itself, so this is too small. If nothing depends on the data, libjpeg treats it as empty.
        Some(0 | 1) if matches!(marker, APP0..=APP15 | COM | DAC | DNL) => 2,
        Some(0 | 1) => return Err(Rejection::corrupt("JPEG has a segment without length")),
        Some(length) => usize::from(length),
    };
    let end = at + length;
    bytes
        .get(at + 2..end)
        .map(|data| (data, end))
        .ok_or(missing)
}

/// The prefix of a colour profile's segments.
const ICC: &[u8] = b"ICC_PROFILE\0";

// Marker codes, T.81 table B.1.
const TEM: u8 = 0x01;
const SOF0: u8 = 0xc0;
const SOF1: u8 = 0xc1;
const SOF2: u8 = 0xc2;
const SOF3: u8 = 0xc3;
const DHT: u8 = 0xc4;
const SOF5: u8 = 0xc5;
const SOF7: u8 = 0xc7;
const SOF9: u8 = 0xc9;
const SOF15: u8 = 0xcf;
const DAC: u8 = 0xcc;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
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
