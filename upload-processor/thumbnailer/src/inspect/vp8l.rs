//! Walks a lossless WebP's bitstream (RFC 9649 §3) up to its pixels, to bound the memory of its prefix codes.
//!
//! A picture of any size may name 65,536 groups of five codes each: a file of 16 MB then makes a decoder allocate
//! gigabytes (denial of service). image-webp has no limit of its own (its issue 21), so the codes are counted here,
//! with the sizes that its version 0.2.4 gives them. Where decoders interpret the format differently, this follows
//! image-webp: the count must hold for the decoder that comes next.

use crate::rejection::{Complexity, Rejection};

/// The memory for decoding beside the picture itself: subsampled images of the transforms, and prefix codes. `data`
/// begins with the transforms. More than `max` is refused as soon as it is detected.
pub(super) fn memory(
    data: &[u8],
    (mut width, height): (u32, u32),
    max: u64,
) -> Result<u64, Rejection> {
    let mut walk = Walk {
        bits: Bits::new(data),
        memory: 0,
        max,
        lengths: [0; LARGEST_ALPHABET],
    };
    let mut seen = [false; 4];
    while walk.bits.read(1)? == 1 {
        let transform = walk.bits.read(2)? as usize;
        if std::mem::replace(&mut seen[transform], true) {
            return Err(Rejection::corrupt("VP8L has a transform twice"));
        }
        match transform {
            PREDICTOR | COLOUR => {
                let size = walk.subsampled((width, height))?;
                walk.take(4 * pixels(size))?;
                walk.image(size)?;
            }
            INDEXING => {
                let n_colours = walk.bits.read(8)? + 1;
                walk.image((n_colours, 1))?;
                // With two, four or sixteen colours, several pixels are packed into one.
                let packed = match n_colours {
                    0..=2 => 3,
                    3..=4 => 2,
                    5..=16 => 1,
                    _ => 0,
                };
                width = width.div_ceil(1 << packed);
            }
            _ => {}
        }
    }
    let cache = walk.colour_cache()?;
    let mut n_groups = 1;
    if walk.bits.read(1)? == 1 {
        let size = walk.subsampled((width, height))?;
        walk.take(6 * pixels(size))?;
        n_groups = walk.image(size)? + 1;
    }
    for _ in 0..n_groups {
        walk.take(GROUP_BYTES)?;
        for alphabet in alphabets(cache) {
            let bytes = walk.read_code(alphabet)?.bytes(&walk.lengths[..alphabet]);
            walk.take(bytes)?;
        }
    }
    Ok(walk.memory)
}

const PREDICTOR: usize = 0;
const COLOUR: usize = 1;
const INDEXING: usize = 3;

/// The fixed size of a group of five codes in image-webp, without their tables.
const GROUP_BYTES: u64 = 400;

/// Green with lengths and a cache of 2^11 colours.
const LARGEST_ALPHABET: usize = 256 + 24 + 2048;

/// The number of symbols of the five codes: green, lengths and the cache's colours; red; blue; alpha; distances.
fn alphabets(cache: usize) -> [usize; 5] {
    [256 + 24 + cache, 256, 256, 256, 40]
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

struct Walk<'a> {
    bits: Bits<'a>,
    memory: u64,
    max: u64,
    /// The code lengths that were read last.
    lengths: [u8; LARGEST_ALPHABET],
}

impl Walk<'_> {
    fn take(&mut self, bytes: u64) -> Result<(), Rejection> {
        self.memory += bytes;
        if self.memory > self.max {
            return Err(Rejection::TooComplex(Complexity::Memory {
                needed: self.memory,
                max: self.max,
            }));
        }
        Ok(())
    }

    /// The size of an image with one value for each square block of the picture.
    fn subsampled(&mut self, (width, height): (u32, u32)) -> Result<(u32, u32), Rejection> {
        let side = 1 << (self.bits.read(3)? + 2);
        Ok((width.div_ceil(side), height.div_ceil(side)))
    }

    /// The size of the colour cache.
    fn colour_cache(&mut self) -> Result<usize, Rejection> {
        if self.bits.read(1)? == 0 {
            return Ok(0);
        }
        match self.bits.read(4)? {
            bits @ 1..=11 => Ok(1 << bits),
            _ => Err(Rejection::corrupt(
                "VP8L has a colour cache of an invalid size",
            )),
        }
    }

    /// Walks an image with one group of codes. Answers with the largest number that red and green make in any pixel.
    ///
    /// No pixel is stored: a copied or cached pixel was a literal before, or zero.
    fn image(&mut self, size: (u32, u32)) -> Result<u32, Rejection> {
        let cache = self.colour_cache()?;
        let mut codes = Vec::with_capacity(5);
        for alphabet in alphabets(cache) {
            let code = self.read_code(alphabet)?;
            codes.push(code.table(&self.lengths[..alphabet])?);
        }
        let [green, red, blue, alpha, distance] = &codes[..] else {
            unreachable!("there are five alphabets");
        };
        let bits = &mut self.bits;
        let (mut largest, mut left) = (0, pixels(size));
        while left > 0 {
            let symbol = green.read(bits)?;
            let n_pixels = match symbol {
                0..256 => {
                    largest = largest.max(red.read(bits)? << 8 | symbol);
                    blue.read(bits)?;
                    alpha.read(bits)?;
                    1
                }
                256..280 => {
                    let length = bits.read_length(symbol - 256)?;
                    let prefix = distance.read(bits)?;
                    bits.read_length(prefix)?;
                    u64::from(length)
                }
                _ => 1,
            };
            left = left
                .checked_sub(n_pixels)
                .ok_or(Rejection::corrupt("VP8L copies beyond its picture"))?;
        }
        Ok(largest)
    }

    /// Reads the symbols of a code, or the lengths of its codes (§3.7.2.1).
    fn read_code(&mut self, alphabet: usize) -> Result<Code, Rejection> {
        let bits = &mut self.bits;
        let known = |symbol: u32| {
            if symbol as usize >= alphabet {
                return Err(INVALID);
            }
            Ok(symbol)
        };
        if bits.read(1)? == 1 {
            let two = bits.read(1)? == 1;
            let width = if bits.read(1)? == 1 { 8 } else { 1 };
            let first = known(bits.read(width)?)?;
            return Ok(if two {
                Code::Two(first, known(bits.read(8)?)?)
            } else {
                Code::One(first)
            });
        }

        let mut lengths = [0; 19];
        let n_lengths = 4 + bits.read(4)? as usize;
        for at in &LENGTH_ORDER[..n_lengths] {
            #[expect(clippy::cast_possible_truncation, reason = "three bits")]
            {
                lengths[usize::from(*at)] = bits.read(3)? as u8;
            }
        }
        let code = Code::Lengths.table(&lengths)?;
        let mut left = alphabet;
        if bits.read(1)? == 1 {
            let width = 2 + 2 * bits.read(3)?;
            left = 2 + bits.read(width)? as usize;
            if left > alphabet {
                return Err(INVALID);
            }
        }
        let lengths = &mut self.lengths[..alphabet];
        lengths.fill(0);
        let (mut at, mut last) = (0, 8);
        while at < alphabet && left > 0 {
            left -= 1;
            let symbol = code.read(bits)?;
            let (value, repeat) = match symbol {
                16 => (last, 3 + bits.read(2)?),
                17 => (0, 3 + bits.read(3)?),
                18 => (0, 11 + bits.read(7)?),
                #[expect(clippy::cast_possible_truncation, reason = "at most 15")]
                length => (length as u8, 1),
            };
            let run = lengths.get_mut(at..at + repeat as usize).ok_or(INVALID)?;
            run.fill(value);
            at += run.len();
            if value != 0 {
                last = value;
            }
        }
        Ok(Code::Lengths)
    }
}

const INVALID: Rejection = Rejection::Corrupt(std::borrow::Cow::Borrowed(
    "VP8L has an invalid prefix code",
));

const LENGTH_ORDER: [u8; 19] = [
    17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];

/// The representation of a prefix code.
enum Code {
    /// Always this symbol, in zero bits.
    One(u32),
    /// One of two symbols, in one bit.
    Two(u32, u32),
    /// Defined by the lengths that were read.
    Lengths,
}

/// The longest code that image-webp looks up in one step.
const TABLE_BITS: usize = 10;

impl Code {
    /// The memory of image-webp for it: four bytes for each table entry, and two nodes of 16 bytes for each longer
    /// code.
    fn bytes(&self, lengths: &[u8]) -> u64 {
        match self {
            Self::One(_) => 0,
            Self::Two(..) => 64,
            Self::Lengths => {
                let longest = lengths
                    .iter()
                    .max()
                    .map_or(0, |longest| usize::from(*longest));
                let n_long = lengths
                    .iter()
                    .filter(|length| usize::from(**length) > TABLE_BITS)
                    .count();
                (4 << longest.min(TABLE_BITS)) + 32 * n_long as u64
            }
        }
    }

    /// The lookup table: canonical codes, highest bit first (§3.7.2).
    fn table(&self, lengths: &[u8]) -> Result<Table, Rejection> {
        match self {
            Self::One(symbol) => return Ok(Table(vec![Entry::new(*symbol as usize, 0)])),
            Self::Two(zero, one) => {
                let entries = [zero, one].map(|symbol| Entry::new(*symbol as usize, 1));
                return Ok(Table(entries.to_vec()));
            }
            Self::Lengths => {}
        }
        let mut n_of_length = [0_u32; 16];
        for length in lengths.iter().filter(|length| **length > 0) {
            n_of_length[usize::from(*length)] += 1;
        }
        match n_of_length.iter().sum() {
            0 => return Err(INVALID),
            1 => {
                let only = lengths.iter().position(|length| *length > 0).unwrap_or(0);
                return Ok(Table(vec![Entry::new(only, 0)]));
            }
            _ => {}
        }
        let longest = n_of_length.iter().rposition(|n| *n > 0).unwrap_or(0);
        let mut next = [0_u32; 16];
        let mut code = 0;
        for length in 1..=longest {
            next[length] = code;
            code = (code + n_of_length[length]) << 1;
        }
        if code != 2 << longest {
            return Err(INVALID);
        }
        let mut table = vec![Entry::new(0, 0); 1 << longest];
        for (symbol, length) in lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length > 0)
        {
            let length = usize::from(*length);
            // Complete codes fit into their length.
            let reversed = next[length].reverse_bits() as usize >> (32 - length);
            next[length] += 1;
            for at in (reversed..table.len()).step_by(1 << length) {
                table[at] = Entry::new(symbol, length);
            }
        }
        Ok(Table(table))
    }
}

/// Indexed by the next bits, as many as the longest code has.
struct Table(Vec<Entry>);

/// The length of a code in the low four bits, with its symbol of up to twelve bits above.
#[derive(Clone, Copy)]
struct Entry(u16);

impl Entry {
    fn new(symbol: usize, length: usize) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "symbols are below `LARGEST_ALPHABET`, lengths at most 15"
        )]
        Self((symbol << 4 | length) as u16)
    }
}

impl Table {
    fn read(&self, bits: &mut Bits<'_>) -> Result<u32, Rejection> {
        bits.fill();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a table has at most 2^15 entries"
        )]
        let Entry(entry) = self.0[bits.held as usize & (self.0.len() - 1)];
        bits.read(u32::from(entry & 15))?;
        Ok(u32::from(entry >> 4))
    }
}

/// Reads bits from bytes, lowest bit first.
struct Bits<'a> {
    left: &'a [u8],
    held: u64,
    n_held: u32,
}

impl<'a> Bits<'a> {
    fn new(left: &'a [u8]) -> Self {
        Self {
            left,
            held: 0,
            n_held: 0,
        }
    }

    /// Fills up to at least 32 bits, if that many are left.
    fn fill(&mut self) {
        while self.n_held < 32
            && let [byte, left @ ..] = self.left
        {
            self.held |= u64::from(*byte) << self.n_held;
            self.n_held += 8;
            self.left = left;
        }
    }

    /// Reads up to 18 bits.
    fn read(&mut self, count: u32) -> Result<u32, Rejection> {
        self.fill();
        if self.n_held < count {
            return Err(Rejection::Truncated("VP8L ends before its pixels"));
        }
        let value = self.held & ((1 << count) - 1);
        self.held >>= count;
        self.n_held -= count;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most the requested number of bits"
        )]
        Ok(value as u32)
    }

    /// Reads a length or a distance by its prefix (§3.6.2.2).
    fn read_length(&mut self, prefix: u32) -> Result<u32, Rejection> {
        if prefix < 4 {
            return Ok(prefix + 1);
        }
        let extra = (prefix - 2) >> 1;
        Ok(((2 + (prefix & 1)) << extra) + self.read(extra)? + 1)
    }
}
