//! The tables and the interval that the markers so far define for the next scan (ITU-T T.81, §B.2.4).
//!
//! `markers` defines them, and `scan` uses them. A table stays in force until another one replaces it.

use crate::bytes::be_u16;
use crate::rejection::Rejection;

use super::huffman::Tables;
use super::idct::QuantTable;
use super::zigzag::BY_COLUMN;

/// The settings that the markers so far define for the next scan.
#[derive(Default)]
pub(super) struct InForce {
    pub(super) huffman: Tables,
    pub(super) quant: [Option<QuantTable>; 4],
    pub(super) restart_interval: u32,
}

impl InForce {
    /// Parses the data of a DQT segment (§B.2.4.1), which may contain several tables.
    pub(super) fn define_quant(&mut self, mut data: &[u8]) -> Result<(), Rejection> {
        while let [precision_and_destination, rest @ ..] = data {
            let is_wide = precision_and_destination >> 4 == 1;
            let destination = usize::from(precision_and_destination & 15);
            let length = if is_wide { 128 } else { 64 };
            let (Some((values, rest)), Some(slot), 0 | 1) = (
                rest.split_at_checked(length),
                self.quant.get_mut(destination),
                precision_and_destination >> 4,
            ) else {
                return Err(Rejection::corrupt("DQT is too short or impossible"));
            };
            let mut table = [0.0; 64];
            for (k, at) in BY_COLUMN.iter().enumerate() {
                table[usize::from(*at)] = if is_wide {
                    f32::from(be_u16(values, 2 * k).unwrap_or(0))
                } else {
                    f32::from(values[k])
                };
            }
            *slot = Some(table);
            data = rest;
        }
        Ok(())
    }
}
