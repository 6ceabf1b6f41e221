//! The inverse DCT (ITU-T T.81, §A.3.3), in floating point: exact to the rounding of a sample.
//!
//! The loops are shaped for vectorisation. Most blocks have few coefficients, near the top left: rows and columns
//! without any are skipped.
//!
//! A block can also be decoded at fewer samples: its lowest frequencies are those of a smaller block ([`Scale`]).

/// Eight rows of a plane, stored as columns.
pub(super) type Columns = [[f32; 8]];

/// A quantisation table, row by row.
pub(super) type QuantTable = [f32; 64];

/// `BASIS[k][x]`: the contribution of the coefficient of frequency `k` at `x`.
pub(super) const BASIS: [[f32; 8]; 8] = {
    // cos(n π / 16) / 2 for n = 0 to 8; frequency 0 is scaled by 1/√2, which is cos(4 π / 16).
    const HALF_COSINE: [f32; 9] = [
        0.5,
        0.490_392_64,
        0.461_939_77,
        0.415_734_8,
        0.353_553_4,
        0.277_785_12,
        0.191_341_72,
        0.097_545_16,
        0.0,
    ];
    let mut basis = [[0.0; 8]; 8];
    let mut k = 0;
    while k < 8 {
        let mut x = 0;
        while x < 8 {
            // cos is even, has the period 32 and changes its sign at 8 and 24.
            let n = if k == 0 { 4 } else { (2 * x + 1) * k % 32 };
            let n = if n > 16 { 32 - n } else { n };
            basis[k][x] = if n > 8 {
                -HALF_COSINE[16 - n]
            } else {
                HALF_COSINE[n]
            };
            x += 1;
        }
        k += 1;
    }
    basis
};

/// A block of dequantised coefficients, column by column, and a bit mask of the nonzero ones.
pub(super) struct Block {
    pub(super) coefficients: [f32; 64],
    pub(super) nonzero: u64,
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        coefficients: [0.0; 64],
        nonzero: 0,
    };

    /// Writes the block's eight columns.
    #[inline]
    pub(super) fn draw(&self, columns: &mut Columns) {
        if self.nonzero <= 1 {
            // DC only, as in half of a photo's chroma blocks.
            columns.fill([limited(self.coefficients[0] / 8.0 + 128.0); 8]);
            return;
        }
        let frequencies = self.coefficients.as_chunks().0;
        // Loops of compile-time length are twice as fast.
        let (most_across, most_down) = self.highest();
        let halfway = match most_across {
            4.. => across::<8>(frequencies),
            2 | 3 => across::<4>(frequencies),
            _ => across::<2>(frequencies),
        };
        match most_down {
            4.. => down::<8>(&halfway, &BASIS, columns),
            2 | 3 => down::<4>(&halfway, &BASIS, columns),
            _ => down::<2>(&halfway, &BASIS, columns),
        }
    }

    /// The highest frequencies with nonzero coefficients, across and down. There must be at least one.
    #[inline]
    fn highest(&self) -> (u32, u32) {
        let down = self.nonzero | self.nonzero >> 32;
        let down = down | down >> 16;
        let down = (down | down >> 8) & 0xff;
        (7 - self.nonzero.leading_zeros() / 8, down.ilog2())
    }
}

/// The number of samples per block, and the basis for it.
pub(super) struct Scale {
    /// Samples per block across and down: 1 to 8.
    pub(super) across: usize,
    pub(super) down: usize,
    /// The highest frequencies that they can represent.
    highest: (u32, u32),
    bases: [[[f32; 8]; 8]; 2],
}

impl Scale {
    pub(super) fn new((across, down): (usize, usize)) -> Self {
        Self {
            across,
            down,
            #[expect(clippy::cast_possible_truncation, reason = "below eight")]
            highest: (across as u32 - 1, down as u32 - 1),
            bases: [across, down].map(smaller_basis),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        (self.across, self.down) == (8, 8)
    }
}

/// `BASIS` for `n` samples: the contribution of the coefficient of frequency `k` at `x`. Frequencies that `n` samples
/// cannot represent contribute nothing; the others keep their amplitude.
fn smaller_basis(n: usize) -> [[f32; 8]; 8] {
    let mut basis = [[0.0; 8]; 8];
    for (k, row) in basis.iter_mut().enumerate().take(n) {
        for (x, value) in row.iter_mut().enumerate().take(n) {
            #[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
            let turn = ((2 * x + 1) * k) as f32 / (4 * n) as f32;
            *value = if k == 0 {
                BASIS[0][0]
            } else {
                (std::f32::consts::TAU * turn).cos() / 2.0
            };
        }
    }
    basis
}

impl Block {
    /// Writes a smaller version of the block: fewer columns, of which fewer samples count.
    #[inline]
    pub(super) fn draw_smaller(&self, columns: &mut Columns, scale: &Scale) {
        if self.nonzero <= 1 || (scale.across, scale.down) == (1, 1) {
            columns.fill([limited(self.coefficients[0] / 8.0 + 128.0); 8]);
            return;
        }
        let frequencies = self.coefficients.as_chunks().0;
        let [bases_across, bases_down] = &scale.bases;
        let (most_across, most_down) = self.highest();
        // Frequencies beyond the samples' own are zero in the bases, so they may be included or not.
        let halfway = match most_across.min(scale.highest.0) {
            4.. => smaller::<8>(frequencies, bases_across, scale.across),
            2 | 3 => smaller::<4>(frequencies, bases_across, scale.across),
            _ => smaller::<2>(frequencies, bases_across, scale.across),
        };
        match most_down.min(scale.highest.1) {
            4.. => down::<8>(&halfway, bases_down, columns),
            2 | 3 => down::<4>(&halfway, bases_down, columns),
            _ => down::<2>(&halfway, bases_down, columns),
        }
    }

    /// The same block, with its last visible column and row repeated to its end. Encoders fill the rest arbitrarily,
    /// and it must not mix with visible samples when scaled down.
    pub(super) fn with_repeated_edges(&self, n_columns: usize, n_rows: usize) -> Self {
        let mut columns = [[0.0; 8]; 8];
        self.draw(&mut columns);
        let last = columns[n_columns - 1];
        columns[n_columns..].fill(last);
        let mut block = Self {
            coefficients: [0.0; 64],
            nonzero: !0,
        };
        for column in &mut columns {
            let last = column[n_rows - 1];
            column[n_rows..].fill(last);
            *column = column.map(|value| value - 128.0);
        }
        for (k, coefficients) in block
            .coefficients
            .as_chunks_mut::<8>()
            .0
            .iter_mut()
            .enumerate()
        {
            let mut halfway = [0.0; 8];
            for (x, column) in columns.iter().enumerate() {
                add(&mut halfway, BASIS[k][x], column);
            }
            for (l, coefficient) in coefficients.iter_mut().enumerate() {
                *coefficient = std::iter::zip(&halfway, &BASIS[l])
                    .map(|(a, b)| a * b)
                    .sum();
            }
        }
        block
    }
}

/// The transform of rows to a few samples, where `N` frequencies have coefficients.
#[inline]
fn smaller<const N: usize>(
    frequencies: &[[f32; 8]],
    basis: &[[f32; 8]; 8],
    n_columns: usize,
) -> [[f32; 8]; 8] {
    let mut halfway = [[0.0; 8]; 8];
    for (x, halfway) in halfway.iter_mut().enumerate().take(n_columns) {
        for k in 0..N {
            add(halfway, basis[k][x], &frequencies[k]);
        }
    }
    halfway
}

/// The transform of rows, where `N` frequencies have coefficients.
#[inline]
fn across<const N: usize>(frequencies: &[[f32; 8]]) -> [[f32; 8]; 8] {
    let mut halfway = [[0.0; 8]; 8];
    for x in 0..4 {
        // Even frequencies are equal at `x` and `7 - x`, odd ones have the opposite sign.
        let (mut even, mut odd) = ([0.0; 8], [0.0; 8]);
        for k in 0..N / 2 {
            add(&mut even, BASIS[2 * k][x], &frequencies[2 * k]);
            add(&mut odd, BASIS[2 * k + 1][x], &frequencies[2 * k + 1]);
        }
        for y in 0..8 {
            halfway[x][y] = even[y] + odd[y];
            halfway[7 - x][y] = even[y] - odd[y];
        }
    }
    halfway
}

/// The transform of columns, where `N` frequencies have coefficients.
#[inline]
fn down<const N: usize>(halfway: &[[f32; 8]; 8], basis: &[[f32; 8]; 8], columns: &mut Columns) {
    for (column, halfway) in columns.iter_mut().zip(halfway) {
        let mut values = [128.0; 8];
        for l in 0..N {
            add(&mut values, halfway[l], &basis[l]);
        }
        *column = values.map(limited);
    }
}

#[expect(
    clippy::inline_always,
    reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
)]
#[inline(always)]
pub(super) fn add(sum: &mut [f32; 8], scale: f32, row: &[f32; 8]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += scale * value;
    }
}

/// A value clamped to a sample's range.
#[expect(
    clippy::inline_always,
    reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
)]
#[inline(always)]
fn limited(value: f32) -> f32 {
    value.clamp(0.0, 255.0)
}

/// A value, rounded.
#[inline(always)]
pub(super) fn sample(value: f32) -> u8 {
    // A float of this size has no fraction bits: the lowest bits are the integer. This is faster than a checked
    // conversion.
    const WHOLE: f32 = 8_388_608.0;
    let [low, ..] = (limited(value) + WHOLE).to_bits().to_le_bytes();
    low
}

#[cfg(test)]
#[expect(
    clippy::cast_precision_loss,
    clippy::needless_range_loop,
    reason = "small numbers, and formulas with indexes"
)]
mod tests {
    use super::*;

    /// §A.3.3 literally.
    fn reference(coefficients: &[f32; 64], x: usize, y: usize) -> f64 {
        let scale = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let wave = |k: usize, x: usize| {
            let sixteenths = u32::try_from((2 * x + 1) * k).unwrap();
            (std::f64::consts::PI * f64::from(sixteenths) / 16.0).cos() * scale(k)
        };
        let mut sum = 0.0;
        for v in 0..8 {
            for u in 0..8 {
                sum += f64::from(coefficients[8 * v + u]) * wave(u, x) * wave(v, y);
            }
        }
        sum / 4.0 + 128.0
    }

    #[test]
    fn samples_match_the_standard_formula() {
        let mut seed = 1_u32;
        let mut random = |limit: u16| {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            u16::try_from(seed >> 16).unwrap() % limit
        };
        for n_coefficients in (0..64).chain([64; 200]) {
            let mut block = Block::EMPTY;
            for _ in 0..n_coefficients {
                let at = usize::from(random(64));
                block.coefficients[at] = f32::from(random(401)) - 200.0;
                block.nonzero |= 1 << at;
            }
            let mut columns = [[0.0; 8]; 8];
            block.draw(&mut columns);
            for y in 0..8 {
                for x in 0..8 {
                    let expected = reference(&block.coefficients, y, x).clamp(0.0, 255.0);
                    let found = f64::from(columns[x][y]);
                    assert!((found - expected).abs() < 0.001, "{found} {expected}");
                }
            }
        }
    }

    /// A wave that fewer samples can represent keeps its shape, and flat blocks stay flat.
    #[test]
    fn smaller_blocks_show_the_same_waves() {
        for (across, down) in (1..=8).flat_map(|across| (1..=8).map(move |down| (across, down))) {
            for (k, l) in (0..across).flat_map(|k| (0..down).map(move |l| (k, l))) {
                let mut block = Block::EMPTY;
                block.coefficients[8 * k + l] = 100.0;
                block.nonzero = 1 << (8 * k + l);
                let mut columns = [[0.0; 8]; 8];
                block.draw_smaller(&mut columns[..across], &Scale::new((across, down)));
                let wave = |k: usize, x: usize, n: usize| match k {
                    0 => 0.5_f64.sqrt(),
                    _ => (std::f64::consts::PI * ((2 * x + 1) * k) as f64 / (2 * n) as f64).cos(),
                };
                for (x, y) in (0..across).flat_map(|x| (0..down).map(move |y| (x, y))) {
                    let expected = 128.0 + 25.0 * wave(k, x, across) * wave(l, y, down);
                    let found = f64::from(columns[x][y]);
                    assert!(
                        (found - expected).abs() < 0.001,
                        "{across}×{down}, {k}, {l}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn samples_beyond_the_picture_do_not_mix_in() {
        // Five columns and three rows are visible; the rest is black.
        let mut block = Block::EMPTY;
        block.nonzero = !0;
        for k in 0..8 {
            for l in 0..8 {
                let sum =
                    |from: usize, to: usize, k: usize| (from..to).map(|x| BASIS[k][x]).sum::<f32>();
                block.coefficients[8 * k + l] = 72.0 * sum(0, 5, k) * sum(0, 3, l)
                    - 128.0 * (sum(0, 8, k) * sum(0, 8, l) - sum(0, 5, k) * sum(0, 3, l));
            }
        }
        let mut columns = [[0.0; 8]; 8];
        block.draw(&mut columns);
        assert!(
            (columns[4][2] - 200.0).abs() < 0.01 && columns[5][2] < 0.01 && columns[4][3] < 0.01
        );
        let mut smaller = [[0.0; 8]; 4];
        block
            .with_repeated_edges(5, 3)
            .draw_smaller(&mut smaller, &Scale::new((4, 4)));
        assert!(
            smaller
                .iter()
                .flat_map(|column| &column[..4])
                .all(|value| (value - 200.0).abs() < 0.01)
        );
    }
}
