//! The inverse DCT (ITU-T T.81, §A.3.3), in floating point: exact to the rounding of a sample.
//!
//! Written so that the compiler makes vectors of it. Most blocks have few coefficients, near the top left: rows and
//! columns without any are left out.

/// `BASIS[k][x]`: what the coefficient of frequency `k` adds at `x`.
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

/// A block of dequantised coefficients, row by row, and which of them are not zero: a bit each.
pub(super) struct Block {
    pub(super) coefficients: [f32; 64],
    pub(super) nonzero: u64,
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        coefficients: [0.0; 64],
        nonzero: 0,
    };

    /// Writes the block's samples to where they begin in a plane.
    #[inline]
    pub(super) fn draw(&self, plane: &mut [u8], stride: usize) {
        if self.nonzero <= 1 {
            // DC alone, as half of a photo's chroma has it.
            let sample = sample(self.coefficients[0] / 8.0 + 128.0);
            for row in plane.chunks_mut(stride).take(8) {
                row[..8].fill(sample);
            }
            return;
        }
        let columns = self.nonzero | self.nonzero >> 32;
        let columns = columns | columns >> 16;
        let columns = (columns | columns >> 8) & 0xff;
        let rows = self.coefficients.as_chunks().0;
        // Loops whose length the compiler knows are twice as fast.
        let halfway = match self.nonzero.leading_zeros() / 8 {
            0..4 => down::<8>(rows),
            4 | 5 => down::<4>(rows),
            _ => down::<2>(rows),
        };
        match columns.leading_zeros() - 56 {
            0..4 => across::<8>(&halfway, plane, stride),
            4 | 5 => across::<4>(&halfway, plane, stride),
            _ => across::<2>(&halfway, plane, stride),
        }
    }
}

/// The transform of columns, of which `N` rows have coefficients.
#[inline]
fn down<const N: usize>(rows: &[[f32; 8]]) -> [[f32; 8]; 8] {
    let mut halfway = [[0.0; 8]; 8];
    for y in 0..4 {
        // Even frequencies are the same at `y` and `7 - y`, odd ones have the other sign.
        let (mut even, mut odd) = ([0.0; 8], [0.0; 8]);
        for k in 0..N / 2 {
            add(&mut even, BASIS[2 * k][y], &rows[2 * k]);
            add(&mut odd, BASIS[2 * k + 1][y], &rows[2 * k + 1]);
        }
        for x in 0..8 {
            halfway[y][x] = even[x] + odd[x];
            halfway[7 - y][x] = even[x] - odd[x];
        }
    }
    halfway
}

/// The transform of rows, of which `N` columns have coefficients.
#[inline]
fn across<const N: usize>(halfway: &[[f32; 8]; 8], plane: &mut [u8], stride: usize) {
    for (row, halfway) in plane.chunks_mut(stride).zip(halfway) {
        let mut values = [128.0; 8];
        for l in 0..N {
            add(&mut values, halfway[l], &BASIS[l]);
        }
        row[..8].copy_from_slice(&values.map(sample));
    }
}

#[allow(clippy::inline_always)]
#[inline(always)]
pub(super) fn add(sum: &mut [f32; 8], scale: f32, row: &[f32; 8]) {
    for (sum, value) in sum.iter_mut().zip(row) {
        *sum += scale * value;
    }
}

/// A value, rounded.
#[allow(clippy::inline_always)]
#[inline(always)]
fn sample(value: f32) -> u8 {
    // A float of this size has no room for a fraction: the lowest bits are the whole number, and a conversion that
    // asks whether there is one is spared.
    const WHOLE: f32 = 8_388_608.0;
    let [low, ..] = (value.clamp(0.0, 255.0) + WHOLE).to_bits().to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §A.3.3 to the letter.
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
    fn samples_are_those_of_the_standard() {
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
            let mut plane = [0; 10 * 7 + 8];
            block.draw(&mut plane, 10);
            for y in 0..8 {
                for x in 0..8 {
                    let expected = reference(&block.coefficients, x, y).clamp(0.0, 255.0);
                    let found = f64::from(plane[10 * y + x]);
                    assert!((found - expected).abs() < 0.501, "{found} {expected}");
                }
            }
        }
    }
}
