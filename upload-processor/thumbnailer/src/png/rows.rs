//! Yields the rows of a PNG without their filters (PNG third edition, §9).
//!
//! The decoder asks for one row after the other. The whole picture never exists in its stored form.

use crate::deadline::Checkpoint;
use crate::rejection::Rejection;

use super::header::Stored;
use super::inflate::Inflate;

/// Yields rows without their filters.
pub(super) struct Rows<'a> {
    inflate: Inflate<'a>,
    /// The distance in bytes between a sample and the one to its left.
    step: usize,
    row: Vec<u8>,
    above: Vec<u8>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(stored: &Stored<'a>, checkpoint: Checkpoint<'a>) -> Self {
        let header = &stored.header;
        Self {
            inflate: Inflate::new(stored.data, checkpoint),
            step: (header.samples() * usize::from(header.depth) / 8).max(1),
            row: Vec::new(),
            above: Vec::new(),
        }
    }

    /// Starts a picture or a pass, with rows of this many bytes.
    pub(super) fn begin(&mut self, row_bytes: usize) {
        for row in [&mut self.row, &mut self.above] {
            row.clear();
            row.resize(row_bytes, 0);
        }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<&[u8], Rejection> {
        std::mem::swap(&mut self.row, &mut self.above);
        let mut filter = [0];
        self.inflate.read(&mut filter)?;
        self.inflate.read(&mut self.row)?;
        unfilter(filter[0], self.step, &self.above, &mut self.row)?;
        Ok(&self.row)
    }

    /// Reads to the Adler-32 after the last row.
    pub(super) fn finish(mut self) -> Result<(), Rejection> {
        self.inflate.finish()
    }
}

/// Reverses a row's filter (§9.2).
fn unfilter(filter: u8, step: usize, above: &[u8], row: &mut [u8]) -> Result<(), Rejection> {
    match filter {
        0 => {}
        2 => row
            .iter_mut()
            .zip(above)
            .for_each(|(value, above)| *value = value.wrapping_add(*above)),
        1 | 3 | 4 => match step {
            1 => unfilter_from_left::<1>(filter, above, row),
            2 => unfilter_from_left::<2>(filter, above, row),
            3 => unfilter_from_left::<3>(filter, above, row),
            4 => unfilter_from_left::<4>(filter, above, row),
            6 => unfilter_from_left::<6>(filter, above, row),
            _ => unfilter_from_left::<8>(filter, above, row),
        },
        _ => return Err(Rejection::corrupt("PNG has an unknown filter")),
    }
    Ok(())
}

/// The filters that use the pixel to the left; rows consist of whole pixels of `N` bytes.
fn unfilter_from_left<const N: usize>(filter: u8, above: &[u8], row: &mut [u8]) {
    let pixels = row.as_chunks_mut::<N>().0.iter_mut();
    let above = above.as_chunks::<N>().0;
    let mut left = [0_u8; N];
    match filter {
        1 => {
            for pixel in pixels {
                for (value, left) in pixel.iter_mut().zip(left) {
                    *value = value.wrapping_add(left);
                }
                left = *pixel;
            }
        }
        3 => {
            for (pixel, above) in pixels.zip(above) {
                for idx in 0..N {
                    pixel[idx] = pixel[idx].wrapping_add(left[idx].midpoint(above[idx]));
                }
                left = *pixel;
            }
        }
        _ => {
            let mut corner = [0_u8; N];
            for (pixel, above) in pixels.zip(above) {
                for idx in 0..N {
                    let predicted = paeth(left[idx], above[idx], corner[idx]);
                    pixel[idx] = pixel[idx].wrapping_add(predicted);
                }
                (left, corner) = (*pixel, *above);
            }
        }
    }
}

/// The neighbour nearest to left + above − corner (§9.4); the first one in a tie.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let (to_left, to_above) = ((b - c).abs(), (a - c).abs());
    let to_corner = (a + b - 2 * c).abs();
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}
