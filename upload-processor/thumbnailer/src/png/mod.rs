//! Decodes a PNG whose chunks `inspect` has found (PNG third edition, §7 to §10), a row at a time.
//!
//! This decoder around `fdeflate` does three things that `image`'s does not. It converts and narrows 16-bit samples row
//! by row, so the whole picture never exists in 16 bits. It keeps grey as one plane. It checks the Adler-32 over all
//! rows, so a picture with its rows and checksum is complete, even if the container's last bytes are missing.

use fdeflate::{DecompressionError, Decompressor};

use crate::colour::{Space, ToSrgb};
use crate::inspect::png_chunk as chunk;
use crate::rejection::Rejection;

/// A checkpoint that can stop the work, called after each piece of data.
type GoOn<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), Rejection>;

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

/// Samples in 8 bits, without gaps.
pub(crate) struct Samples {
    /// 1, 3, or 4 with alpha.
    pub(crate) channels: usize,
    pub(crate) data: Vec<u8>,
    /// Whether they are already in sRGB.
    pub(crate) converted: bool,
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
    fn samples(&self) -> usize {
        match self.colour {
            GREY_ALPHA => 2,
            RGB => 3,
            RGB_ALPHA => 4,
            _ => 1,
        }
    }

    /// The bytes of a row of this many pixels, without the filter byte.
    fn row_bytes(&self, width: u32) -> usize {
        (width as usize * self.samples() * usize::from(self.depth)).div_ceil(8)
    }
}

impl Stored<'_> {
    /// Whether any pixel can be transparent.
    pub(crate) fn has_alpha(&self) -> bool {
        matches!(self.header.colour, GREY_ALPHA | RGB_ALPHA) || self.transparency.is_some()
    }

    /// The number of decoded channels.
    fn channels(&self) -> usize {
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

/// Decodes the whole picture, or reports what is missing. `to_srgb` applies to 16-bit samples only, because narrowing
/// them first loses dark colours.
pub(crate) fn decode(
    stored: &Stored<'_>,
    to_srgb: Option<&ToSrgb>,
    go_on: GoOn<'_>,
) -> Result<Samples, Rejection> {
    if !stored.is_intact {
        return Err(Rejection::corrupt(
            "PNG has a wrong checksum over its header or its palette",
        ));
    }
    let header = &stored.header;
    let channels = stored.channels();
    let (width, height) = (header.width as usize, header.height as usize);
    let mut data = vec![0; width * height * channels];
    let mut rows = Rows::new(stored, go_on);
    let mut convert = Convert::new(stored, to_srgb);
    if header.interlaced {
        let mut line = Vec::new();
        for pass in ADAM7 {
            let (across, down) = pass.size(header.width, header.height);
            if across == 0 || down == 0 {
                continue;
            }
            line.resize(across as usize * channels, 0);
            rows.begin(header.row_bytes(across));
            for row in 0..down as usize {
                convert.run(rows.next()?, &mut line);
                let y = pass.y as usize + row * pass.dy as usize;
                let to = &mut data[y * width * channels..(y + 1) * width * channels];
                let places = to
                    .chunks_exact_mut(channels)
                    .skip(pass.x as usize)
                    .step_by(pass.dx as usize);
                for (place, pixel) in places.zip(line.chunks_exact(channels)) {
                    place.copy_from_slice(pixel);
                }
            }
        }
    } else {
        rows.begin(header.row_bytes(header.width));
        for to in data.chunks_exact_mut(width * channels) {
            convert.run(rows.next()?, to);
        }
    }
    rows.finish()?;
    Ok(Samples {
        channels,
        data,
        converted: convert.to_srgb.is_some(),
    })
}

/// One of the seven passes of an interlaced picture (§8).
#[derive(Clone, Copy)]
struct Pass {
    x: u32,
    y: u32,
    dx: u32,
    dy: u32,
}

const ADAM7: [Pass; 7] = {
    const fn pass(x: u32, y: u32, dx: u32, dy: u32) -> Pass {
        Pass { x, y, dx, dy }
    }
    [
        pass(0, 0, 8, 8),
        pass(4, 0, 8, 8),
        pass(0, 4, 4, 8),
        pass(2, 0, 4, 4),
        pass(0, 2, 2, 4),
        pass(1, 0, 2, 2),
        pass(0, 1, 1, 2),
    ]
};

impl Pass {
    fn size(self, width: u32, height: u32) -> (u32, u32) {
        (
            width.saturating_sub(self.x).div_ceil(self.dx),
            height.saturating_sub(self.y).div_ceil(self.dy),
        )
    }
}

/// Yields rows without their filters.
struct Rows<'a> {
    inflate: Inflate<'a>,
    /// The distance in bytes between a sample and the one to its left.
    step: usize,
    row: Vec<u8>,
    above: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn new(stored: &Stored<'a>, go_on: GoOn<'a>) -> Self {
        let header = &stored.header;
        Self {
            inflate: Inflate::new(stored.data, go_on),
            step: (header.samples() * usize::from(header.depth) / 8).max(1),
            row: Vec::new(),
            above: Vec::new(),
        }
    }

    /// Starts a picture or a pass, with rows of this many bytes.
    fn begin(&mut self, row_bytes: usize) {
        for row in [&mut self.row, &mut self.above] {
            row.clear();
            row.resize(row_bytes, 0);
        }
    }

    fn next(&mut self) -> Result<&[u8], Rejection> {
        std::mem::swap(&mut self.row, &mut self.above);
        let mut filter = [0];
        self.inflate.read(&mut filter)?;
        self.inflate.read(&mut self.row)?;
        unfilter(filter[0], self.step, &self.above, &mut self.row)?;
        Ok(&self.row)
    }

    /// Reads to the Adler-32 after the last row.
    fn finish(mut self) -> Result<(), Rejection> {
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

/// Inflates the IDAT chunks.
struct Inflate<'a> {
    file: &'a [u8],
    at: usize,
    /// The rest of the current chunk.
    piece: &'a [u8],
    state: Box<Decompressor>,
    /// The last 32 KB, which back-references may use, and room for more.
    window: Vec<u8>,
    /// The start of the unread part of the window.
    from: usize,
    to: usize,
    read: u64,
    go_on: GoOn<'a>,
}

impl<'a> Inflate<'a> {
    fn new(file: &'a [u8], go_on: GoOn<'a>) -> Self {
        Self {
            file,
            at: 0,
            piece: &[],
            state: Box::new(Decompressor::new()),
            window: vec![0; WINDOW],
            from: 0,
            to: 0,
            read: 0,
            go_on,
        }
    }

    fn read(&mut self, mut to: &mut [u8]) -> Result<(), Rejection> {
        while !to.is_empty() {
            if self.from == self.to && !self.more()? {
                // The stream is complete and its checksum right, so the file was written like this.
                return Err(Rejection::corrupt("PNG has too few rows"));
            }
            let length = to.len().min(self.to - self.from);
            let (now, later) = to.split_at_mut(length);
            now.copy_from_slice(&self.window[self.from..self.from + length]);
            self.from += length;
            self.read += length as u64;
            to = later;
        }
        Ok(())
    }

    /// Reads to the Adler-32. Some encoders write surplus data before it.
    fn finish(&mut self) -> Result<(), Rejection> {
        let mut surplus = (self.to - self.from) as u64;
        while self.more()? {
            surplus += (self.to - self.from) as u64;
            self.from = self.to;
            if surplus > self.read + MAX_SURPLUS {
                return Err(Rejection::corrupt("PNG has far more data than rows"));
            }
        }
        while self.next_piece()?.is_some() {}
        Ok(())
    }

    /// Refills the window after all of it was read. Returns `false` at the end of the data, if its checksum was right.
    fn more(&mut self) -> Result<bool, Rejection> {
        (self.go_on)("decode")?;
        if self.window.len() - self.to < LOOK_BACK {
            self.window.copy_within(self.to - LOOK_BACK..self.to, 0);
            self.to = LOOK_BACK;
        }
        self.from = self.to;
        let mut is_last = false;
        while self.to == self.from && !self.state.is_done() {
            if self.piece.is_empty() {
                match self.next_piece()? {
                    Some(piece) => self.piece = piece,
                    None => is_last = true,
                }
            }
            let (taken, made) = self
                .state
                .read(self.piece, &mut self.window, self.to, is_last)
                .map_err(|error| match error {
                    DecompressionError::InsufficientInput => {
                        Rejection::Truncated("PNG ends before its image data does")
                    }
                    DecompressionError::WrongChecksum => {
                        Rejection::corrupt("PNG's rows have a wrong checksum")
                    }
                    error => {
                        Rejection::corrupt(format!("PNG's data cannot be inflated: {error:?}"))
                    }
                })?;
            self.piece = &self.piece[taken..];
            self.to += made;
        }
        Ok(self.to > self.from)
    }

    /// The data of the next IDAT chunk, if its checksum was right. The last chunk may be truncated.
    fn next_piece(&mut self) -> Result<Option<&'a [u8]>, Rejection> {
        loop {
            let rest = self.file.get(self.at..).unwrap_or_default();
            let (Some(length), Some(b"IDAT")) = (rest.first_chunk(), rest.get(4..8)) else {
                return Ok(None);
            };
            let Ok(whole) = chunk(self.file, self.at) else {
                // The chunk lacks at least its CRC. The Adler-32 decides whether the data is complete.
                self.at = self.file.len();
                let length = u32::from_be_bytes(*length) as usize;
                return Ok(Some(&rest[8..rest.len().min(8 + length)]));
            };
            whole.check_crc()?;
            self.at = whole.end;
            if !whole.data.is_empty() {
                return Ok(Some(whole.data));
            }
        }
    }
}

/// Converts a stored row to 8 bits per channel.
struct Convert<'a> {
    header: Header,
    channels: usize,
    /// The palette.
    colours: Vec<[u8; 4]>,
    /// The transparent colour, in the depth of the samples.
    transparent: Option<[u16; 3]>,
    to_srgb: Option<&'a ToSrgb>,
    /// A row of 16 bits, and its RGB.
    wide: Vec<u16>,
    narrow: Vec<u8>,
}

impl<'a> Convert<'a> {
    fn new(stored: &Stored<'_>, to_srgb: Option<&'a ToSrgb>) -> Self {
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

    fn run(&mut self, row: &[u8], to: &mut [u8]) {
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

fn opaque(is: bool) -> u8 {
    if is { 255 } else { 0 }
}

/// 16 bits to 8, rounded.
pub(crate) fn narrow(value: u16) -> u8 {
    // At most (65535 + 128) / 257 = 255.
    #[allow(clippy::cast_possible_truncation)]
    {
        ((u32::from(value) + 128) / 257) as u8
    }
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

/// The largest distance of a back-reference (§10.1).
const LOOK_BACK: usize = 32 * 1024;
const WINDOW: usize = 4 * LOOK_BACK;
/// The window, and the roughly 30 KB of tables in `fdeflate`.
const FIXED: u64 = 256 * 1024;
/// Surplus data is inflated only for its checksum, so it is bounded: by the size of the rows, and this.
const MAX_SURPLUS: u64 = 1 << 20;

const GREY: u8 = 0;
const RGB: u8 = 2;
const PALETTE: u8 = 3;
const GREY_ALPHA: u8 = 4;
const RGB_ALPHA: u8 = 6;
