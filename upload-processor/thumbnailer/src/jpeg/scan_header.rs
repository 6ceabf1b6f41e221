//! Parses the header of a scan (SOS; ITU-T T.81, §B.2.3): its components and its part of their coefficients.
//!
//! `markers` calls this; `progress` and `coder` read the result.

use crate::rejection::Rejection;

use super::frame::Frame;

/// A scan's parameters (§B.2.3).
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// The first and last coefficient, in zigzag order.
    pub(super) first: u8,
    pub(super) last: u8,
    /// The bit position before and after this scan; before is 0 for a first scan.
    pub(super) high: u8,
    pub(super) low: u8,
}

/// A component's part in a scan: its index in the frame, and its tables.
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

impl ScanHeader {
    /// Parses the data of an SOS segment.
    pub(super) fn parse(frame: &Frame, data: &[u8]) -> Result<Self, Rejection> {
        let Some((&n_components, rest)) = data.split_first() else {
            return Err(Rejection::corrupt("SOS is empty"));
        };
        let Some((specs, &[first, last, approximation])) =
            rest.split_at_checked(2 * usize::from(n_components))
        else {
            return Err(Rejection::corrupt("SOS has the wrong length"));
        };
        let mut components: Vec<ScanComponent> = Vec::new();
        for spec in specs.chunks_exact(2) {
            // Some writers give several components the same name; they are distinguished by their order, as in libjpeg.
            let index = frame
                .components
                .iter()
                .enumerate()
                .position(|(index, component)| {
                    component.id == spec[0] && components.iter().all(|other| other.index != index)
                });
            let Some(index) = index else {
                return Err(Rejection::corrupt(
                    "SOS names a component that the frame does not have, or repeats one",
                ));
            };
            components.push(ScanComponent {
                index,
                dc: usize::from(spec[1] >> 4),
                ac: usize::from(spec[1] & 15),
            });
        }
        let (high, low) = (approximation >> 4, approximation & 15);
        let possible = if frame.progressive {
            let band = if first == 0 {
                last == 0
            } else {
                first <= last && last <= 63 && components.len() == 1
            };
            band && low <= 13 && (high == 0 || high == low + 1)
        } else {
            // Some writers put garbage into the fields that sequential scans do not use; libjpeg only warns.
            true
        };
        if !possible || components.is_empty() {
            return Err(Rejection::corrupt("SOS has impossible parameters"));
        }
        Ok(Self {
            components,
            first,
            last,
            high,
            low,
        })
    }
}
