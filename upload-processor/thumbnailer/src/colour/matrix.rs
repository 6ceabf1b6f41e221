//! Matrices from one set of primaries to sRGB's, through XYZ; white points are adapted with Bradford's matrix.

/// A matrix as three rows.
pub(super) type Matrix = [[f64; 3]; 3];

/// The identity.
pub(super) const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// sRGB's white, red, green, blue (IEC 61966-2-1).
const SRGB: [f64; 8] = [0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];

const BRADFORD: Matrix = [
    [0.8951, 0.2664, -0.1614],
    [-0.7502, 1.7135, 0.0367],
    [0.0389, -0.0685, 1.0296],
];

/// The matrix from linear light of these chromaticities (x and y of white, red, green, blue) to linear sRGB. `None` if
/// they do not span a colour space.
pub(super) fn between(from: [f64; 8]) -> Option<Matrix> {
    let to_xyz = to_xyz(from)?;
    let from_xyz = inverse(&self::to_xyz(SRGB)?)?;
    let matrix = product(
        &from_xyz,
        &product(&adapt(white(from)?, white(SRGB)?)?, &to_xyz),
    );
    let is_usable = |value: &f64| value.is_finite() && value.abs() < 1e4;
    matrix.iter().flatten().all(is_usable).then_some(matrix)
}

/// The matrix from linear light to XYZ, scaled so that all channels together give white.
fn to_xyz(from: [f64; 8]) -> Option<Matrix> {
    let [_, _, rx, ry, gx, gy, bx, by] = from;
    let primaries = [
        [rx, gx, bx],
        [ry, gy, by],
        [1.0 - rx - ry, 1.0 - gx - gy, 1.0 - bx - by],
    ];
    let scale = times(&inverse(&primaries)?, white(from)?);
    Some(primaries.map(|[r, g, b]| [r * scale[0], g * scale[1], b * scale[2]]))
}

fn white([x, y, ..]: [f64; 8]) -> Option<[f64; 3]> {
    (y > 0.0).then(|| [x / y, 1.0, (1.0 - x - y) / y])
}

fn adapt(from: [f64; 3], to: [f64; 3]) -> Option<Matrix> {
    let (from, to) = (times(&BRADFORD, from), times(&BRADFORD, to));
    let mut scaled = BRADFORD;
    for (row, (from, to)) in scaled.iter_mut().zip(from.into_iter().zip(to)) {
        *row = row.map(|value| value * to / from);
    }
    Some(product(&inverse(&BRADFORD)?, &scaled))
}

fn times(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum())
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|row| std::array::from_fn(|column| (0..3).map(|idx| row[idx] * b[idx][column]).sum()))
}

/// The inverse, by cofactors.
fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let cofactor = |row: usize, column: usize| {
        let at = |r: usize, c: usize| matrix[(row + r) % 3][(column + c) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: f64 = (0..3)
        .map(|column| matrix[0][column] * cofactor(0, column))
        .sum();
    (determinant.abs() > 1e-9).then(|| {
        std::array::from_fn(|row| std::array::from_fn(|column| cofactor(column, row) / determinant))
    })
}

/// The chromaticities of white, red, green and blue (H.273, table 2).
pub(super) fn primaries_of(code: u8) -> Option<[f64; 8]> {
    const D65: [f64; 2] = [0.3127, 0.3290];
    const C: [f64; 2] = [0.310, 0.316];
    let (white, [rx, ry, gx, gy, bx, by]) = match code {
        1 => (D65, [0.640, 0.330, 0.300, 0.600, 0.150, 0.060]),
        4 => (C, [0.67, 0.33, 0.21, 0.71, 0.14, 0.08]),
        5 => (D65, [0.64, 0.33, 0.29, 0.60, 0.15, 0.06]),
        6 | 7 => (D65, [0.630, 0.340, 0.310, 0.595, 0.155, 0.070]),
        8 => (C, [0.681, 0.319, 0.243, 0.692, 0.145, 0.049]),
        9 => (D65, [0.708, 0.292, 0.170, 0.797, 0.131, 0.046]),
        10 => ([1.0 / 3.0; 2], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        11 => ([0.314, 0.351], [0.680, 0.320, 0.265, 0.690, 0.150, 0.060]),
        12 => (D65, [0.680, 0.320, 0.265, 0.690, 0.150, 0.060]),
        22 => (D65, [0.630, 0.340, 0.295, 0.605, 0.155, 0.077]),
        _ => return None,
    };
    Some([white[0], white[1], rx, ry, gx, gy, bx, by])
}
