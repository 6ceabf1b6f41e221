//! The parts of a PNG before its image data: its header, its palette and its transparency.
//!
//! `inspect` fills it from the chunks, and the decoder reads it. It estimates memory and decodes nothing.

use crate::raster::Space;

/// IHDR (§11.2.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Bits per sample.
    pub(crate) depth: u8,
    pub(crate) colour: u8,
    pub(crate) interlaced: bool,
}

/// A picture as stored in its file.
#[derive(Clone, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) header: Header,
    /// Three bytes per colour; empty without a palette.
    pub(crate) palette: &'a [u8],
    /// tRNS, with the length that the colour type requires.
    pub(crate) transparency: Option<&'a [u8]>,
    /// Whether the checksums of header and palette are right.
    pub(crate) is_intact: bool,
    /// The file from its first IDAT.
    pub(crate) data: &'a [u8],
}

impl Header {
    /// Whether PNG defines this combination of colour type and depth.
    pub(crate) fn is_defined(&self) -> bool {
        let depths: &[u8] = match self.colour {
            GREY => &[1, 2, 4, 8, 16],
            PALETTE => &[1, 2, 4, 8],
            RGB | GREY_ALPHA | RGB_ALPHA => &[8, 16],
            _ => &[],
        };
        depths.contains(&self.depth)
    }

    pub(crate) fn is_palette(&self) -> bool {
        self.colour == PALETTE
    }

    pub(crate) fn is_grey(&self) -> bool {
        matches!(self.colour, GREY | GREY_ALPHA)
    }

    /// The length of a tRNS that names one transparent colour.
    pub(crate) fn transparency_bytes(&self) -> Option<usize> {
        match self.colour {
            GREY => Some(2),
            RGB => Some(6),
            _ => None,
        }
    }

    /// The number of stored samples per pixel.
    pub(super) fn samples(&self) -> usize {
        match self.colour {
            GREY_ALPHA => 2,
            RGB => 3,
            RGB_ALPHA => 4,
            _ => 1,
        }
    }

    /// The bytes of a row of this many pixels, without the filter byte.
    pub(super) fn row_bytes(&self, width: u32) -> usize {
        (width as usize * self.samples() * usize::from(self.depth)).div_ceil(8)
    }
}

impl Stored<'_> {
    /// Whether any pixel can be transparent.
    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.header.colour, GREY_ALPHA | RGB_ALPHA) || self.transparency.is_some()
    }

    /// The number of decoded channels.
    pub(super) fn channels(&self) -> usize {
        match (self.has_alpha(), self.header.is_grey()) {
            (true, _) => 4,
            (false, true) => 1,
            (false, false) => 3,
        }
    }

    /// The number of decoded bytes.
    pub(crate) fn decoded(&self, pixels: u64) -> u64 {
        pixels * self.channels() as u64
    }

    /// An upper bound of the memory for decoding, in bytes: the samples, the current and the previous row, one row of
    /// 16 bits before and after its conversion, and the window of inflate.
    pub(crate) fn memory(&self, pixels: u64) -> u64 {
        let row = self.header.row_bytes(self.header.width) as u64;
        let wide = u64::from(self.header.width) * 16;
        let rows = 2 * row + if self.header.depth == 16 { wide } else { 0 };
        self.decoded(pixels) + rows + FIXED
    }
}

impl Stored<'_> {
    /// The colour space of the samples, for a profile.
    pub(crate) fn space(&self) -> Space {
        if self.header.is_grey() {
            Space::Grey
        } else {
            Space::Rgb
        }
    }
}

/// The window, and the roughly 30 KB of tables in `fdeflate`.
const FIXED: u64 = 256 * 1024;

// The colour types (§11.2.1).
pub(super) const GREY: u8 = 0;
pub(super) const RGB: u8 = 2;
pub(super) const PALETTE: u8 = 3;
pub(super) const GREY_ALPHA: u8 = 4;
pub(super) const RGB_ALPHA: u8 = 6;
