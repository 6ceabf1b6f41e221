//! Writes a baseline JPEG from planes: 4:2:0, with Huffman codes optimised for the picture (ITU-T T.81, Annexes F and
//! K).
//!
//! The quantisation tables are the standard's, scaled by quality like libjpeg's, so that a quality has its familiar
//! meaning.

use crate::raster::YCbCr;

use super::idct::{BASIS, add};
use super::zigzag::ZIGZAG;

/// Encodes a picture whose sides fit into a JPEG. Quality is libjpeg's, 1 to 100.
pub(crate) fn encode(picture: &YCbCr, quality: u8) -> Vec<u8> {
    let quant = [LUMA, CHROMA].map(|table| scaled(&table, quality));
    let Tokens { rows, counts } = Tokens::new(picture, &quant);
    let codes = counts.map(|counts| Code::new(&counts));

    let mut file = Vec::with_capacity(picture.y.len() / 4);
    file.extend([0xff, 0xd8]);
    // JFIF 1.01, square pixels.
    segment(&mut file, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for (destination, table) in (0..).zip(&quant) {
        let mut data = vec![destination];
        data.extend(ZIGZAG.map(|at| table[usize::from(at)]));
        segment(&mut file, 0xdb, &data);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "planned sides fit into 16 bits"
    )]
    let (width, height) = (picture.width as u16, picture.height as u16);
    let ([h1, h0], [w1, w0]) = (height.to_be_bytes(), width.to_be_bytes());
    let frame = [8, h1, h0, w1, w0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
    segment(&mut file, 0xc0, &frame);
    for (table, code) in (0..).zip(&codes) {
        let (class, destination) = (table & 1, table >> 1);
        let mut data = vec![class << 4 | destination];
        data.extend(code.counts);
        data.extend(&code.symbols);
        segment(&mut file, 0xc4, &data);
    }
    segment(&mut file, 0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    let mut bits = BitWriter {
        file,
        held: 0,
        n_held: 0,
    };
    for token in rows.iter().flatten() {
        let [low, high, symbol, table] = token.to_le_bytes();
        let (code, length) = codes[usize::from(table & 3)].by_symbol[usize::from(symbol)];
        let (value, size) = (u16::from_le_bytes([low, high]), u32::from(symbol & 15));
        bits.write(u64::from(code) << size | u64::from(value), length + size);
    }
    let mut file = bits.finish();
    file.extend([0xff, 0xd9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the longest is a Huffman code's, with 275 bytes"
    )]
    let length = (data.len() as u16 + 2).to_be_bytes();
    file.extend([0xff, marker]);
    file.extend(length);
    file.extend(data);
}

/// The symbols to write, buffered because codes cannot be made before all symbols are counted.
struct Tokens {
    /// By row of MCUs: the bits after a code in the lowest two bytes, the symbol, and the index of its table.
    rows: Vec<Box<[u32]>>,
    /// The frequency of each symbol, by table.
    counts: [[u32; 256]; 4],
}

/// Nonzero coefficients in zigzag order, and a bit mask of their positions.
struct Block {
    coefficients: [i16; 64],
    nonzero: u64,
}

impl Tokens {
    /// MCU by MCU: four blocks of Y, one of Cb, one of Cr.
    fn new(picture: &YCbCr, quant: &[[u8; 64]; 2]) -> Self {
        let reciprocal = quant.map(|table| table.map(|step| 1.0 / f32::from(step)));
        let across = picture.width.div_ceil(16) as usize;
        let down = picture.height.div_ceil(16) as usize;
        let luma = (picture.width as usize, picture.height as usize);
        let (chroma_width, chroma_height) = picture.chroma_size();
        let chroma = (chroma_width as usize, chroma_height as usize);
        let mut counts = [[0; 256]; 4];
        let mut last_dc = [0; 3];
        let mut row = Vec::new();
        let rows = (0..down).map(|y| {
            row.clear();
            let mut put = |block: &Block, kind: usize, component: usize| {
                block.for_each(&mut last_dc[component], |class, symbol, value| {
                    let table = 2 * kind + class;
                    counts[table][usize::from(symbol)] += 1;
                    #[expect(clippy::cast_possible_truncation, reason = "below four")]
                    let table = table as u8;
                    let [low, high] = value.to_le_bytes();
                    row.push(u32::from_le_bytes([low, high, symbol, table]));
                });
            };
            for x in 0..across {
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let samples = samples(&picture.y, luma, 2 * x + dx, 2 * y + dy);
                    put(&Block::new(&samples, &reciprocal[0]), 0, 0);
                }
                for (component, plane) in [(1, &picture.cb), (2, &picture.cr)] {
                    let samples = samples(plane, chroma, x, y);
                    put(&Block::new(&samples, &reciprocal[1]), 1, component);
                }
            }
            // Exactly sized, because there are many of them.
            Box::from(&row[..])
        });
        let rows = rows.collect();
        Self { rows, counts }
    }
}

impl Block {
    /// Calls a closure for each code: its table's class (0 for DC, 1 for AC), the symbol, and the bits after it. The
    /// symbol contains the number of bits (§F.1.2).
    #[inline]
    fn for_each(&self, last_dc: &mut i32, mut call: impl FnMut(usize, u8, u16)) {
        let dc = i32::from(self.coefficients[0]);
        let (value, size) = bits_of(dc - *last_dc);
        *last_dc = dc;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a size is at most 11, and a run at most 15 after those of sixteen"
        )]
        call(0, size as u8, value);
        let mut left = self.nonzero & !1;
        let mut last = 0;
        while left != 0 {
            let at = left.trailing_zeros();
            left &= left - 1;
            let mut run = at - last - 1;
            while run > 15 {
                call(1, 0xf0, 0);
                run -= 16;
            }
            let (value, size) = bits_of(i32::from(self.coefficients[at as usize & 63]));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the run is below 16, and so is the size"
            )]
            call(1, (run << 4 | size) as u8, value);
            last = at;
        }
        if last < 63 {
            call(1, 0, 0);
        }
    }
}

/// A value's bits and their number (table F.1): negative values minus one.
fn bits_of(value: i32) -> (u16, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the lowest `size` bits"
    )]
    (bits as u16 & ((1_u32 << size) - 1) as u16, size)
}

/// A block's samples minus 128; the last row and column are repeated beyond the picture.
#[inline]
fn samples(plane: &[u8], (width, height): (usize, usize), x: usize, y: usize) -> [[f32; 8]; 8] {
    let centred = |value: u8| f32::from(value) - 128.0;
    let mut samples = [[0.0; 8]; 8];
    if 8 * x + 8 <= width && 8 * y + 8 <= height {
        let lines = plane[8 * y * width..].chunks_exact(width);
        for (row, line) in samples.iter_mut().zip(lines) {
            if let Some(values) = line[8 * x..].first_chunk::<8>() {
                *row = values.map(centred);
            }
        }
        return samples;
    }
    for (dy, row) in samples.iter_mut().enumerate() {
        let line = &plane[(8 * y + dy).min(height - 1) * width..][..width];
        for (dx, sample) in row.iter_mut().enumerate() {
            *sample = centred(line[(8 * x + dx).min(width - 1)]);
        }
    }
    samples
}

impl Block {
    /// The DCT (§A.3.3), divided and rounded.
    fn new(samples: &[[f32; 8]; 8], reciprocal: &[f32; 64]) -> Self {
        // Adding this to a float removes its fraction: the lowest bits are the integer, also for negative values.
        const WHOLE: f32 = 12_582_912.0;
        // Even frequencies use the sum of rows `y` and `7 - y`, odd ones use their difference.
        let (mut sums, mut differences) = ([[0.0; 8]; 4], [[0.0; 8]; 4]);
        for y in 0..4 {
            for x in 0..8 {
                sums[y][x] = samples[y][x] + samples[7 - y][x];
                differences[y][x] = samples[y][x] - samples[7 - y][x];
            }
        }
        let mut whole = [[0; 8]; 8];
        for k in 0..8 {
            let rows = if k % 2 == 0 { &sums } else { &differences };
            let mut halfway = [0.0; 8];
            for y in 0..4 {
                add(&mut halfway, BASIS[k][y], &rows[y]);
            }
            let mut coefficients = [0.0; 8];
            for x in 0..8 {
                add(&mut coefficients, halfway[x], &TRANSPOSED[x]);
            }
            for l in 0..8 {
                whole[k][l] = (coefficients[l] * reciprocal[8 * k + l] + WHOLE).to_bits();
            }
        }
        Self::of_whole(&whole, WHOLE.to_bits())
    }

    /// Stores integers, which are offset by `zero`, in zigzag order.
    fn of_whole(whole: &[[u32; 8]; 8], zero: u32) -> Self {
        let mut block = Self {
            coefficients: [0; 64],
            nonzero: 0,
        };
        for (row, places) in whole.iter().zip(PLACES.as_chunks::<8>().0) {
            // Most rows are all zeros. Testing all eight values at once is faster than one after the other.
            if row.iter().fold(0, |any, bits| any | (bits ^ zero)) == 0 {
                continue;
            }
            for (bits, at) in row.iter().zip(places) {
                let [low, high, ..] = bits.to_le_bytes();
                block.coefficients[usize::from(at & 63)] = i16::from_le_bytes([low, high]);
                block.nonzero |= u64::from(*bits != zero) << at;
            }
        }
        block
    }
}

/// The zigzag position of a coefficient, row by row.
const PLACES: [u8; 64] = {
    let mut places = [0; 64];
    let mut at = 0_u8;
    while at < 64 {
        places[ZIGZAG[at as usize] as usize] = at;
        at += 1;
    }
    places
};

const TRANSPOSED: [[f32; 8]; 8] = {
    let mut transposed = [[0.0; 8]; 8];
    let mut at = 0;
    while at < 64 {
        transposed[at % 8][at / 8] = BASIS[at / 8][at % 8];
        at += 1;
    }
    transposed
};

/// libjpeg's scale: 50 is the standard's table, 100 divides by one.
fn scaled(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    table.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as u8)
}

/// A Huffman code.
struct Code {
    /// The number of codes of each length from 1 to 16.
    counts: [u8; 16],
    /// Shortest code first.
    symbols: Vec<u8>,
    by_symbol: [(u16, u32); 256],
}

impl Code {
    /// The shortest code for these counts with a maximum length of 16 bits (§K.2).
    fn new(counts: &[u32; 256]) -> Self {
        let mut lengths = code_lengths(counts);
        // A symbol that never occurs reserves the code of all ones, which no symbol may have.
        let mut by_length = [0_usize; 33];
        for length in lengths {
            by_length[length] += 1;
        }
        by_length[0] = 0;
        // §K.2, figure K.3: two codes that are too long are replaced by one, and a shorter one by two.
        for length in (17..=32).rev() {
            while by_length[length] > 0 {
                let shorter = (1..length - 1)
                    .rev()
                    .find(|shorter| by_length[*shorter] > 0);
                let Some(shorter) = shorter else { break };
                by_length[length] -= 2;
                by_length[length - 1] += 1;
                by_length[shorter + 1] += 2;
                by_length[shorter] -= 1;
            }
        }
        // The symbol that never occurs has one of the longest codes.
        if let Some(longest) = (1..=16).rev().find(|length| by_length[*length] > 0) {
            by_length[longest] -= 1;
        }
        lengths[NEVER] = 0;
        let mut symbols: Vec<u8> = (0..=255)
            .filter(|symbol| lengths[usize::from(*symbol)] > 0)
            .collect();
        symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);

        let mut by_symbol = [(0, 0); 256];
        let (mut code, mut next) = (0_u32, symbols.iter());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 256 codes of 16 bits"
        )]
        for (length, count) in by_length.iter().enumerate().take(17).skip(1) {
            for symbol in next.by_ref().take(*count) {
                by_symbol[usize::from(*symbol)] = (code as u16, length as u32);
                code += 1;
            }
            code <<= 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 256 codes")]
        Self {
            counts: std::array::from_fn(|idx| by_length[idx + 1] as u8),
            symbols,
            by_symbol,
        }
    }
}

/// The index of a symbol that never occurs.
const NEVER: usize = 256;

/// The code lengths of Huffman's algorithm for these counts and one extra symbol; 0 for absent symbols.
fn code_lengths(counts: &[u32; 256]) -> [usize; 257] {
    let mut counts: Vec<u64> = counts
        .iter()
        .map(|count| u64::from(*count))
        .chain([1])
        .collect();
    let mut lengths = [0; 257];
    // Symbols whose codes share a prefix.
    let mut groups: Vec<Vec<usize>> = (0..257).map(|symbol| vec![symbol]).collect();
    loop {
        // The two rarest; among equals the later one first.
        let mut rarest: Vec<usize> = (0..257).filter(|symbol| counts[*symbol] > 0).collect();
        rarest.sort_by_key(|symbol| (counts[*symbol], std::cmp::Reverse(*symbol)));
        let &[one, other, ..] = &rarest[..] else {
            return lengths;
        };
        let joined = std::mem::take(&mut groups[other]);
        groups[one].extend(joined);
        groups[one].iter().for_each(|symbol| lengths[*symbol] += 1);
        counts[one] += counts[other];
        counts[other] = 0;
    }
}

/// Writes bits, highest first, with a zero after each byte of ones (§F.1.2.3).
struct BitWriter {
    file: Vec<u8>,
    /// The lowest `n_held` bits are still to be written.
    held: u64,
    n_held: u32,
}

impl BitWriter {
    /// Writes up to 31 bits.
    #[inline]
    fn write(&mut self, bits: u64, count: u32) {
        self.held = self.held << count | bits;
        self.n_held += count;
        if self.n_held >= 32 {
            self.n_held -= 32;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the four bytes at this position"
            )]
            let word = (self.held >> self.n_held) as u32;
            self.push(&word.to_be_bytes());
        }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if bytes.contains(&0xff) {
            for byte in bytes {
                self.file.push(*byte);
                if *byte == 0xff {
                    self.file.push(0);
                }
            }
        } else {
            self.file.extend_from_slice(bytes);
        }
    }

    /// Pads the last byte with ones.
    fn finish(mut self) -> Vec<u8> {
        let missing = (8 - self.n_held % 8) % 8;
        self.write((1 << missing) - 1, missing);
        let last = (self.held << (32 - self.n_held)).to_be_bytes();
        let n_bytes = self.n_held as usize / 8;
        self.push(&last[4..4 + n_bytes]);
        self.file
    }
}

/// Table K.1, row by row.
const LUMA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Table K.2.
const CHROMA: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_short_and_never_all_ones() {
        let mut fibonacci = [0; 256];
        let (mut a, mut b) = (1, 1);
        for count in &mut fibonacci[..40] {
            *count = a;
            (a, b) = (b, a + b);
        }
        let mut one = [0; 256];
        one[7] = 5;
        for (counts, n_symbols) in [(fibonacci, 40), ([1; 256], 256), (one, 1)] {
            let code = Code::new(&counts);
            assert_eq!(code.symbols.len(), n_symbols);
            let n_counted: usize = code.counts.iter().map(|count| usize::from(*count)).sum();
            assert_eq!(n_counted, n_symbols);
            // Kraft's sum leaves room for at least one code of 16 bits: the one of all ones.
            let room: u32 = (1..=16)
                .map(|length| u32::from(code.counts[length - 1]) << (16 - length))
                .sum();
            assert!(room < 1 << 16, "{room}");
            for symbol in &code.symbols {
                assert!((1..=16).contains(&code.by_symbol[usize::from(*symbol)].1));
            }
        }
    }
}
