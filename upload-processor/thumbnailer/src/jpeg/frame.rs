//! Parses a JPEG's frame header (ITU-T T.81 §B.2.2): the size, the components, and their meaning.

use image::metadata::Orientation;

use crate::decode::upright;
use crate::rejection::{Complexity, Rejection, Unsupported};
use crate::render::{of_source, plan};
use crate::settings::Settings;
use crate::window::Window;

use super::{Coding, Wanted};

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

/// The maximum bytes per pixel that an encoder takes: about 12 for libwebp, plus its planes.
const ENCODING: u64 = 14;

/// The scaling of a component.
pub(super) struct Layout {
    /// The number of samples per block when scaled, across and down.
    pub(super) block_size: (usize, usize),
    /// How many samples of whole blocks the picture shows.
    pub(super) shown: (usize, usize),
    /// The same, for scaled blocks.
    pub(super) scaled: (usize, usize),
    /// For each wanted size, the visible part of the scaled samples, and the number of samples that it becomes.
    pub(super) windows: Vec<(Window, (u32, u32))>,
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

    /// The scaling of each component for the wanted sizes.
    pub(super) fn layouts(&self, wanted: &Wanted<'_>, halved: bool) -> Vec<Layout> {
        let largest = wanted.sizes.iter().copied().max().unwrap_or((1, 1));
        let layout = |(index, component): (usize, &Component)| {
            let share = |side: u32, factor: u32, most: u32| {
                f64::from(side) * f64::from(factor) / f64::from(most)
            };
            let whole = (
                share(self.width, component.horizontal, self.widest),
                share(self.height, component.vertical, self.tallest),
            );
            // Chroma that stays at half the size of luma needs half the samples.
            let halved = halved && index > 0;
            let size = |(width, height): (u32, u32)| {
                if halved {
                    (width.div_ceil(2), height.div_ceil(2))
                } else {
                    (width, height)
                }
            };
            let (width, height) = size(largest);
            let block_size = (block_size(whole.0, width), block_size(whole.1, height));
            // At most eight.
            #[allow(clippy::cast_precision_loss)]
            let scale = |whole: f64, samples: usize| whole * samples as f64 / 8.0;
            let extent = (scale(whole.0, block_size.0), scale(whole.1, block_size.1));
            let windows = wanted.sizes.iter().map(|wanted_size| {
                let window = if halved {
                    Window::of_colour(extent, *wanted_size, wanted.mirrored)
                } else {
                    Window::of(extent)
                };
                (window, size(*wanted_size))
            });
            // The sides are within the pixel budget.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let up = |(across, down): (f64, f64)| (across.ceil() as usize, down.ceil() as usize);
            Layout {
                block_size,
                shown: up(whole),
                scaled: up(extent),
                windows: windows.collect(),
            }
        };
        self.components.iter().enumerate().map(layout).collect()
    }

    /// Checks an upper bound of the memory for decoding and rendering, whether chroma stays halved or becomes RGB.
    pub(super) fn check_memory(
        &self,
        settings: &Settings,
        orientation: Orientation,
    ) -> Result<u64, Rejection> {
        let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        let sizes = plan(
            upright((self.width, self.height), orientation),
            &settings.widths,
        );
        let stored: Vec<_> = of_source(&sizes)
            .into_iter()
            .map(|size| upright(size, orientation))
            .collect();
        let wanted = Wanted {
            sizes: &stored,
            mirrored: (false, false),
            becomes_rgb: &mut |_| true,
        };
        let layouts = self.layouts(&wanted, false);
        let (across, down) = self.mcus();
        // The coefficients of a progressive picture until its last scan is read; otherwise the blocks of a row of MCUs.
        let n_blocks = |component: &Component| {
            u64::from(across) * u64::from(component.horizontal * component.vertical)
        };
        let blocks: u64 = self.components.iter().map(n_blocks).sum();
        let coefficients = if self.progressive {
            u64::from(down) * blocks * 128
        } else {
            0
        };
        let strips = blocks * 256;
        let narrowed: u64 = layouts
            .iter()
            .flat_map(|layout| layout.windows.iter().map(move |window| (layout, window)))
            .map(|(layout, (_, (width, _)))| {
                // The filter: six taps of twelve bytes for each sample of a row, and the buffers of its result.
                let filter = 6 * 12 * layout.scaled.0 as u64 + 128 * u64::from(*width);
                u64::from(*width) * layout.scaled.1 as u64 + filter
            })
            .sum();
        // RGB of all sizes. For the largest, also the planes during its conversion, or the encoder's memory.
        let largest = area(sizes.first().copied().unwrap_or_default());
        let made: u64 = sizes.iter().map(|size| 3 * area(*size)).sum();
        let making = (self.components.len() as u64 + 4) * largest;
        let needed = (coefficients + strips + narrowed)
            .max(narrowed + made + making)
            .max(made + ENCODING * largest);
        let max = settings.max_memory();
        if needed > max {
            return Err(Rejection::TooComplex(Complexity::Memory { needed, max }));
        }
        Ok(needed)
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

/// The number of samples per block side when a plane with `shown` visible samples is to become `wanted`.
fn block_size(shown: f64, wanted: u32) -> usize {
    let least = MARGIN * 8.0 * f64::from(wanted);
    (1..8_u8)
        .find(|samples| shown * f64::from(*samples) >= least)
        .unwrap_or(8)
        .into()
}

/// The minimum factor by which a plane must be larger than wanted. At 1.4 SSIMULACRA2 sees no difference from all
/// samples (0.02 on the mean of eleven photos); at 1 it is 0.35 and up to 1.7.
const MARGIN: f64 = 1.4;

pub(super) fn unsupported<T>(found: Unsupported) -> Result<T, Rejection> {
    Err(Rejection::UnsupportedType(found))
}
