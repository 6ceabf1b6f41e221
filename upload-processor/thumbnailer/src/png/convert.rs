//! Converts the stored rows of a PNG to 8 bits per channel, without a palette.
//!
//! The decoder calls it for each row. Samples of 16 bits get their colours converted before they are narrowed, because
//! narrowing them first loses dark colours.

use crate::colour::ToSrgb;
use crate::raster::narrow;

use super::header::{GREY, GREY_ALPHA, Header, PALETTE, RGB, RGB_ALPHA, Stored};

/// Converts a stored row to 8 bits per channel.
pub(super) struct Convert<'a> {
    header: Header,
    channels: usize,
    /// The palette.
    colours: Vec<[u8; 4]>,
    /// The transparent colour, in the depth of the samples.
    transparent: Option<[u16; 3]>,
    pub(super) to_srgb: Option<&'a ToSrgb>,
    /// A row of 16 bits, and its RGB.
    wide: Vec<u16>,
    narrow: Vec<u8>,
}

impl<'a> Convert<'a> {
    pub(super) fn new(stored: &Stored<'_>, to_srgb: Option<&'a ToSrgb>) -> Self {
        let header = stored.header;
        let transparency = stored.transparency.unwrap_or_default();
        // An index beyond the palette is black, as in libpng.
        let mut colours = vec![[0, 0, 0, 255]; if header.is_palette() { 256 } else { 0 }];
        for (colour, [r, g, b]) in colours.iter_mut().zip(stored.palette.as_chunks().0) {
            *colour = [*r, *g, *b, 255];
        }
        for (colour, alpha) in colours.iter_mut().zip(transparency) {
            colour[3] = *alpha;
        }
        let sample = |idx: usize| {
            let bytes = transparency.as_chunks::<2>().0;
            // Only the low bits count (§11.3.1.1).
            let mask = u16::MAX >> (16 - u16::from(header.depth));
            bytes
                .get(idx)
                .map(|bytes| u16::from_be_bytes(*bytes) & mask)
        };
        let transparent = match header.colour {
            GREY => sample(0).map(|grey| [grey; 3]),
            RGB => sample(0)
                .zip(sample(1))
                .zip(sample(2))
                .map(|((r, g), b)| [r, g, b]),
            _ => None,
        };
        Self {
            header,
            channels: stored.channels(),
            colours,
            transparent,
            to_srgb: to_srgb.filter(|_| header.depth == 16),
            wide: Vec::new(),
            narrow: Vec::new(),
        }
    }

    /// Converts one row.
    pub(super) fn run(&mut self, row: &[u8], to: &mut [u8]) {
        match (self.header.colour, self.header.depth) {
            (_, 16) => self.run_wide(row, to),
            (PALETTE, _) => self.run_palette(row, to),
            (GREY, _) => self.run_grey(row, to),
            (GREY_ALPHA, _) => {
                let pixels = to.as_chunks_mut::<4>().0.iter_mut();
                for (pixel, [grey, alpha]) in pixels.zip(row.as_chunks().0) {
                    *pixel = [*grey, *grey, *grey, *alpha];
                }
            }
            (RGB, _) if self.channels == 4 => {
                let transparent = self.transparent;
                let pixels = to.as_chunks_mut::<4>().0.iter_mut();
                for (pixel, rgb) in pixels.zip(row.as_chunks().0) {
                    let alpha = opaque(transparent != Some(rgb.map(u16::from)));
                    let [r, g, b] = *rgb;
                    *pixel = [r, g, b, alpha];
                }
            }
            // RGB and RGBA, unchanged.
            _ => to.copy_from_slice(row),
        }
    }

    fn run_palette(&mut self, row: &[u8], to: &mut [u8]) {
        let Self {
            colours,
            narrow: samples,
            ..
        } = self;
        let indices = unpack(row, self.header.depth, samples);
        // There are 256.
        let colours = indices.iter().map(|index| colours[usize::from(*index)]);
        if self.channels == 4 {
            let pixels = to.as_chunks_mut::<4>().0.iter_mut();
            pixels
                .zip(colours)
                .for_each(|(pixel, colour)| *pixel = colour);
        } else {
            let pixels = to.as_chunks_mut::<3>().0.iter_mut();
            for (pixel, [r, g, b, _]) in pixels.zip(colours) {
                *pixel = [r, g, b];
            }
        }
    }

    fn run_grey(&mut self, row: &[u8], to: &mut [u8]) {
        // 255, 85, 17 or 1.
        let factor = 255 / (255 >> (8 - self.header.depth));
        let samples = unpack(row, self.header.depth, &mut self.narrow);
        if self.channels == 1 {
            to.iter_mut()
                .zip(samples)
                .for_each(|(value, sample)| *value = sample * factor);
        } else {
            let transparent = self.transparent.map(|[grey, ..]| grey);
            let pixels = to.as_chunks_mut::<4>().0.iter_mut();
            for (pixel, sample) in pixels.zip(samples) {
                let grey = sample * factor;
                let alpha = opaque(transparent != Some(u16::from(*sample)));
                *pixel = [grey, grey, grey, alpha];
            }
        }
    }

    /// Converts the colours of 16-bit samples before narrowing them.
    fn run_wide(&mut self, row: &[u8], to: &mut [u8]) {
        let Self {
            wide, narrow: rgb, ..
        } = self;
        let stored = self.header.samples();
        let alpha = matches!(self.header.colour, GREY_ALPHA | RGB_ALPHA);
        let used = if self.header.is_grey() { 1 } else { 3 };
        let sample = |bytes: &[u8; 2]| u16::from_be_bytes(*bytes);
        let samples = row.as_chunks::<2>().0;
        wide.clear();
        wide.extend(
            samples
                .chunks_exact(stored)
                .flat_map(|pixel| &pixel[..used])
                .map(sample),
        );
        rgb.clear();
        match self.to_srgb {
            Some(to_srgb) if to_srgb.run_deep(wide, rgb) => {}
            _ => rgb.extend(wide.iter().map(|value| narrow(*value))),
        }
        // Converted grey still has one channel.
        let transparent = self.transparent;
        for ((to, pixel), rgb) in to
            .chunks_exact_mut(self.channels)
            .zip(samples.chunks_exact(stored))
            .zip(rgb.chunks_exact(used))
        {
            for (idx, value) in to.iter_mut().take(3).enumerate() {
                *value = rgb[idx.min(used - 1)];
            }
            if let Some(value) = to.get_mut(3) {
                *value = if alpha {
                    narrow(sample(&pixel[stored - 1]))
                } else {
                    let is_it = transparent.is_some_and(|colour| {
                        pixel.iter().map(sample).zip(colour).all(|(a, b)| a == b)
                    });
                    opaque(!is_it)
                };
            }
        }
    }
}

fn opaque(is: bool) -> u8 {
    if is { 255 } else { 0 }
}

/// Unpacks samples of 1, 2, 4 or 8 bits, highest bits first; the last byte may contain padding.
fn unpack<'a>(row: &'a [u8], depth: u8, room: &'a mut Vec<u8>) -> &'a [u8] {
    if depth == 8 {
        return row;
    }
    let mask = 255 >> (8 - depth);
    room.clear();
    room.extend(
        row.iter().flat_map(|byte| {
            (0..8 / depth).map(move |idx| byte >> (8 - depth - idx * depth) & mask)
        }),
    );
    room
}
