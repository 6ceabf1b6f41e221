//! Splits and joins JPEGs, for files that no available encoder writes.

/// A component to write: its name, its sampling factors, and its samples by position in its own plane.
pub(crate) struct Component<'a> {
    pub(crate) id: u8,
    pub(crate) sampling: (u32, u32),
    pub(crate) sample: &'a dyn Fn(u32, u32) -> f64,
}

/// A part of a file between SOI and EOI: marker, data, and the entropy-coded data after a scan's header.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) marker: u8,
    pub(crate) data: Vec<u8>,
    pub(crate) scan: Vec<u8>,
}

impl Segment {
    pub(crate) fn new(marker: u8, data: impl Into<Vec<u8>>) -> Self {
        Self {
            marker,
            data: data.into(),
            scan: Vec::new(),
        }
    }
}

/// Splits a well-formed file into its segments.
pub(crate) fn segments(file: &[u8]) -> Vec<Segment> {
    let (mut segments, mut at) = (Vec::new(), 2);
    while file[at + 1] != 0xd9 {
        let length = usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        let mut segment = Segment::new(file[at + 1], &file[at + 4..at + 2 + length]);
        at += 2 + length;
        if segment.marker == 0xda {
            let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
            let length = file[at..].windows(2).position(is_end).unwrap();
            segment.scan = file[at..at + length].to_vec();
            at += length;
        }
        segments.push(segment);
    }
    segments
}

/// Joins segments into a file.
pub(crate) fn join(segments: &[Segment]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for segment in segments {
        file.extend([0xff, segment.marker]);
        file.extend((segment.data.len() as u16 + 2).to_be_bytes());
        file.extend(&segment.data);
        file.extend(&segment.scan);
    }
    file.extend([0xff, 0xd9]);
    file
}

/// A baseline file, nearly lossless: every quantisation step is 1.
pub(crate) fn write(size: (u32, u32), components: &[Component<'_>]) -> Vec<u8> {
    let most = |factor: fn(&Component<'_>) -> u32| components.iter().map(factor).max().unwrap();
    let (widest, tallest) = (most(|one| one.sampling.0), most(|one| one.sampling.1));
    let (height, width) = ((size.1 as u16).to_be_bytes(), (size.0 as u16).to_be_bytes());
    let n_components = components.len() as u8;
    let mut frame = [&[8], &height[..], &width, &[n_components]].concat();
    let mut scan = vec![n_components];
    for Component { id, sampling, .. } in components {
        frame.extend([*id, (sampling.0 << 4 | sampling.1) as u8, 0]);
        scan.extend([*id, 0]);
    }
    scan.extend([0, 63, 0]);
    // DC codes of four bits and AC codes of eight: each symbol is its own code.
    let (mut four, mut eight) = ([0; 16], [0; 16]);
    (four[3], eight[7]) = (12, 251);
    let dc: Vec<u8> = [&[0][..], &four, &(0..12).collect::<Vec<u8>>()].concat();
    let ac: Vec<u8> = [&[0x10][..], &eight, &(0..251).collect::<Vec<u8>>()].concat();

    let mut bits = Vec::new();
    let mut put = |value: u32, count: u32| {
        bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    };
    let mut last_dc = vec![0; components.len()];
    for row in 0..size.1.div_ceil(8 * tallest) {
        for column in 0..size.0.div_ceil(8 * widest) {
            for (
                Component {
                    sampling: (h, v),
                    sample,
                    ..
                },
                last_dc,
            ) in components.iter().zip(&mut last_dc)
            {
                for (y, x) in (0..*v).flat_map(|y| (0..*h).map(move |x| (y, x))) {
                    let corner = (8 * (column * h + x), 8 * (row * v + y));
                    let block = transform(|x, y| sample(corner.0 + x, corner.1 + y) - 128.0);
                    let mut run = 0;
                    for (at, value) in block.into_iter().enumerate() {
                        let value = if at == 0 { value - *last_dc } else { value };
                        if at == 0 {
                            *last_dc += value;
                        } else if value == 0 {
                            run += 1;
                            continue;
                        }
                        while run > 15 {
                            put(0xf0, 8);
                            run -= 16;
                        }
                        let n_bits = 32 - value.unsigned_abs().leading_zeros();
                        match at {
                            0 => put(n_bits, 4),
                            _ => put(run << 4 | n_bits, 8),
                        }
                        put((if value < 0 { value - 1 } else { value }) as u32, n_bits);
                        run = 0;
                    }
                    if run > 0 {
                        put(0, 8);
                    }
                }
            }
        }
    }
    let mut scan = Segment::new(0xda, scan);
    bits.resize(bits.len().next_multiple_of(8), true);
    for byte in bits.chunks(8) {
        let byte = byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        scan.scan.push(byte);
        if byte == 0xff {
            scan.scan.push(0);
        }
    }
    join(&[
        Segment::new(0xdb, [&[0][..], &[1; 64]].concat()),
        Segment::new(0xc0, frame),
        Segment::new(0xc4, dc),
        Segment::new(0xc4, ac),
        scan,
    ])
}

/// T.81 §A.3.3, rounded, in zigzag order.
fn transform(sample: impl Fn(u32, u32) -> f64) -> [i32; 64] {
    let wave = |k: u32, x: u32| {
        let scale = if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        scale / 2.0 * (std::f64::consts::PI * f64::from((2 * x + 1) * k) / 16.0).cos()
    };
    let mut halfway = [[0.0; 8]; 8];
    for (y, row) in (0..).zip(&mut halfway) {
        for (k, value) in (0..).zip(row) {
            *value = (0..8).map(|x| sample(x, y) * wave(k, x)).sum::<f64>();
        }
    }
    let mut diagonals: Vec<(u32, u32)> = (0..64).map(|at| (at % 8, at / 8)).collect();
    // Odd diagonals go down, even ones up.
    diagonals.sort_by_key(|(k, l)| (k + l, if (k + l) % 2 == 0 { *k } else { *l }));
    std::array::from_fn(|at| {
        let (k, l) = diagonals[at];
        let sum: f64 = (0..8)
            .map(|y| halfway[y as usize][k as usize] * wave(l, y))
            .sum();
        sum.round() as i32
    })
}
