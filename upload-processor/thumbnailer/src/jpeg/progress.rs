//! Keeps account of what the scans of a JPEG have announced (ITU-T T.81, §G.1.1.1).
//!
//! `markers` adds each scan before its data is read, so a picture whose last scans are missing, or with far too many of
//! them, is refused from the headers alone.

use crate::rejection::{Complexity, Rejection};

use super::frame::Frame;
use super::scan_header::ScanHeader;

/// The coefficients that the scans so far have announced.
pub(super) struct Progress {
    /// By component and coefficient: the lowest bit position that has been sent.
    low: Vec<[Option<u8>; 64]>,
    n_scans: usize,
    blocks_visited: u64,
}

impl Progress {
    pub(super) fn new(frame: &Frame) -> Self {
        Self {
            low: vec![[None; 64]; frame.components.len()],
            n_scans: 0,
            blocks_visited: 0,
        }
    }

    /// Records the coefficients of a scan. Refuses a scan that does not continue the previous ones (§G.1.1.1), or that
    /// exceeds the limit on scans.
    pub(super) fn add(&mut self, frame: &Frame, header: &ScanHeader) -> Result<(), Rejection> {
        self.n_scans += 1;
        if self.n_scans > MOST_SCANS {
            return Err(Rejection::TooComplex(Complexity::Scans { max: MOST_SCANS }));
        }
        for component in &header.components {
            let (first, last, high, low) = if frame.progressive {
                (header.first, header.last, header.high, header.low)
            } else {
                (0, 63, 0, 0)
            };
            let sent = &mut self.low[component.index];
            for coefficient in &mut sent[usize::from(first)..=usize::from(last)] {
                let expected = (high > 0).then_some(high);
                if *coefficient != expected {
                    return Err(Rejection::corrupt(
                        "JPEG scan does not continue the previous ones",
                    ));
                }
                *coefficient = Some(low);
            }
            let (across, down) = frame.blocks(&frame.components[component.index]);
            self.blocks_visited += u64::from(across) * u64::from(down);
        }
        if self.blocks_visited > MOST_BLOCKS {
            let (blocks, max) = (self.blocks_visited, MOST_BLOCKS);
            return Err(Rejection::TooComplex(Complexity::Work { blocks, max }));
        }
        Ok(())
    }

    /// Whether every coefficient has been sent, to its last bit.
    pub(super) fn is_whole(&self) -> bool {
        self.low.as_flattened().iter().all(|low| *low == Some(0))
    }

    /// Whether the scans add up to a complete picture, of which only zeros were omitted.
    ///
    /// Whole bands of chroma coefficients may be missing (an optimiser may drop a band of zeros), but a band must not
    /// be partly sent. Luma must be complete: all scan scripts end with its last bits.
    pub(super) fn check_complete(&self) -> Result<(), Rejection> {
        for (index, low) in self.low.iter().enumerate() {
            let all = low.iter().all(|low| *low == Some(0));
            let begun = low[0] == Some(0) && low.iter().all(|low| matches!(low, None | Some(0)));
            if !(all || begun && index > 0) {
                return Err(Rejection::Truncated("JPEG lacks its last scans"));
            }
        }
        Ok(())
    }
}

/// jpegtran's and mozjpeg's scripts have 10 to 20 scans. A few KB can announce thousands.
const MOST_SCANS: usize = 100;

/// A 50-megapixel picture of ten scans without subsampling visits 11 million blocks; each takes 20 to
/// 100 ns.
const MOST_BLOCKS: u64 = 32_000_000;
