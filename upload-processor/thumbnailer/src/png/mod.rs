//! Decodes a PNG whose chunks `inspect` has found (PNG third edition, §7 to §10), a row at a time.
//!
//! This decoder around `fdeflate` does three things that `image`'s does not. It converts and narrows 16-bit samples row
//! by row, so the whole picture never exists in 16 bits. It keeps grey as one plane. It checks the Adler-32 over all
//! rows, so a picture with its rows and checksum is complete, even if the container's last bytes are missing.

pub(crate) mod chunk;
mod convert;
mod header;
mod inflate;
mod rows;

use crate::colour::ToSrgb;
use crate::deadline::Checkpoint;
use crate::rejection::Rejection;

pub(crate) use self::header::{Header, Stored};

use self::convert::Convert;
use self::rows::Rows;

/// Samples in 8 bits, without gaps.
pub(crate) struct Samples {
    /// 1, 3, or 4 with alpha.
    pub(crate) channels: usize,
    pub(crate) data: Vec<u8>,
    /// Whether they are already in sRGB.
    pub(crate) converted: bool,
}

/// Decodes the whole picture, or reports what is missing. `to_srgb` applies to 16-bit samples only, because narrowing
/// them first loses dark colours.
pub(crate) fn decode(
    stored: &Stored<'_>,
    to_srgb: Option<&ToSrgb>,
    checkpoint: Checkpoint<'_>,
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
    let mut rows = Rows::new(stored, checkpoint);
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
