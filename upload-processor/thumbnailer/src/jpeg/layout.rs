//! Lays out the planes of a JPEG for the wanted sizes: how far each is scaled down while it is decoded.
//!
//! Inspection asks for the memory that this will take, and the decoder for the layout itself. It reads no data of a
//! scan.

use image::metadata::Orientation;

use crate::exif::upright;
use crate::limits::within_budget;
use crate::plan::{of_source, plan};
use crate::raster::Coding;
use crate::rejection::Rejection;
use crate::settings::Settings;
use crate::window::Window;

use super::frame::{Component, Frame};

/// The wanted result of decoding.
pub(crate) struct Wanted<'a> {
    /// The wanted sizes, in stored orientation; at least one.
    pub(crate) sizes: &'a [(u32, u32)],
    /// The stored directions in which the picture is mirrored.
    pub(crate) mirrored: (bool, bool),
    /// Whether components with this meaning will be converted to RGB.
    pub(crate) becomes_rgb: &'a mut dyn FnMut(Coding) -> bool,
}

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

impl Frame {
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
            #[expect(clippy::cast_precision_loss, reason = "at most eight")]
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
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the sides are within the pixel budget"
            )]
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
        within_budget(needed, settings)
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

/// The maximum bytes per pixel that an encoder takes: about 12 for libwebp, plus its planes.
const ENCODING: u64 = 14;
