//! Counts the blocks of a scan's entropy-coded data (ITU-T T.81, Annexes F and G) without decoding them.
//!
//! Called by the marker walk for each scan. It finds data that ends too early, before an EOI or a restart marker
//! too; codes that are none; runs past a block's end; restart intervals that are missing or out of order; scans
//! that refine what was never sent; and, at the end, pictures whose last scans are missing. It does not find a
//! flipped bit that leaves the count of blocks intact: JPEG has no checksum. The form's pinned SHA-256 is the
//! guard against that.
//!
//! zune-jpeg's strict mode misses most of this: where it meets an EOI or a restart marker too early it fills up
//! with zero bits without limit (`BitStream::refill` in 0.5.15). So a file that is cut and closed with an EOI decodes
//! "successfully": our interleaved baseline fixtures wherever they are cut, the progressive ones at four places in
//! five. It accepts a missing restart interval before EOI, and missing progressive scans.

use crate::rejection::{Complexity, Rejection};

use super::huffman::{Bits, Fault, Table, Tables};
use super::{Component, Frame};

/// A scan's parameters (§B.2.3).
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// First and last coefficient, in zigzag order.
    first: u8,
    last: u8,
    /// The bit position before and after this scan; before is 0 for a first scan.
    high: u8,
    low: u8,
}

/// A component's part in a scan: its index in the frame, and its tables.
pub(super) struct ScanComponent {
    pub(super) index: usize,
    dc: usize,
    ac: usize,
}

/// How a scan lies in the data behind its header.
pub(super) struct Extent {
    /// Bytes that the scan's blocks need.
    pub(super) length: usize,
    /// Where the next segment's marker begins: stray bytes may lie between.
    pub(super) next: usize,
}

/// What the scans so far have brought.
pub(super) struct Progress {
    progressive: bool,
    planes: Vec<Plane>,
    blocks_visited: u64,
}

struct Plane {
    /// By coefficient: the lowest bit position that has been sent.
    low: [Option<u8>; 64],
    /// By block: which coefficients are not zero, the one thing that refining scans depend on.
    /// Empty until a scan leaves bits to refine.
    nonzero: Vec<u64>,
}

impl ScanHeader {
    /// Reads the data of an SOS segment.
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
            let Some(index) = frame
                .components
                .iter()
                .position(|component| component.id == spec[0])
            else {
                return Err(Rejection::corrupt(
                    "SOS names a component that the frame has not",
                ));
            };
            if components.iter().any(|other| other.index == index) {
                return Err(Rejection::corrupt("SOS names a component twice"));
            }
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
            // Some writers put nonsense into the fields that sequential scans do not use; libjpeg only warns.
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

/// Reads a scan's data, which begins where `data` does, to its last block.
pub(super) fn verify(
    frame: &Frame,
    header: &ScanHeader,
    tables: &Tables,
    restart_interval: u32,
    progress: &mut Progress,
    data: &[u8],
) -> Result<Extent, Rejection> {
    progress.begin(frame, header)?;
    let mut coders = Vec::new();
    for component in &header.components {
        coders.push(Coder::new(frame, header, tables, component)?);
    }
    // §A.2: the blocks of a lone component lie in its own rows, without the padding of whole MCUs.
    let (across, down, blocks_per_mcu) = if let [only] = &header.components[..] {
        let (across, down) = frame.blocks(&frame.components[only.index]);
        (across, down, 1)
    } else {
        let (across, down) = frame.mcus();
        (across, down, coders.iter().map(|coder| coder.blocks).sum())
    };
    let n_mcus = across * down;
    progress.blocks_visited += u64::from(n_mcus) * u64::from(blocks_per_mcu);
    if progress.blocks_visited > MOST_BLOCKS {
        let (blocks, max) = (progress.blocks_visited, MOST_BLOCKS);
        return Err(Rejection::TooComplex(Complexity::Work { blocks, max }));
    }

    let mut bits = Bits::new(data);
    let interval = if restart_interval == 0 {
        n_mcus
    } else {
        restart_interval
    };
    let mut mcu = 0;
    loop {
        let until = mcu + interval.min(n_mcus - mcu);
        let read = if let [only] = &header.components[..] {
            let plane = &mut progress.planes[only.index];
            coders[0].read_alone(&mut bits, &mut plane.nonzero, mcu as usize..until as usize)
        } else {
            read_interleaved(&coders, &mut bits, until - mcu)
        };
        read.map_err(|fault| explain(fault, &mut bits))?;
        mcu = until;
        if mcu == n_mcus {
            break;
        }
        pass_restart(&mut bits, data, (mcu / interval - 1) % 8)?;
    }

    let length = bits.position();
    let mut end = find_marker(&mut bits, data)?;
    // A last interval may be closed with a restart marker like the others.
    if restart_interval != 0 && u32::from(end.0) == 0xd0 + (n_mcus.div_ceil(interval) - 1) % 8 {
        bits.pass_marker();
        end = find_marker(&mut bits, data)?;
    }
    match end.0 {
        0xd0..=0xd7 => Err(Rejection::corrupt(
            "JPEG scan has a restart marker too many",
        )),
        _ => Ok(Extent {
            length,
            next: end.1,
        }),
    }
}

impl Progress {
    pub(super) fn new(frame: &Frame) -> Self {
        let plane = |_: &Component| Plane {
            low: [None; 64],
            nonzero: Vec::new(),
        };
        Self {
            progressive: frame.progressive,
            planes: frame.components.iter().map(plane).collect(),
            blocks_visited: 0,
        }
    }

    /// Notes what a scan is about to bring, and refuses one that does not go on from what is there (§G.1.1.1).
    fn begin(&mut self, frame: &Frame, header: &ScanHeader) -> Result<(), Rejection> {
        for component in &header.components {
            let plane = &mut self.planes[component.index];
            let (first, last) = if self.progressive {
                (header.first, header.last)
            } else {
                (0, 63)
            };
            let (high, low) = if self.progressive {
                (header.high, header.low)
            } else {
                (0, 0)
            };
            for coefficient in &mut plane.low[usize::from(first)..=usize::from(last)] {
                let expected = (high > 0).then_some(high);
                if *coefficient != expected {
                    return Err(Rejection::corrupt(
                        "JPEG scan does not go on from the one before",
                    ));
                }
                *coefficient = Some(low);
            }
            if first > 0 && low > 0 && plane.nonzero.is_empty() {
                let (across, down) = frame.blocks(&frame.components[component.index]);
                plane.nonzero = vec![0; across as usize * down as usize];
            }
        }
        Ok(())
    }

    /// Whether the scans add up to a whole picture.
    ///
    /// Of colour, whole bands of coefficients may be left out (an optimiser may drop a band of zeros), but no
    /// band may be left half sent. Brightness must be complete: all scan scripts end with its last bits.
    pub(super) fn check_complete(&self) -> Result<(), Rejection> {
        for (index, plane) in self.planes.iter().enumerate() {
            let all = plane.low.iter().all(|low| *low == Some(0));
            let begun = plane.low[0] == Some(0)
                && plane.low.iter().all(|low| matches!(low, None | Some(0)));
            if !(all || begun && index > 0) {
                return Err(Rejection::Truncated("JPEG lacks its last scans"));
            }
        }
        Ok(())
    }
}

/// Reads the blocks of one component in one scan.
struct Coder<'a> {
    kind: Kind<'a>,
    /// Blocks in an MCU of several components.
    blocks: u32,
    first: usize,
    last: usize,
}

enum Kind<'a> {
    Sequential { dc: &'a Table, ac: &'a Table },
    DcFirst { dc: &'a Table },
    DcRefine,
    AcFirst { ac: &'a Table },
    AcRefine { ac: &'a Table },
}

impl<'a> Coder<'a> {
    fn new(
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
        let Component {
            horizontal,
            vertical,
            ..
        } = frame.components[component.index];
        Ok(Self {
            kind,
            blocks: horizontal * vertical,
            first: usize::from(header.first),
            last: usize::from(header.last),
        })
    }

    /// Reads blocks `range` of a scan that holds one component.
    fn read_alone(
        &self,
        bits: &mut Bits<'_>,
        nonzero: &mut [u64],
        range: std::ops::Range<usize>,
    ) -> Result<(), Fault> {
        match self.kind {
            Kind::AcFirst { ac } => self.read_ac_first(ac, bits, nonzero, range),
            Kind::AcRefine { ac } => {
                // A band that is refined had bits to refine, so `begin` has made room; were it not so, the
                // missing blocks would show as missing data.
                let blocks = nonzero.get_mut(range).ok_or(Fault::NoCode)?;
                self.read_ac_refine(ac, bits, blocks)
            }
            _ => range.into_iter().try_for_each(|_| self.read_block(bits)),
        }
    }

    /// Reads a block that depends on no other.
    #[inline]
    fn read_block(&self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        match self.kind {
            Kind::Sequential { dc, ac } => {
                let mut reader = *bits;
                reader.symbol(dc)?;
                let mut next = 1;
                while next < 64 {
                    let symbol = reader.symbol(ac)?;
                    if symbol & 15 != 0 {
                        next += usize::from(symbol >> 4) + 1;
                    } else if symbol == ZERO_RUN {
                        next += 16;
                    } else {
                        break;
                    }
                }
                *bits = reader;
                if next > 64 {
                    Err(Fault::NoCode)
                } else {
                    Ok(())
                }
            }
            Kind::DcFirst { dc } => bits.symbol(dc).map(|_| ()),
            Kind::DcRefine => bits.skip(1),
            // `ScanHeader::parse` lets these stand alone only.
            Kind::AcFirst { .. } | Kind::AcRefine { .. } => Err(Fault::NoCode),
        }
    }

    /// §G.1.2.2. A run of ended blocks may reach over many of them.
    fn read_ac_first(
        &self,
        ac: &Table,
        bits: &mut Bits<'_>,
        nonzero: &mut [u64],
        range: std::ops::Range<usize>,
    ) -> Result<(), Fault> {
        let mut reader = *bits;
        let mut block = range.start;
        while block < range.end {
            let mut found = 0_u64;
            let mut next = self.first;
            let mut ended = 1;
            while next <= self.last {
                let symbol = reader.symbol(ac)?;
                let run = symbol >> 4;
                if symbol & 15 != 0 {
                    next += usize::from(run);
                    if next > self.last {
                        return Err(Fault::NoCode);
                    }
                    found |= 1 << next;
                    next += 1;
                } else if symbol == ZERO_RUN {
                    next += 16;
                } else {
                    ended = (1 << run) + reader.value(u32::from(run))? as usize;
                    break;
                }
            }
            if let Some(coefficients) = nonzero.get_mut(block) {
                *coefficients |= found;
            }
            block += ended;
        }
        *bits = reader;
        Ok(())
    }

    /// §G.1.2.3: one correction bit for each coefficient that is not zero already, wherever a run passes it.
    fn read_ac_refine(
        &self,
        ac: &Table,
        bits: &mut Bits<'_>,
        blocks: &mut [u64],
    ) -> Result<(), Fault> {
        let mut reader = *bits;
        let mut ended = 0_u32;
        for coefficients in blocks {
            let mut next = self.first;
            while ended == 0 && next <= self.last {
                let symbol = reader.symbol(ac)?;
                let (mut run, size) = (symbol >> 4, symbol & 15);
                if size == 0 && symbol != ZERO_RUN {
                    ended = (1 << run) + reader.value(u32::from(run))?;
                    break;
                }
                // A new coefficient can only be 1 or -1 at this bit position: its sign is all that follows.
                if size > 1 {
                    return Err(Fault::NoCode);
                }
                let mut corrections = 0;
                while next <= self.last {
                    if *coefficients >> next & 1 != 0 {
                        corrections += 1;
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    next += 1;
                }
                reader.skip(corrections)?;
                if symbol != ZERO_RUN {
                    if next > self.last {
                        return Err(Fault::NoCode);
                    }
                    *coefficients |= 1 << next;
                }
                next += 1;
            }
            if ended > 0 {
                // `next` is at most 63 where a block has ended early, and `last` is too.
                let rest = if next > self.last {
                    0
                } else {
                    u64::MAX >> (63 - self.last) & u64::MAX << next
                };
                reader.skip((*coefficients & rest).count_ones())?;
                ended -= 1;
            }
        }
        *bits = reader;
        Ok(())
    }
}

fn read_interleaved(coders: &[Coder<'_>], bits: &mut Bits<'_>, n_mcus: u32) -> Result<(), Fault> {
    for _ in 0..n_mcus {
        for coder in coders {
            for _ in 0..coder.blocks {
                coder.read_block(bits)?;
            }
        }
    }
    Ok(())
}

/// What a fault means, which depends on what follows the data.
fn explain(fault: Fault, bits: &mut Bits<'_>) -> Rejection {
    match (fault, bits.marker()) {
        (Fault::NoCode, _) => Rejection::corrupt("JPEG scan has bits that mean nothing"),
        (Fault::Exhausted, Some((0xd0..=0xd7, _))) => {
            Rejection::corrupt("JPEG restart interval lacks blocks")
        }
        (Fault::Exhausted, _) => Rejection::Truncated("JPEG scan ends before its last block"),
    }
}

/// Passes the restart marker that must come here (§E.1.4).
fn pass_restart(bits: &mut Bits<'_>, data: &[u8], number: u32) -> Result<(), Rejection> {
    match find_marker(bits, data)?.0 {
        code if u32::from(code) == 0xd0 + number => {
            bits.pass_marker();
            Ok(())
        }
        0xd0..=0xd7 => Err(Rejection::corrupt("JPEG restart markers are out of order")),
        _ => Err(Rejection::Truncated("JPEG scan lacks restart intervals")),
    }
}

/// The marker after an interval's or a scan's last block: its code and where it begins.
///
/// Several cameras leave bytes before it, as libjpeg's "extraneous bytes before marker 0xd9" tells. The picture is
/// whole, so a few of any kind are dropped, and padding of any length. Others are blocks without a place:
/// the picture was larger, or damage made few blocks of many.
fn find_marker(bits: &mut Bits<'_>, data: &[u8]) -> Result<(u8, usize), Rejection> {
    let from = bits.position();
    let Some((code, at)) = bits.marker() else {
        return Err(Rejection::Truncated("JPEG has no end-of-image marker"));
    };
    match &data[from..at] {
        [first, rest @ ..] if rest.len() >= MOST_STRAY && rest.iter().any(|byte| byte != first) => {
            Err(Rejection::corrupt("JPEG scan goes on after its last block"))
        }
        _ => Ok((code, at)),
    }
}

const MOST_STRAY: usize = 64;

/// A 50-megapixel picture of ten scans without subsampling visits 11 million blocks; the decoder takes about
/// 30 ns for each.
const MOST_BLOCKS: u64 = 32_000_000;

/// Sixteen zeros and no coefficient after them (ZRL).
const ZERO_RUN: u8 = 0xf0;
