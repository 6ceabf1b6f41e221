//! Inflates the IDAT chunks of a PNG (PNG third edition, §10), around `fdeflate`.
//!
//! `rows` reads from it. It checks every complete chunk's CRC and the Adler-32 over all rows, so a picture whose rows
//! and checksum are there is complete, even if the container's last bytes are missing.

use fdeflate::{DecompressionError, Decompressor};

use crate::deadline::Checkpoint;
use crate::rejection::Rejection;

use super::chunk::chunk;

/// Inflates the IDAT chunks.
pub(super) struct Inflate<'a> {
    file: &'a [u8],
    at: usize,
    /// The rest of the current chunk.
    piece: &'a [u8],
    state: Box<Decompressor>,
    /// The last 32 KB, which back-references may use, and room for more.
    window: Vec<u8>,
    /// The start of the unread part of the window.
    from: usize,
    to: usize,
    read: u64,
    checkpoint: Checkpoint<'a>,
}

impl<'a> Inflate<'a> {
    pub(super) fn new(file: &'a [u8], checkpoint: Checkpoint<'a>) -> Self {
        Self {
            file,
            at: 0,
            piece: &[],
            state: Box::new(Decompressor::new()),
            window: vec![0; WINDOW],
            from: 0,
            to: 0,
            read: 0,
            checkpoint,
        }
    }

    /// Fills `to` with the next bytes.
    pub(super) fn read(&mut self, mut to: &mut [u8]) -> Result<(), Rejection> {
        while !to.is_empty() {
            if self.from == self.to && !self.more()? {
                // The stream is complete and its checksum right, so the file was written like this.
                return Err(Rejection::corrupt("PNG has too few rows"));
            }
            let length = to.len().min(self.to - self.from);
            let (now, later) = to.split_at_mut(length);
            now.copy_from_slice(&self.window[self.from..self.from + length]);
            self.from += length;
            self.read += length as u64;
            to = later;
        }
        Ok(())
    }

    /// Reads to the Adler-32. Some encoders write surplus data before it.
    pub(super) fn finish(&mut self) -> Result<(), Rejection> {
        let mut surplus = (self.to - self.from) as u64;
        while self.more()? {
            surplus += (self.to - self.from) as u64;
            self.from = self.to;
            if surplus > self.read + MAX_SURPLUS {
                return Err(Rejection::corrupt("PNG has far more data than rows"));
            }
        }
        while self.next_piece()?.is_some() {}
        Ok(())
    }

    /// Refills the window after all of it was read. Returns `false` at the end of the data, if its checksum was right.
    fn more(&mut self) -> Result<bool, Rejection> {
        (self.checkpoint)("decode")?;
        if self.window.len() - self.to < LOOK_BACK {
            self.window.copy_within(self.to - LOOK_BACK..self.to, 0);
            self.to = LOOK_BACK;
        }
        self.from = self.to;
        let mut is_last = false;
        while self.to == self.from && !self.state.is_done() {
            if self.piece.is_empty() {
                match self.next_piece()? {
                    Some(piece) => self.piece = piece,
                    None => is_last = true,
                }
            }
            let (taken, made) = self
                .state
                .read(self.piece, &mut self.window, self.to, is_last)
                .map_err(|error| match error {
                    DecompressionError::InsufficientInput => {
                        Rejection::Truncated("PNG ends before its image data does")
                    }
                    DecompressionError::WrongChecksum => {
                        Rejection::corrupt("PNG's rows have a wrong checksum")
                    }
                    error => {
                        Rejection::corrupt(format!("PNG's data cannot be inflated: {error:?}"))
                    }
                })?;
            self.piece = &self.piece[taken..];
            self.to += made;
        }
        Ok(self.to > self.from)
    }

    /// The data of the next IDAT chunk, if its checksum was right. The last chunk may be truncated.
    fn next_piece(&mut self) -> Result<Option<&'a [u8]>, Rejection> {
        loop {
            let rest = self.file.get(self.at..).unwrap_or_default();
            let (Some(length), Some(b"IDAT")) = (rest.first_chunk(), rest.get(4..8)) else {
                return Ok(None);
            };
            let Ok(whole) = chunk(self.file, self.at) else {
                // The chunk lacks at least its CRC. The Adler-32 decides whether the data is complete.
                self.at = self.file.len();
                let length = u32::from_be_bytes(*length) as usize;
                return Ok(Some(&rest[8..rest.len().min(8 + length)]));
            };
            whole.check_crc()?;
            self.at = whole.end;
            if !whole.data.is_empty() {
                return Ok(Some(whole.data));
            }
        }
    }
}

/// The largest distance of a back-reference (§10.1).
const LOOK_BACK: usize = 32 * 1024;
const WINDOW: usize = 4 * LOOK_BACK;
/// Surplus data is inflated only for its checksum, so it is bounded: by the size of the rows, and this.
const MAX_SURPLUS: u64 = 1 << 20;
