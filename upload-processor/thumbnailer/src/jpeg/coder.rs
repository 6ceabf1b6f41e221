//! Reads the blocks of a scan, one coefficient after the other (ITU-T T.81, Annexes F and G).
//!
//! `scan` calls [`read_row`] for each row of MCUs. Everything that runs for each coefficient is in this file, beside
//! the bits' own `#[inline]` functions, so the compiler can make one loop of it. Invalid codes and missing data are
//! errors; what they mean is for `scan` to say.

use crate::rejection::Rejection;

use super::frame::{Component, Frame};
use super::huffman::{Bits, CodeError, Table, Tables};
use super::idct::{Block, QuantTable};
use super::planes::PlaneDecoder;
use super::scan_header::{ScanComponent, ScanHeader};
use super::zigzag::BY_COLUMN;

/// Reads the MCUs of one row, or a part of them.
pub(super) fn read_row(
    coders: &mut [Coder<'_>],
    planes: &mut [PlaneDecoder],
    bits: &mut Bits<'_>,
    columns: std::ops::Range<usize>,
    row: usize,
) -> Result<(), CodeError> {
    for column in columns {
        for coder in &mut *coders {
            let plane = &mut planes[coder.component];
            for y in 0..coder.down {
                for x in 0..coder.across {
                    let (x, y) = (column * coder.across + x, row * coder.down + y);
                    coder.read_block(bits, plane, x, y)?;
                }
            }
        }
    }
    Ok(())
}

/// Reads the blocks of one component in one scan.
pub(super) struct Coder<'a> {
    kind: Kind<'a>,
    /// The component's index in the frame.
    pub(super) component: usize,
    /// Blocks in an MCU, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    first: usize,
    last: usize,
    low: u8,
    /// The DC of the previous block.
    dc: i32,
    /// The number of upcoming blocks that have already ended (§G.1.2.2).
    ended: u32,
}

enum Kind<'a> {
    Sequential { dc: &'a Table, ac: &'a Table },
    DcFirst { dc: &'a Table },
    DcRefine,
    AcFirst { ac: &'a Table },
    AcRefine { ac: &'a Table },
}

impl<'a> Coder<'a> {
    pub(super) fn new(
        frame: &Frame,
        header: &ScanHeader,
        tables: &'a Tables,
        component: &ScanComponent,
    ) -> Result<Self, Rejection> {
        let table = |tables: &'a [Option<Table>; 4], index: usize| {
            let table = tables.get(index).and_then(Option::as_ref);
            table.ok_or_else(|| Rejection::corrupt("JPEG scan uses a table that is not defined"))
        };
        let kind = match (frame.progressive, header.first, header.high) {
            (false, ..) => Kind::Sequential {
                dc: table(&tables.dc, component.dc)?,
                ac: table(&tables.ac, component.ac)?,
            },
            (true, 0, 0) => Kind::DcFirst {
                dc: table(&tables.dc, component.dc)?,
            },
            (true, 0, _) => Kind::DcRefine,
            (true, _, 0) => Kind::AcFirst {
                ac: table(&tables.ac, component.ac)?,
            },
            (true, ..) => Kind::AcRefine {
                ac: table(&tables.ac, component.ac)?,
            },
        };
        let index = component.index;
        let Component {
            horizontal,
            vertical,
            ..
        } = frame.components[index];
        Ok(Self {
            kind,
            component: index,
            across: horizontal as usize,
            down: vertical as usize,
            first: usize::from(header.first),
            last: usize::from(header.last),
            low: header.low,
            dc: 0,
            ended: 0,
        })
    }

    /// §E.2.4: resets the state that is carried from block to block.
    pub(super) fn restart(&mut self) {
        (self.dc, self.ended) = (0, 0);
    }

    /// Whether it adds a bit to coefficients that were sent before.
    pub(super) fn refines(&self) -> bool {
        matches!(self.kind, Kind::DcRefine | Kind::AcRefine { .. })
    }

    /// Reads and discards a block outside the picture.
    pub(super) fn skip_block(
        &mut self,
        bits: &mut Bits<'_>,
        plane: &PlaneDecoder,
    ) -> Result<(), CodeError> {
        match self.kind {
            Kind::Sequential { dc, ac } => {
                let quant = plane.quant.as_ref().ok_or(CodeError::NoCode)?;
                let mut block = Block::EMPTY;
                self.dc = read_sequential(bits, dc, ac, quant, self.dc, &mut block)?;
            }
            Kind::DcFirst { dc } => drop(bits.coefficient(dc)?),
            Kind::AcFirst { ac } => self.read_ac_first(ac, bits, &mut [0; 64])?,
            Kind::DcRefine | Kind::AcRefine { .. } => return Err(CodeError::NoCode),
        }
        Ok(())
    }

    /// Reads the block at this position of the plane.
    #[inline]
    fn read_block(
        &mut self,
        bits: &mut Bits<'_>,
        plane: &mut PlaneDecoder,
        x: usize,
        y: usize,
    ) -> Result<(), CodeError> {
        if let Kind::Sequential { dc, ac } = self.kind {
            let mut block = Block::EMPTY;
            let quant = plane.quant.as_ref().ok_or(CodeError::NoCode)?;
            self.dc = read_sequential(bits, dc, ac, quant, self.dc, &mut block)?;
            plane.draw(&block, x, y);
            return Ok(());
        }
        let at = y * plane.across + x;
        let block = plane.coefficients.get_mut(at).ok_or(CodeError::NoCode)?;
        match self.kind {
            Kind::DcFirst { dc } => {
                let (_, difference) = bits.coefficient(dc)?;
                self.dc = self.dc.wrapping_add(difference);
                block[0] = narrowed(self.dc << self.low);
            }
            Kind::DcRefine => block[0] |= i16::from(bits.bit()?) << self.low,
            Kind::AcFirst { ac } => self.read_ac_first(ac, bits, block)?,
            Kind::AcRefine { ac } => self.read_ac_refine(ac, bits, block)?,
            Kind::Sequential { .. } => {}
        }
        Ok(())
    }

    /// §G.1.2.2. A run of ended blocks may span many blocks.
    fn read_ac_first(
        &mut self,
        ac: &Table,
        bits: &mut Bits<'_>,
        block: &mut [i16; 64],
    ) -> Result<(), CodeError> {
        if self.ended > 0 {
            self.ended -= 1;
            return Ok(());
        }
        let mut reader = *bits;
        let mut next = self.first;
        while next <= self.last {
            let (symbol, value) = reader.coefficient(ac)?;
            let run = symbol >> 4;
            if symbol & 15 != 0 {
                next += usize::from(run);
                if next > self.last {
                    return Err(CodeError::NoCode);
                }
                block[next] = narrowed(value << self.low);
                next += 1;
            } else if symbol == ZERO_RUN {
                next += 16;
            } else {
                self.ended = (1 << run) - 1 + reader.value(u32::from(run))?;
                break;
            }
        }
        *bits = reader;
        Ok(())
    }

    /// §G.1.2.3: one correction bit for each coefficient that is already nonzero, wherever a run passes it.
    fn read_ac_refine(
        &mut self,
        ac: &Table,
        bits: &mut Bits<'_>,
        block: &mut [i16; 64],
    ) -> Result<(), CodeError> {
        let mut reader = *bits;
        let mut next = self.first;
        while self.ended == 0 && next <= self.last {
            let (symbol, value) = reader.coefficient(ac)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && symbol != ZERO_RUN {
                self.ended = (1 << run) + reader.value(u32::from(run))?;
                break;
            }
            // A new coefficient can only be 1 or -1 at this bit position: only its sign follows.
            if size > 1 {
                return Err(CodeError::NoCode);
            }
            while next <= self.last {
                if block[next] != 0 {
                    correct(&mut reader, &mut block[next], self.low)?;
                } else if run == 0 {
                    break;
                } else {
                    run -= 1;
                }
                next += 1;
            }
            if symbol != ZERO_RUN {
                if next > self.last {
                    return Err(CodeError::NoCode);
                }
                block[next] = narrowed(value << self.low);
            }
            next += 1;
        }
        if self.ended > 0 {
            for coefficient in block[..=self.last].iter_mut().skip(next) {
                if *coefficient != 0 {
                    correct(&mut reader, coefficient, self.low)?;
                }
            }
            self.ended -= 1;
        }
        *bits = reader;
        Ok(())
    }
}

/// §F.2.2: a dequantised block of a sequential scan. Answers with its DC.
#[expect(
    clippy::inline_always,
    reason = "part of the loop over coefficients or samples, which is twice as fast inlined"
)]
#[inline(always)]
fn read_sequential(
    bits: &mut Bits<'_>,
    dc: &Table,
    ac: &Table,
    quant: &QuantTable,
    last_dc: i32,
    block: &mut Block,
) -> Result<i32, CodeError> {
    let mut reader = *bits;
    let (_, difference) = reader.coefficient(dc)?;
    let this_dc = last_dc.wrapping_add(difference);
    block.coefficients[0] = f32::from(narrowed(this_dc)) * quant[0];
    let mut next = 1;
    while next < 64 {
        let (symbol, value) = reader.coefficient(ac)?;
        if symbol & 15 != 0 {
            next += usize::from(symbol >> 4);
            let Some(at) = BY_COLUMN.get(next) else {
                return Err(CodeError::NoCode);
            };
            let at = usize::from(at & 63);
            #[expect(
                clippy::cast_precision_loss,
                reason = "a coefficient has at most 15 bits, which a float holds exactly"
            )]
            {
                block.coefficients[at] = value as f32 * quant[at];
            }
            block.nonzero |= 1 << at;
            next += 1;
        } else if symbol == ZERO_RUN {
            next += 16;
        } else {
            break;
        }
    }
    *bits = reader;
    if next > 64 {
        return Err(CodeError::NoCode);
    }
    Ok(this_dc)
}

/// Adds one more bit to a coefficient, away from zero.
#[inline]
fn correct(bits: &mut Bits<'_>, coefficient: &mut i16, low: u8) -> Result<(), CodeError> {
    if bits.bit()? {
        let bit = 1 << low;
        *coefficient = coefficient.saturating_add(if *coefficient < 0 { -bit } else { bit });
    }
    Ok(())
}

/// A coefficient as stored. Only invalid values are larger.
fn narrowed(value: i32) -> i16 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within the bounds just set"
    )]
    {
        value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

/// Sixteen zeros and no coefficient after them (ZRL).
const ZERO_RUN: u8 = 0xf0;
