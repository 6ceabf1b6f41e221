//! Reads the chunks of a PNG (PNG third edition, §5).
//!
//! `inspect` walks them up to the image data, and `inflate` reads the data. It keeps nothing and interprets no content.

use flate2::Crc;

use crate::bytes::be_u32;
use crate::rejection::Rejection;

/// A complete chunk.
pub(crate) struct Chunk<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
    /// The offset of the next chunk.
    pub(crate) end: usize,
    /// Its type and its data.
    covered: &'a [u8],
    crc: u32,
}

impl Chunk<'_> {
    /// §5.5: the CRC covers the type and the data.
    pub(crate) fn check_crc(&self) -> Result<(), Rejection> {
        let mut crc = Crc::new();
        crc.update(self.covered);
        if crc.sum() != self.crc {
            return Err(Rejection::corrupt(format!(
                "PNG chunk {} has a wrong checksum",
                self.kind.escape_ascii()
            )));
        }
        Ok(())
    }
}

/// The chunk at `at`.
pub(crate) fn chunk(bytes: &[u8], at: usize) -> Result<Chunk<'_>, Rejection> {
    let missing = Rejection::Truncated("PNG ends before its image data does");
    let (Some(length), Some(kind)) = (
        be_u32(bytes, at),
        bytes
            .get(at + 4..)
            .and_then(|rest| rest.first_chunk())
            .copied(),
    ) else {
        return Err(missing);
    };
    if !kind.iter().all(u8::is_ascii_alphabetic) || length > i32::MAX as u32 {
        return Err(Rejection::corrupt("PNG has a malformed chunk"));
    }
    let data = at + 8;
    let end = data + length as usize;
    match (bytes.get(data..end), be_u32(bytes, end)) {
        (Some(contents), Some(crc)) => Ok(Chunk {
            kind,
            data: contents,
            end: end + CRC,
            covered: &bytes[at + 4..end],
            crc,
        }),
        _ => Err(missing),
    }
}

/// The bytes of a checksum.
const CRC: usize = 4;
