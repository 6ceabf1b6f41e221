//! Huffman tables, and the bits of an entropy-coded segment (ITU-T T.81, Annexes C and F).
//!
//! Used only by `scan`. A code is read in one step with the bits that follow it, because every byte of every JPEG goes
//! through this code.

use crate::rejection::Rejection;

/// The current tables, by class and destination.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
}

impl Tables {
    /// Parses the data of a DHT segment (§B.2.4.2), which may contain several tables.
    pub(super) fn define(&mut self, mut data: &[u8]) -> Result<(), Rejection> {
        while let [class_and_destination, rest @ ..] = data {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Err(Rejection::corrupt("DHT is too short"));
            };
            let n_symbols: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let Some((symbols, rest)) = rest
                .split_at_checked(n_symbols)
                .filter(|_| n_symbols <= 256)
            else {
                return Err(Rejection::corrupt("DHT is too short"));
            };
            let table = Table::new(counts, symbols)?;
            let destination = usize::from(class_and_destination & 15);
            let class = match class_and_destination >> 4 {
                // The number of bits that follow: 11 in baseline, 15 with any precision (§F.1.2.1).
                0 if symbols.iter().all(|symbol| *symbol <= 15) => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(Rejection::corrupt("DHT has an impossible table")),
            };
            let Some(slot) = class.get_mut(destination) else {
                return Err(Rejection::corrupt("DHT has an impossible destination"));
            };
            *slot = Some(table);
            data = rest;
        }
        Ok(())
    }

    /// Installs the standard's tables (§K.3.3) where none was defined, as libjpeg does. Motion JPEG frames, which
    /// webcams save as files, come without tables.
    pub(super) fn supply_standard(&mut self) {
        for (tables, standard) in [(&mut self.dc, STANDARD_DC), (&mut self.ac, STANDARD_AC)] {
            for (table, (counts, symbols)) in tables.iter_mut().zip(standard) {
                if table.is_none() {
                    *table = Table::new(counts, symbols).ok();
                }
            }
        }
    }
}

/// Maps the next bits of a stream to the symbol that they begin with.
pub(super) struct Table {
    /// Indexed by the next `LOOK` bits. The high byte is the length of the code and of the bits after it; the low byte
    /// is the symbol. 0 if the code is longer.
    short: Box<[u16; 1 << LOOK]>,
    /// By length: one more than its last code, shifted left to 16 bits, and the offset from a code to its symbol's
    /// index.
    limits: [u32; 17],
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// Builds the table (Annex C). Refuses what libjpeg and zune-jpeg refuse: more codes than bits allow, or a code of
    /// all ones.
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Rejection> {
        let mut table = Self {
            short: Box::new([0; 1 << LOOK]),
            limits: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let mut code: u32 = 0;
        let mut index = 0;
        for length in 1..=16_usize {
            let count = u32::from(counts[length - 1]);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "at most 256 and 65536: neither wraps"
            )]
            {
                table.offsets[length] = index as i32 - code as i32;
            }
            for _ in 0..count {
                if length <= LOOK {
                    let from = (code as usize) << (LOOK - length);
                    let to = from + (1 << (LOOK - length));
                    if let Some(entries) = table.short.get_mut(from..to) {
                        let symbol = u16::from(symbols[index]);
                        #[expect(
                            clippy::cast_possible_truncation,
                            reason = "a length is at most 16"
                        )]
                        entries.fill((length as u16 + (symbol & 15)) << 8 | symbol);
                    }
                }
                code += 1;
                index += 1;
            }
            if count > 0 && code >= 1 << length {
                return Err(Rejection::corrupt("DHT has more codes than fit"));
            }
            table.limits[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// The length and symbol of the long code that `bits` (16 of them) begin with.
    fn lookup(&self, bits: u64) -> Option<(u32, u8)> {
        let length = (LOOK + 1..=16).find(|length| bits < u64::from(self.limits[*length]))?;
        #[expect(clippy::cast_possible_truncation, reason = "16 bits")]
        let index = (bits >> (16 - length)) as i32 + self.offsets[length];
        let symbol = self.symbols.get(usize::try_from(index).ok()?)?;
        #[expect(clippy::cast_possible_truncation, reason = "a length is at most 16")]
        Some((length as u32, *symbol))
    }
}

/// Why a code could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeError {
    /// The segment has no more bits.
    Exhausted,
    /// The bits are not a code of the table.
    NoCode,
}

/// Reads the bits of entropy-coded data up to the next marker.
///
/// It is a small value: the loops of `scan` work on a copy, which the compiler can keep in registers. The rarely taken
/// paths pass it by value for the same reason.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to read.
    at: usize,
    /// Bits that were read but not used yet: the highest `n_held`.
    held: u64,
    n_held: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            held: 0,
            n_held: 0,
        }
    }

    /// Reads a symbol and the coefficient that follows it; the symbol's low four bits are the coefficient's length
    /// (§F.2.2.1).
    #[expect(
        clippy::inline_always,
        reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
    )]
    #[inline(always)]
    pub(super) fn coefficient(&mut self, table: &Table) -> Result<(u8, i32), CodeError> {
        self.refill();
        let [symbol, length] = table.short[(self.held >> (64 - LOOK)) as usize].to_le_bytes();
        if length == 0 {
            let (rest, symbol, value) = self.long_coefficient(table)?;
            *self = rest;
            return Ok((symbol, value));
        }
        let size = u32::from(symbol & 15);
        let value = extended(self.held << (u32::from(length) - size), size);
        self.pass(u32::from(length))?;
        Ok((symbol, value))
    }

    #[cold]
    fn long_coefficient(mut self, table: &Table) -> Result<(Self, u8, i32), CodeError> {
        let Some((length, symbol)) = table.lookup(self.held >> 48) else {
            return Err(if self.n_held < 16 {
                CodeError::Exhausted
            } else {
                CodeError::NoCode
            });
        };
        let size = u32::from(symbol & 15);
        let value = extended(self.held << length, size);
        // At most 16 and 15: within the 32 that a refill guarantees.
        self.pass(length + size)?;
        Ok((self, symbol, value))
    }

    /// Reads up to 16 bits.
    pub(super) fn value(&mut self, count: u32) -> Result<u32, CodeError> {
        self.refill();
        // The highest 32 of 64 bits.
        let value = ((self.held >> 32) as u32)
            .checked_shr(32 - count)
            .unwrap_or(0);
        self.pass(count)?;
        Ok(value)
    }

    /// Reads one bit.
    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, CodeError> {
        self.refill();
        let bit = self.held >> 63 != 0;
        self.pass(1)?;
        Ok(bit)
    }

    /// Whether less than a byte is left before the next marker, all ones: encoders' padding (§F.1.2.3).
    pub(super) fn is_padding(mut self) -> bool {
        self.refill();
        self.n_held < 8 && self.held.leading_ones() >= self.n_held
    }

    /// The byte offset of the end of the used bits.
    pub(super) fn position(&self) -> usize {
        let mut at = self.at;
        for _ in 0..self.n_held / 8 {
            // A stuffed zero belongs to the FF before it, and to the fill bytes before that.
            if at >= 2 && self.data[at - 1] == 0 && self.data[at - 2] == 0xff {
                at -= 2;
                while at > 0 && self.data[at - 1] == 0xff {
                    at -= 1;
                }
            } else {
                at -= 1;
            }
        }
        at
    }

    /// Advances to the next marker and drops the bytes before it. Answers with its code and offset.
    pub(super) fn marker(&mut self) -> Option<(u8, usize)> {
        (self.held, self.n_held) = (0, 0);
        loop {
            let ff = self.at
                + self
                    .data
                    .get(self.at..)?
                    .iter()
                    .position(|byte| *byte == 0xff)?;
            let code = ff + self.data[ff..].iter().position(|byte| *byte != 0xff)?;
            if self.data[code] != 0 {
                self.at = ff;
                return Some((self.data[code], ff));
            }
            self.at = code + 1;
        }
    }

    /// Advances past the marker that [`marker`](Self::marker) found.
    pub(super) fn pass_marker(&mut self) {
        while self.data.get(self.at) == Some(&0xff) {
            self.at += 1;
        }
        self.at += 1;
    }

    #[expect(
        clippy::inline_always,
        reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
    )]
    #[inline(always)]
    fn pass(&mut self, count: u32) -> Result<(), CodeError> {
        if count > self.n_held {
            return Err(CodeError::Exhausted);
        }
        self.held = self.held.wrapping_shl(count);
        self.n_held -= count;
        Ok(())
    }

    /// Makes at least 32 bits available, or all that are left.
    #[expect(
        clippy::inline_always,
        reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
    )]
    #[inline(always)]
    fn refill(&mut self) {
        if self.n_held >= 32 {
            return;
        }
        if let Some(next) = self
            .data
            .get(self.at..)
            .and_then(|rest| rest.first_chunk::<4>())
        {
            let word = u32::from_be_bytes(*next);
            // No byte is FF: the usual test for a zero byte, on the complement.
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.held |= u64::from(word) << (32 - self.n_held);
                self.n_held += 32;
                self.at += 4;
                return;
            }
        }
        *self = self.refilled_slowly();
    }

    #[cold]
    fn refilled_slowly(mut self) -> Self {
        while self.n_held <= 56 {
            let Some(byte) = self.data.get(self.at) else {
                return self;
            };
            let mut next = self.at + 1;
            if *byte == 0xff {
                // Any number of FF followed by a zero is one FF; a marker ends the segment.
                while self.data.get(next) == Some(&0xff) {
                    next += 1;
                }
                if self.data.get(next) != Some(&0) {
                    return self;
                }
                next += 1;
            }
            self.held |= u64::from(*byte) << (56 - self.n_held);
            self.n_held += 8;
            self.at = next;
        }
        self
    }
}

/// The value of a coefficient's `size` bits, the highest of `bits`: values that begin with 0 are negative (table F.1).
#[expect(
    clippy::inline_always,
    reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
)]
#[inline(always)]
fn extended(bits: u64, size: u32) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "at most 15 bits"
    )]
    let (value, is_negative) = (
        (bits >> 1 >> (63 - size)) as i32,
        !(bits as i64 >> 63) as i32,
    );
    value + (is_negative & (1 - (1 << size)))
}

/// Codes of this length are found in one step. Longer ones are rare by construction.
const LOOK: usize = 10;

/// The number of codes of each length, and the symbols.
type Definition = (&'static [u8; 16], &'static [u8]);

/// Tables K.3 and K.4, for luma and chroma.
const STANDARD_DC: [Definition; 2] = [
    (
        &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ),
    (
        &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ),
];

/// Tables K.5 and K.6.
const STANDARD_AC: [Definition; 2] = [
    (
        &[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
        &[
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
            0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
            0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18,
            0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
            0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57,
            0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75,
            0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
            0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
            0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
            0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8,
            0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
    (
        &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
        &[
            0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
            0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
            0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
            0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
            0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56,
            0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74,
            0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
            0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
            0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
            0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6,
            0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes 0, 10, 110 and a 12-bit one, `1110_0000_0000`; symbols 0, 1, 2 and 0x53.
    fn table() -> Table {
        let mut counts = [0; 16];
        (counts[0], counts[1], counts[2], counts[11]) = (1, 1, 1, 1);
        Table::new(&counts, &[0, 1, 2, 0x53]).unwrap()
    }

    #[test]
    fn codes_and_the_bits_after_them() {
        // 0 | 10 x | 110 xx | 1110_0000_0000 xxx | 0 and padding
        let data = [
            0b0101_1100,
            0b1111_0000,
            0b0000_0101,
            0b0111_1111,
            0xff,
            0xd9,
        ];
        let mut bits = Bits::new(&data);
        let read: Vec<_> = std::iter::from_fn(|| bits.coefficient(&table()).ok()).collect();
        assert_eq!(read, [(0, 0), (1, 1), (2, -2), (0x53, 5), (0, 0)]);
        assert_eq!(bits.marker(), Some((0xd9, 4)));
    }

    #[test]
    fn the_end_is_distinguished_from_damage() {
        assert_eq!(
            Bits::new(&[0xff, 0xd9]).coefficient(&table()),
            Err(CodeError::Exhausted)
        );
        assert_eq!(Bits::new(&[0b1100_0000]).coefficient(&table()), Ok((2, -3)));
        assert_eq!(
            Bits::new(&[0xff, 0, 0xff, 0]).coefficient(&table()),
            Err(CodeError::NoCode)
        );
        assert_eq!(
            Bits::new(&[0xff, 0]).coefficient(&table()),
            Err(CodeError::Exhausted)
        );
    }

    #[test]
    fn positions_allow_for_stuffing() {
        let data = [0xff, 0, 0xff, 0xff, 0, 7, 0xff, 0, 9, 0xff, 0xff, 0xd0, 1];
        for (used, position) in [(0, 0), (1, 2), (8, 2), (9, 5), (17, 6), (33, 9)] {
            let mut bits = Bits::new(&data);
            (0..used).for_each(|_| assert!(bits.bit().is_ok()));
            assert_eq!(bits.position(), position, "after {used}");
            assert_eq!(bits.marker(), Some((0xd0, 9)), "after {used}");
            bits.pass_marker();
            assert_eq!(bits.value(8), Ok(1));
            assert_eq!(bits.marker(), None);
        }
    }

    #[test]
    fn impossible_tables() {
        let full = |length: usize, count| {
            let mut counts = [0; 16];
            counts[length - 1] = count;
            Table::new(&counts, &vec![0; usize::from(count)]).is_err()
        };
        // A code of all ones is not allowed: two codes of one bit are one too many.
        assert!(!full(1, 1) && full(1, 2) && !full(8, 255) && full(7, 128));
        let mut tables = Tables::default();
        assert!(tables.define(&[0; 16]).is_err(), "cut");
        assert!(
            tables
                .define(&[[0x04].as_slice(), &[0; 16]].concat())
                .is_err(),
            "destination"
        );
        assert!(
            tables
                .define(&[[0x20].as_slice(), &[0; 16]].concat())
                .is_err(),
            "class"
        );
    }
}
