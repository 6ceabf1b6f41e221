//! Reads the blocks of a scan (ITU-T T.81, Annexes F and G), and detects missing data.
//!
//! Most decoders are lenient, because a browser should rather show half a picture than none. This one is strict. It
//! detects data that ends too early, even before an EOI or a restart marker; invalid codes; runs past a block's end;
//! restart intervals that are missing or out of order; scans that refine coefficients that were never sent; and
//! pictures whose last scans are missing. It cannot detect a flipped bit that leaves the number of blocks intact,
//! because JPEG has no checksum. The form's pinned SHA-256 guards against that.

use crate::deadline::Checkpoint;
use crate::rejection::Rejection;

use super::coder::{Coder, read_row};
use super::frame::Frame;
use super::huffman::{Bits, CodeError};
use super::planes::{PictureDecoder, PlaneDecoder};
use super::scan_header::ScanHeader;
use super::tables::InForce;

/// Reads a scan's data, which begins at the start of `data`, to its last block. Answers with the offset of the next
/// marker: stray bytes may precede it.
pub(super) fn read(
    frame: &Frame,
    header: &ScanHeader,
    in_force: &InForce,
    picture: &mut PictureDecoder,
    data: &[u8],
    checkpoint: Checkpoint<'_>,
) -> Result<usize, Rejection> {
    picture.begin(frame, header, &in_force.quant)?;
    let mut coders = Vec::new();
    for component in &header.components {
        coders.push(Coder::new(frame, header, &in_force.huffman, component)?);
    }
    // §A.2: the blocks of a single component are in its own rows, without the padding of whole MCUs.
    let (across, down) = if let ([coder], [only]) = (&mut coders[..], &header.components[..]) {
        (coder.across, coder.down) = (1, 1);
        frame.blocks(&frame.components[only.index])
    } else {
        frame.mcus()
    };
    let n_mcus = across * down;
    let mut bits = Bits::new(data);
    let interval = match in_force.restart_interval {
        0 => n_mcus,
        restart_interval => restart_interval,
    };
    let mut mcu = 0;
    loop {
        let until = mcu + interval.min(n_mcus - mcu);
        while mcu < until {
            // A row of MCUs, or the part of it that belongs to this interval.
            let row = mcu / across;
            let stop = until.min((row + 1) * across);
            checkpoint("decode")?;
            let columns = (mcu - row * across) as usize..(stop - row * across) as usize;
            read_row(
                &mut coders,
                &mut picture.planes,
                &mut bits,
                columns,
                row as usize,
            )
            .map_err(|error| explain(error, &mut bits))?;
            mcu = stop;
            if !frame.progressive && stop == (row + 1) * across {
                for coder in &coders {
                    for y in 0..coder.down {
                        picture.planes[coder.component].narrow(row as usize * coder.down + y);
                    }
                }
            }
        }
        if mcu == n_mcus {
            break;
        }
        let (code, _) = pass_stray(&mut coders, &mut bits, data, &picture.planes)?
            .ok_or(Rejection::Truncated("JPEG scan lacks restart intervals"))?;
        pass_restart(&mut bits, code, (mcu / interval - 1) % 8)?;
        coders.iter_mut().for_each(Coder::restart);
    }
    // A restart marker may follow, with or without a surplus interval: the marker reader skips both, as libjpeg does.
    let end = pass_stray(&mut coders, &mut bits, data, &picture.planes)?;
    Ok(end.map_or(data.len(), |(_, at)| at))
}

/// The meaning of an error, which depends on what follows the data.
fn explain(error: CodeError, bits: &mut Bits<'_>) -> Rejection {
    match (error, bits.marker()) {
        (CodeError::NoCode, _) => Rejection::corrupt("JPEG scan has an invalid code"),
        (CodeError::Exhausted, Some((0xd0..=0xd7, _))) => {
            Rejection::corrupt("JPEG restart interval lacks blocks")
        }
        (CodeError::Exhausted, _) => Rejection::Truncated("JPEG scan ends before its last block"),
    }
}

/// Reads the restart marker that must come here (§E.1.4).
fn pass_restart(bits: &mut Bits<'_>, code: u8, number: u32) -> Result<(), Rejection> {
    match code {
        code if u32::from(code) == 0xd0 + number => {
            bits.pass_marker();
            Ok(())
        }
        0xd0..=0xd7 => Err(Rejection::corrupt("JPEG restart markers are out of order")),
        _ => Err(Rejection::Truncated("JPEG scan lacks restart intervals")),
    }
}

/// Advances from the last block of an interval or scan to the next marker, if there is one. Answers with its code and
/// offset.
///
/// Cameras leave padding, old buffer contents and text there, libjpeg's "extraneous bytes before marker". The picture
/// is complete, so they are dropped. Surplus blocks are different: either damage turned many blocks into few, or the
/// frame's height is wrong. Surplus blocks are long, or they decode as blocks up to their end; other bytes do so only
/// by chance.
fn pass_stray(
    coders: &mut [Coder<'_>],
    bits: &mut Bits<'_>,
    data: &[u8],
    planes: &[PlaneDecoder],
) -> Result<Option<(u8, usize)>, Rejection> {
    let (from, at_last_block) = (bits.position(), *bits);
    let marker = bits.marker();
    let until = marker.map_or(data.len(), |(_, at)| at);
    let stray = data.get(from..until).unwrap_or_default();
    if stray.len() >= FEW_STRAY
        && stray.windows(2).any(|pair| pair[0] != pair[1])
        && (stray.len() > MOST_STRAY && !is_text(stray)
            || is_blocks(coders, at_last_block, stray, planes))
    {
        return Err(Rejection::corrupt(
            "JPEG scan continues after its last block",
        ));
    }
    Ok(marker)
}

/// Whether the bits up to the next marker are whole MCUs of this scan.
fn is_blocks(
    coders: &mut [Coder<'_>],
    mut bits: Bits<'_>,
    stray: &[u8],
    planes: &[PlaneDecoder],
) -> bool {
    // To a refining scan nearly any bits are valid; but text is not scan data.
    if coders.iter().any(Coder::refines) {
        return !is_text(stray);
    }
    loop {
        let before = bits;
        for coder in &mut *coders {
            for _ in 0..coder.across * coder.down {
                match coder.skip_block(&mut bits, &planes[coder.component]) {
                    Ok(()) => {}
                    Err(CodeError::Exhausted) => return before.is_padding(),
                    Err(CodeError::NoCode) => return false,
                }
            }
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let is_printed = |byte: &u8| matches!(byte, 0 | b'\t' | b'\n' | b'\r' | b' '..=b'~');
    bytes.iter().all(is_printed)
}

/// Up to this many bytes are dropped unchecked: as blocks they would be a corner of the picture.
const FEW_STRAY: usize = 64;

/// Up to this many bytes are dropped if they are neither blocks nor text: a hole in a file usually leaves more.
const MOST_STRAY: usize = 512;
