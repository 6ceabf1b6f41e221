//! The order in which the coefficients of a block are transmitted (ITU-T T.81, figure A.6).
//!
//! Decoder, encoder and quantisation tables use it.

/// The positions of a block's coefficients, in the order of transmission (figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The same, for blocks stored column by column.
pub(super) const BY_COLUMN: [u8; 64] = {
    let mut by_column = [0; 64];
    let mut k = 0;
    while k < 64 {
        by_column[k] = ZIGZAG[k] % 8 * 8 + ZIGZAG[k] / 8;
        k += 1;
    }
    by_column
};
