//! Reads the blocks of a scan (ITU-T T.81, Annexes F and G), and detects missing data.
//!
//! Most decoders are lenient, because a browser should rather show half a picture than none. This one is strict. It
//! detects data that ends too early, even before an EOI or a restart marker; invalid codes; runs past a block's end;
//! restart intervals that are missing or out of order; scans that refine coefficients that were never sent; and
//! pictures whose last scans are missing. It cannot detect a flipped bit that leaves the number of blocks intact,
//! because JPEG has no checksum. The form's pinned SHA-256 guards against that.

use crate::rejection::{Complexity, Rejection};

use super::frame::{Component, Frame, Layout};
use super::huffman::{Bits, Fault, Table, Tables};
use super::idct::{Block, Scale};
use super::markers::InForce;
use super::narrow::Narrow;
use super::{GoOn, QuantTable};

/// A scan's parameters (§B.2.3).
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// The first and last coefficient, in zigzag order.
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

/// The coefficients that the scans so far have announced.
pub(super) struct Progress {
    /// By component and coefficient: the lowest bit position that has been sent.
    low: Vec<[Option<u8>; 64]>,
    n_scans: usize,
    blocks_visited: u64,
}

/// The picture as decoded by the scans so far.
pub(super) struct Picture {
    progressive: bool,
    pub(super) planes: Vec<Plane>,
}

/// A component's decoded and narrowed samples.
pub(super) struct Plane {
    /// The number of blocks across.
    across: usize,
    /// How many samples of all blocks the picture shows, across and down, before scaling.
    shown: (usize, usize),
    /// The same, scaled.
    scaled: (usize, usize),
    scale: Scale,
    /// As many rows of blocks as an MCU has, each in columns of eight samples.
    strips: Vec<[f32; 8]>,
    n_strips: usize,
    pub(super) narrowed: Vec<Narrowed>,
    /// The coefficients of a progressive picture, column by column, until all scans are read.
    coefficients: Vec<[i16; 64]>,
    /// The quantisation table that was current when the component's first scan began.
    quant: Option<QuantTable>,
}

/// A plane narrowed to one of the wanted sizes.
pub(super) struct Narrowed {
    narrow: Narrow,
    pub(super) samples: Vec<u8>,
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

/// Reads a scan's data, which begins at the start of `data`, to its last block. Answers with the offset of the next
/// marker: stray bytes may precede it.
pub(super) fn read(
    frame: &Frame,
    header: &ScanHeader,
    in_force: &InForce,
    picture: &mut Picture,
    data: &[u8],
    go_on: GoOn<'_>,
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
            go_on("decode")?;
            let columns = (mcu - row * across) as usize..(stop - row * across) as usize;
            read_row(
                &mut coders,
                &mut picture.planes,
                &mut bits,
                columns,
                row as usize,
            )
            .map_err(|fault| explain(fault, &mut bits))?;
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

fn read_row(
    coders: &mut [Coder<'_>],
    planes: &mut [Plane],
    bits: &mut Bits<'_>,
    columns: std::ops::Range<usize>,
    row: usize,
) -> Result<(), Fault> {
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

impl Picture {
    /// An empty picture.
    pub(super) fn new(frame: &Frame, layouts: &[Layout]) -> Self {
        let (across, down) = frame.mcus();
        let plane = |(component, layout): (&Component, &Layout)| {
            let across = (across * component.horizontal) as usize;
            let n_strips = component.vertical as usize;
            let scale = Scale::new(layout.block_size);
            let n_kept = if frame.progressive {
                across * down as usize * n_strips
            } else {
                0
            };
            let narrowed = layout.windows.iter().map(|(window, (width, _))| {
                let narrow = Narrow::new(window.across, layout.scaled.0, *width as usize);
                let samples = vec![0; narrow.width() * layout.scaled.1];
                Narrowed { narrow, samples }
            });
            Plane {
                across,
                shown: layout.shown,
                scaled: layout.scaled,
                strips: vec![[0.0; 8]; across * scale.across * n_strips],
                n_strips,
                scale,
                narrowed: narrowed.collect(),
                coefficients: vec![[0; 64]; n_kept],
                quant: None,
            }
        };
        Self {
            progressive: frame.progressive,
            planes: frame.components.iter().zip(layouts).map(plane).collect(),
        }
    }

    /// Keeps the quantisation tables that are current when a component's first scan begins (§B.2.4.1).
    fn begin(
        &mut self,
        frame: &Frame,
        header: &ScanHeader,
        quant: &[Option<QuantTable>; 4],
    ) -> Result<(), Rejection> {
        for component in &header.components {
            let kept = &mut self.planes[component.index].quant;
            if kept.is_none() {
                let table = quant.get(frame.components[component.index].quant);
                *kept = Some(table.copied().flatten().ok_or_else(|| {
                    Rejection::corrupt("JPEG scan uses a table that is not defined")
                })?);
            }
        }
        Ok(())
    }

    /// Transforms the blocks that had to wait for the last scan.
    pub(super) fn finish(mut self, go_on: GoOn<'_>) -> Result<Vec<Plane>, Rejection> {
        for plane in &mut self.planes {
            let coefficients = std::mem::take(&mut plane.coefficients);
            let Some(quant) = plane.quant.filter(|_| self.progressive) else {
                continue;
            };
            for (y, row) in coefficients.chunks(plane.across).enumerate() {
                go_on("decode")?;
                for (x, zigzagged) in row.iter().enumerate() {
                    let mut block = Block::EMPTY;
                    for (k, value) in zigzagged.iter().enumerate() {
                        if *value != 0 {
                            let at = usize::from(BY_COLUMN[k]);
                            block.coefficients[at] = f32::from(*value) * quant[at];
                            block.nonzero |= 1 << at;
                        }
                    }
                    plane.draw(&block, x, y);
                }
                plane.narrow(y);
            }
        }
        Ok(self.planes)
    }
}

impl Plane {
    /// The start of a row of blocks among the strips, and its number of columns.
    #[inline]
    fn strip(&self, y: usize) -> (usize, usize) {
        let stride = self.across * self.scale.across;
        // A division for each block would be measurable.
        let strip = if self.n_strips.is_power_of_two() {
            y & (self.n_strips - 1)
        } else {
            y % self.n_strips
        };
        (strip * stride, stride)
    }

    #[inline]
    fn draw(&mut self, block: &Block, x: usize, y: usize) {
        let n_columns = self.scale.across;
        let start = self.strip(y).0 + n_columns * x;
        let columns = &mut self.strips[start..][..n_columns];
        if self.scale.is_full() {
            block.draw(columns);
            return;
        }
        let shown = |side: usize, at: usize| side.saturating_sub(8 * at).min(8);
        let shown = (shown(self.shown.0, x), shown(self.shown.1, y));
        match shown {
            (8, 8) => block.draw_smaller(columns, &self.scale),
            (0, _) | (_, 0) => {}
            (across, down) => block
                .with_repeated_edges(across, down)
                .draw_smaller(columns, &self.scale),
        }
    }

    /// Narrows a row of blocks, once all of them are transformed.
    fn narrow(&mut self, y: usize) {
        let (start, stride) = self.strip(y);
        let strip = &self.strips[start..][..stride];
        let first = self.scale.down * y;
        let last = self.scaled.1.min(first + self.scale.down);
        for Narrowed { narrow, samples } in &mut self.narrowed {
            let width = narrow.width();
            if let Some(rows) = samples.get_mut(first * width..last * width) {
                narrow.run(strip, rows);
            }
        }
    }
}

/// Reads the blocks of one component in one scan.
struct Coder<'a> {
    kind: Kind<'a>,
    /// The component's index in the frame.
    component: usize,
    /// Blocks in an MCU, across and down.
    across: usize,
    down: usize,
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
    fn restart(&mut self) {
        (self.dc, self.ended) = (0, 0);
    }

    fn refines(&self) -> bool {
        matches!(self.kind, Kind::DcRefine | Kind::AcRefine { .. })
    }

    /// Reads and discards a block outside the picture.
    fn skip_block(&mut self, bits: &mut Bits<'_>, plane: &Plane) -> Result<(), Fault> {
        match self.kind {
            Kind::Sequential { dc, ac } => {
                let quant = plane.quant.as_ref().ok_or(Fault::NoCode)?;
                let mut block = Block::EMPTY;
                self.dc = read_sequential(bits, dc, ac, quant, self.dc, &mut block)?;
            }
            Kind::DcFirst { dc } => drop(bits.coefficient(dc)?),
            Kind::AcFirst { ac } => self.read_ac_first(ac, bits, &mut [0; 64])?,
            Kind::DcRefine | Kind::AcRefine { .. } => return Err(Fault::NoCode),
        }
        Ok(())
    }

    /// Reads the block at this position of the plane.
    #[inline]
    fn read_block(
        &mut self,
        bits: &mut Bits<'_>,
        plane: &mut Plane,
        x: usize,
        y: usize,
    ) -> Result<(), Fault> {
        if let Kind::Sequential { dc, ac } = self.kind {
            let mut block = Block::EMPTY;
            let quant = plane.quant.as_ref().ok_or(Fault::NoCode)?;
            self.dc = read_sequential(bits, dc, ac, quant, self.dc, &mut block)?;
            plane.draw(&block, x, y);
            return Ok(());
        }
        let at = y * plane.across + x;
        let block = plane.coefficients.get_mut(at).ok_or(Fault::NoCode)?;
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
    ) -> Result<(), Fault> {
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
                    return Err(Fault::NoCode);
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
    ) -> Result<(), Fault> {
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
                return Err(Fault::NoCode);
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
                    return Err(Fault::NoCode);
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
#[allow(clippy::inline_always)]
#[inline(always)]
fn read_sequential(
    bits: &mut Bits<'_>,
    dc: &Table,
    ac: &Table,
    quant: &QuantTable,
    last_dc: i32,
    block: &mut Block,
) -> Result<i32, Fault> {
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
                return Err(Fault::NoCode);
            };
            let at = usize::from(at & 63);
            // A coefficient has at most 15 bits, which a float holds exactly.
            #[allow(clippy::cast_precision_loss)]
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
        return Err(Fault::NoCode);
    }
    Ok(this_dc)
}

/// Adds one more bit to a coefficient, away from zero.
#[inline]
fn correct(bits: &mut Bits<'_>, coefficient: &mut i16, low: u8) -> Result<(), Fault> {
    if bits.bit()? {
        let bit = 1 << low;
        *coefficient = coefficient.saturating_add(if *coefficient < 0 { -bit } else { bit });
    }
    Ok(())
}

/// A coefficient as stored. Only invalid values are larger.
fn narrowed(value: i32) -> i16 {
    // Within the bounds just set.
    #[allow(clippy::cast_possible_truncation)]
    {
        value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

/// The meaning of a fault, which depends on what follows the data.
fn explain(fault: Fault, bits: &mut Bits<'_>) -> Rejection {
    match (fault, bits.marker()) {
        (Fault::NoCode, _) => Rejection::corrupt("JPEG scan has an invalid code"),
        (Fault::Exhausted, Some((0xd0..=0xd7, _))) => {
            Rejection::corrupt("JPEG restart interval lacks blocks")
        }
        (Fault::Exhausted, _) => Rejection::Truncated("JPEG scan ends before its last block"),
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
    planes: &[Plane],
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
fn is_blocks(coders: &mut [Coder<'_>], mut bits: Bits<'_>, stray: &[u8], planes: &[Plane]) -> bool {
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
                    Err(Fault::Exhausted) => return before.is_padding(),
                    Err(Fault::NoCode) => return false,
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

/// jpegtran's and mozjpeg's scripts have 10 to 20 scans. A few KB can announce thousands.
const MOST_SCANS: usize = 100;

/// A 50-megapixel picture of ten scans without subsampling visits 11 million blocks; each takes 20 to
/// 100 ns.
const MOST_BLOCKS: u64 = 32_000_000;

/// Sixteen zeros and no coefficient after them (ZRL).
const ZERO_RUN: u8 = 0xf0;

/// The positions of a block's coefficients, in the order of transmission (figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The same, for blocks stored column by column.
pub(super) const BY_COLUMN: [u8; 64] = {
    let mut by_column = [0; 64];
    let mut k = 0;
    while k < 64 {
        by_column[k] = ZIGZAG[k] % 8 * 8 + ZIGZAG[k] / 8;
        k += 1;
    }
    by_column
};
