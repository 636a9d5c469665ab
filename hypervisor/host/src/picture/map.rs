//! Memory as a map of glyphs, lowest address first.

use core::fmt::{self, Write};

use godwit_frames::{BlockState, BlockView, HostFrame, Mobility};

use super::BLOCK_FRAMES;
use crate::size::Size;

/// Glyphs in a row; every [`GROUP`] of them a space follows.
const ROW_CELLS: usize = 64;
const GROUP: usize = 16;
/// Rows that a map has at most, holes left out.
const MAX_ROWS: u64 = 16;

/// What each glyph means, in the order of the legend.
const LEGEND: [(char, &str); 7] = [
    ('.', "free"),
    (':', "little used"),
    ('+', "partly used"),
    ('#', "full"),
    ('u', "partly unmovable"),
    ('U', "unmovable"),
    ('x', "reserved"),
];

/// The blocks that one glyph stands for.
#[derive(Clone, Copy, Default)]
struct Cell {
    /// Blocks that are not wholly reserved.
    blocks: u32,
    /// 0 for each free block, 1 for each partly used one, 2 for each full one.
    taken: u32,
    /// Blocks with unmovable frames in use.
    pinned: u32,
    /// Blocks that are wholly reserved.
    reserved: u32,
}

impl Cell {
    fn add(&mut self, view: &BlockView) {
        let taken = match view.state() {
            BlockState::Reserved => {
                self.reserved += 1;
                return;
            }
            BlockState::Free => 0,
            BlockState::Partial => 1,
            BlockState::Full => 2,
        };
        self.blocks += 1;
        self.taken += taken;
        self.pinned += u32::from(taken > 0 && view.mobility == Mobility::Unmovable);
    }

    /// The cell's glyph: how far its blocks are from free on average, and whether something in it cannot be moved.
    fn glyph(&self) -> char {
        let full = 2 * self.taken >= 3 * self.blocks;
        match (self.blocks, self.taken) {
            (0, _) if self.reserved > 0 => 'x',
            (0, _) => ' ',
            (_, 0) => '.',
            _ if self.pinned > 0 => {
                if full {
                    'U'
                } else {
                    'u'
                }
            }
            _ if full => '#',
            (blocks, taken) if 2 * taken >= blocks => '+',
            _ => ':',
        }
    }
}

/// Collects cells into a row and writes rows that hold memory.
struct Rows<'w, W> {
    out: &'w mut W,
    blocks_per_cell: u64,
    /// Which row is being collected; rows are counted from address 0.
    row: Option<u64>,
    cells: [Cell; ROW_CELLS],
    /// The first row that was left out for holding nothing but reserved memory.
    gap: Option<u64>,
    seen: [bool; LEGEND.len()],
}

impl<W: Write> Rows<'_, W> {
    fn address(&self, row: u64) -> u64 {
        let block = row.saturating_mul(ROW_CELLS as u64).saturating_mul(self.blocks_per_cell);
        HostFrame::new(block.saturating_mul(BLOCK_FRAMES)).address()
    }

    fn add(&mut self, view: &BlockView) -> fmt::Result {
        let cell = view.start.number() / BLOCK_FRAMES / self.blocks_per_cell;
        let row = cell / ROW_CELLS as u64;
        if self.row != Some(row) {
            self.end_row()?;
            self.row = Some(row);
        }
        if let Some(place) = self.cells.get_mut((cell % ROW_CELLS as u64) as usize) {
            place.add(view);
        }
        Ok(())
    }

    fn end_row(&mut self) -> fmt::Result {
        let Some(row) = self.row.take() else { return Ok(()) };
        let cells = core::mem::replace(&mut self.cells, [Cell::default(); ROW_CELLS]);
        if cells.iter().all(|cell| cell.blocks == 0) {
            self.gap.get_or_insert(row);
            return Ok(());
        }
        if let Some(first) = self.gap.take() {
            let bytes = self.address(row).saturating_sub(self.address(first));
            writeln!(self.out, "  {:14}  ({} reserved or no memory)", "", Size::from_bytes(bytes))?;
        }
        write!(self.out, "  {:#014x}  ", self.address(row))?;
        let last = cells.iter().rposition(|cell| cell.glyph() != ' ').unwrap_or(0);
        for (index, cell) in cells.iter().take(last + 1).enumerate() {
            if index > 0 && index.is_multiple_of(GROUP) {
                self.out.write_char(' ')?;
            }
            let glyph = cell.glyph();
            for (seen, (known, _)) in self.seen.iter_mut().zip(LEGEND) {
                *seen |= known == glyph;
            }
            self.out.write_char(glyph)?;
        }
        self.out.write_char('\n')
    }
}

/// Draws `blocks`, of which there are `block_count`, in at most 16 rows of 64 glyphs and 88 columns, with a scale and a
/// legend of the glyphs that occur.
///
/// A glyph stands for a power of two of 2 MiB blocks. Rows of nothing but reserved memory are folded into one line.
///
/// # Errors
/// Those of `out`.
pub fn write_map(
    out: &mut impl Write,
    blocks: impl Iterator<Item = BlockView>,
    block_count: u64,
) -> fmt::Result {
    let blocks_per_cell = block_count.div_ceil(ROW_CELLS as u64 * MAX_ROWS).max(1).next_power_of_two();
    let scale = Size::from_frames(blocks_per_cell * BLOCK_FRAMES);
    writeln!(
        out,
        "  each glyph is {scale}, each row {}",
        Size::from_frames(blocks_per_cell * BLOCK_FRAMES * 64)
    )?;
    let mut rows = Rows {
        out,
        blocks_per_cell,
        row: None,
        cells: [Cell::default(); ROW_CELLS],
        gap: None,
        seen: [false; LEGEND.len()],
    };
    for view in blocks {
        rows.add(&view)?;
    }
    rows.end_row()?;
    let Rows { out, seen, .. } = rows;
    for ((glyph, meaning), _) in LEGEND.iter().zip(seen).filter(|(_, seen)| *seen) {
        write!(out, "  {glyph} {meaning}")?;
    }
    out.write_char('\n')
}
