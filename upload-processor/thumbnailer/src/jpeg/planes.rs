//! The planes of a JPEG while its scans are read: blocks become samples, and rows of blocks are narrowed at once.
//!
//! `scan` and `coder` fill them, and the decoder takes the narrowed rows at the end. It reads no bits. Code that runs
//! for each block is `#[inline]`.

use crate::deadline::Checkpoint;
use crate::rejection::Rejection;

use super::frame::{Component, Frame};
use super::idct::{Block, QuantTable, Scale};
use super::layout::Layout;
use super::narrow::Narrow;
use super::scan_header::ScanHeader;
use super::zigzag::BY_COLUMN;

/// The picture as decoded by the scans so far.
pub(super) struct PictureDecoder {
    progressive: bool,
    pub(super) planes: Vec<PlaneDecoder>,
}

/// A component's decoded and narrowed samples.
pub(super) struct PlaneDecoder {
    /// The number of blocks across.
    pub(super) across: usize,
    /// How many samples of all blocks the picture shows, across and down, before scaling.
    shown: (usize, usize),
    /// The same, scaled.
    scaled: (usize, usize),
    scale: Scale,
    /// As many rows of blocks as an MCU has, each in columns of eight samples.
    strips: Vec<[f32; 8]>,
    n_strips: usize,
    pub(super) narrowed: Vec<NarrowedRows>,
    /// The coefficients of a progressive picture, column by column, until all scans are read.
    pub(super) coefficients: Vec<[i16; 64]>,
    /// The quantisation table that was current when the component's first scan began.
    pub(super) quant: Option<QuantTable>,
}

/// A plane narrowed to one of the wanted sizes.
pub(super) struct NarrowedRows {
    narrow: Narrow,
    pub(super) samples: Vec<u8>,
}

impl PictureDecoder {
    /// An empty picture.
    pub(super) fn new(frame: &Frame, layouts: &[Layout]) -> Self {
        let (across, down) = frame.mcus();
        let plane = |(component, layout): (&Component, &Layout)| {
            let across = (across * component.horizontal) as usize;
            let n_strips = component.vertical as usize;
            let scale = Scale::new(layout.block_size);
            let n_kept = if frame.progressive {
                across * down as usize * n_strips
            } else {
                0
            };
            let narrowed = layout.windows.iter().map(|(window, (width, _))| {
                let narrow = Narrow::new(window.across, layout.scaled.0, *width as usize);
                let samples = vec![0; narrow.width() * layout.scaled.1];
                NarrowedRows { narrow, samples }
            });
            PlaneDecoder {
                across,
                shown: layout.shown,
                scaled: layout.scaled,
                strips: vec![[0.0; 8]; across * scale.across * n_strips],
                n_strips,
                scale,
                narrowed: narrowed.collect(),
                coefficients: vec![[0; 64]; n_kept],
                quant: None,
            }
        };
        Self {
            progressive: frame.progressive,
            planes: frame.components.iter().zip(layouts).map(plane).collect(),
        }
    }

    /// Keeps the quantisation tables that are current when a component's first scan begins (§B.2.4.1).
    pub(super) fn begin(
        &mut self,
        frame: &Frame,
        header: &ScanHeader,
        quant: &[Option<QuantTable>; 4],
    ) -> Result<(), Rejection> {
        for component in &header.components {
            let kept = &mut self.planes[component.index].quant;
            if kept.is_none() {
                let table = quant.get(frame.components[component.index].quant);
                *kept = Some(table.copied().flatten().ok_or_else(|| {
                    Rejection::corrupt("JPEG scan uses a table that is not defined")
                })?);
            }
        }
        Ok(())
    }

    /// Transforms the blocks that had to wait for the last scan.
    pub(super) fn finish(
        mut self,
        checkpoint: Checkpoint<'_>,
    ) -> Result<Vec<PlaneDecoder>, Rejection> {
        for plane in &mut self.planes {
            let coefficients = std::mem::take(&mut plane.coefficients);
            let Some(quant) = plane.quant.filter(|_| self.progressive) else {
                continue;
            };
            for (y, row) in coefficients.chunks(plane.across).enumerate() {
                checkpoint("decode")?;
                for (x, zigzagged) in row.iter().enumerate() {
                    let mut block = Block::EMPTY;
                    for (k, value) in zigzagged.iter().enumerate() {
                        if *value != 0 {
                            let at = usize::from(BY_COLUMN[k]);
                            block.coefficients[at] = f32::from(*value) * quant[at];
                            block.nonzero |= 1 << at;
                        }
                    }
                    plane.draw(&block, x, y);
                }
                plane.narrow(y);
            }
        }
        Ok(self.planes)
    }
}

impl PlaneDecoder {
    /// The start of a row of blocks among the strips, and its number of columns.
    #[inline]
    fn strip(&self, y: usize) -> (usize, usize) {
        let stride = self.across * self.scale.across;
        // A division for each block would be measurable.
        let strip = if self.n_strips.is_power_of_two() {
            y & (self.n_strips - 1)
        } else {
            y % self.n_strips
        };
        (strip * stride, stride)
    }

    /// Transforms a block into the strip of its row.
    #[inline]
    pub(super) fn draw(&mut self, block: &Block, x: usize, y: usize) {
        let n_columns = self.scale.across;
        let start = self.strip(y).0 + n_columns * x;
        let columns = &mut self.strips[start..][..n_columns];
        if self.scale.is_full() {
            block.draw(columns);
            return;
        }
        let shown = |side: usize, at: usize| side.saturating_sub(8 * at).min(8);
        let shown = (shown(self.shown.0, x), shown(self.shown.1, y));
        match shown {
            (8, 8) => block.draw_smaller(columns, &self.scale),
            (0, _) | (_, 0) => {}
            (across, down) => block
                .with_repeated_edges(across, down)
                .draw_smaller(columns, &self.scale),
        }
    }

    /// Narrows a row of blocks, once all of them are transformed.
    pub(super) fn narrow(&mut self, y: usize) {
        let (start, stride) = self.strip(y);
        let strip = &self.strips[start..][..stride];
        let first = self.scale.down * y;
        let last = self.scaled.1.min(first + self.scale.down);
        for NarrowedRows { narrow, samples } in &mut self.narrowed {
            let width = narrow.width();
            if let Some(rows) = samples.get_mut(first * width..last * width) {
                narrow.run(strip, rows);
            }
        }
    }
}
