//! Samples in memory: the forms that a picture has between its decoder and its encoder.
//!
//! Decoders make them, `render` resizes and encodes them, and `colour` converts them. They are plain data: nothing here
//! decodes, resizes or checks a limit.

use crate::window::Span;

/// The samples of a decoded picture, in the form that its file suggests.
#[derive(Clone, Debug)]
pub(crate) enum Raster {
    Pixels(Pixels),
    /// Already as narrow as the renditions.
    Narrowed(NarrowedPlanes),
    /// At full size.
    Full(FullPlanes),
}

/// Planes at full size: luma, and two chroma planes, if any, at half of it, rounded up.
#[derive(Clone, Debug)]
pub(crate) struct FullPlanes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) coding: Coding,
    pub(crate) planes: Vec<Vec<u8>>,
}

/// Rows of pixels without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// RGBA without premultiplication if true; otherwise RGB.
    pub(crate) alpha: bool,
    /// Whether the three channels were one grey channel.
    pub(crate) grey: bool,
    pub(crate) data: Vec<u8>,
}

/// A decoded picture, once for each wanted size.
#[derive(Clone, Debug)]
pub(crate) struct NarrowedPlanes {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) coding: Coding,
    /// Whether the chroma planes have half the size of luma.
    pub(crate) halved: bool,
    pub(crate) narrowed: Vec<Narrowed>,
}

/// A plane for each component, as narrow as a wanted size but not yet reduced in height.
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
    /// The part of the rows that becomes the plane, and the resulting number of rows.
    pub(crate) down: Span,
    pub(crate) height: u32,
}

/// Luma at full size, chroma at half, rounded up; full range, the matrix of BT.601.
#[derive(Clone, Debug)]
pub(crate) struct YCbCr {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) y: Vec<u8>,
    pub(crate) cb: Vec<u8>,
    pub(crate) cr: Vec<u8>,
}

/// The meaning of the components.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    Grey,
    /// JFIF's: full range, the matrix of BT.601.
    YCbCr,
    Rgb,
    /// Inverted: the amount of light instead of ink. Adobe's segment says so, and without it browsers and Pillow assume
    /// it.
    Cmyk,
    /// CMYK whose first three components are coded as in YCbCr.
    Ycck,
}

/// The kind of a picture's samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Space {
    Grey,
    Rgb,
    /// Amounts of ink: 255 is the maximum.
    Cmyk,
}

impl Coding {
    /// The kind of its samples.
    pub(crate) fn space(self) -> Space {
        match self {
            Self::Grey => Space::Grey,
            Self::YCbCr | Self::Rgb => Space::Rgb,
            Self::Cmyk | Self::Ycck => Space::Cmyk,
        }
    }
}

impl YCbCr {
    /// The size of its chroma planes.
    pub(crate) fn chroma_size(&self) -> (u32, u32) {
        halved((self.width, self.height))
    }

    /// The extent of the picture in chroma samples, across and down.
    pub(crate) fn colour_extent(&self) -> (f64, f64) {
        (f64::from(self.width) / 2.0, f64::from(self.height) / 2.0)
    }
}

/// Half of each side, rounded up.
pub(crate) fn halved((width, height): (u32, u32)) -> (u32, u32) {
    (width.div_ceil(2), height.div_ceil(2))
}

/// 16 bits to 8, rounded.
pub(crate) fn narrow(value: u16) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most (65535 + 128) / 257 = 255"
    )]
    {
        ((u32::from(value) + 128) / 257) as u8
    }
}
