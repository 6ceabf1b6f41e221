//! Parses a JPEG's frame header (ITU-T T.81 §B.2.2): the size, the components, and their meaning.

use crate::raster::Coding;
use crate::rejection::{Rejection, Unsupported};

/// The picture as its frame header (SOF) describes it.
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors of any component.
    pub(super) widest: u32,
    pub(super) tallest: u32,
}

/// A colour plane and its sampling factors.
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) horizontal: u32,
    pub(super) vertical: u32,
    /// The index of the quantisation table.
    pub(super) quant: usize,
}

impl Frame {
    /// T.81 §B.2.2.
    pub(super) fn parse(progressive: bool, data: &[u8]) -> Result<Self, Rejection> {
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
        // A height of 0 means that a DNL after the first scan gives it.
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
            match (component.horizontal, component.vertical) {
                (1..=4, 1..=4) => components.push(component),
                _ => return Err(Rejection::corrupt("JPEG has an impossible sampling factor")),
            }
        }
        // A single component has no other to be sampled against; T.81 §A.2.2 does not interleave its blocks.
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

    /// The number of MCUs across and down (T.81 §A.2).
    pub(super) fn mcus(&self) -> (u32, u32) {
        (
            self.width.div_ceil(8 * self.widest),
            self.height.div_ceil(8 * self.tallest),
        )
    }

    /// The number of blocks of a component that carry pixels, across and down: those in a scan of it alone.
    pub(super) fn blocks(&self, component: &Component) -> (u32, u32) {
        (
            (self.width * component.horizontal).div_ceil(8 * self.widest),
            (self.height * component.vertical).div_ceil(8 * self.tallest),
        )
    }

    /// The meaning of the components, by libjpeg's rules: from JFIF's and Adobe's segments, otherwise from the
    /// components' names.
    ///
    /// Only 0, 1 and 2 of Adobe's transforms are defined. libjpeg treats any other as the usual one.
    pub(super) fn coding(&self, jfif: bool, adobe: Option<u8>) -> Coding {
        let ids = self.components.iter().map(|component| component.id);
        match (self.components.len(), adobe) {
            (1, _) => Coding::Grey,
            (3, _) if jfif => Coding::YCbCr,
            (3, Some(0)) => Coding::Rgb,
            (3, None) if ids.eq(*b"RGB") => Coding::Rgb,
            (3, _) => Coding::YCbCr,
            (_, None | Some(0)) => Coding::Cmyk,
            _ => Coding::Ycck,
        }
    }
}

pub(super) fn unsupported<T>(found: Unsupported) -> Result<T, Rejection> {
    Err(Rejection::UnsupportedType(found))
}
