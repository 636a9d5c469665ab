//! The memory of hosts before and after as an SVG picture: one small square for each 2 MiB block.

use std::fmt::Write;

use godwit_lab::{Block, RawFrames};

use super::moment::Moment;

/// Blocks in a row, and pictures of a moment beside each other.
const ROW_BLOCKS: u64 = 32;
const ACROSS: usize = 2;
/// Pixels from one block to the next, and of a block's side.
const STEP: u64 = 11;
const SIDE: u64 = 9;
/// Pixels around everything, between moments, above their blocks and below them.
const MARGIN: u64 = 24;
const GUTTER: u64 = 110;
const HEAD: u64 = 48;
const FOOT: u64 = 28;
/// Pixels from one text of the legend to the next.
const LEGEND_STEP: u64 = 130;
/// Rows that a moment has at most; of a larger host the picture shows the first ones and says so.
const MAX_ROWS: u64 = 512;

/// What a square stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Square {
    /// Memory of the guest that moves.
    Guest,
    /// Anything else.
    Other(Block),
}

/// Rows of blocks of one moment: the address of the row, and what stands in it.
type Row = (u64, Vec<Option<Square>>);

/// Draws the moments, two beside each other.
pub(super) fn svg(guest: &str, moments: &[Moment]) -> String {
    let drawn: Vec<_> = moments.iter().map(|moment| (moment, rows(moment))).collect();
    let width = 2 * MARGIN + (GUTTER + ROW_BLOCKS * STEP) * ACROSS as u64;
    let mut body = String::new();
    let mut top = MARGIN;
    for line in drawn.chunks(ACROSS) {
        for (index, (moment, rows)) in line.iter().enumerate() {
            let left = MARGIN + index as u64 * (GUTTER + ROW_BLOCKS * STEP);
            panel(&mut body, left, top, moment, rows);
        }
        let most_rows = line.iter().map(|(_, rows)| rows.len() as u64).max().unwrap_or(0).min(MAX_ROWS);
        top += HEAD + most_rows * STEP + FOOT;
    }
    legend(&mut body, MARGIN + GUTTER, top, guest);
    let height = top + STEP + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n<defs>\n"
    );
    // A square is drawn once for each kind, and used wherever there is one.
    for square in squares() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<rect id=\"{}\" width=\"{SIDE}\" height=\"{SIDE}\" rx=\"1.5\" fill=\"{}\"/>",
            id(square),
            colour(square)
        );
    }
    svg + "</defs>\n" + &body + "</svg>\n"
}

fn panel(svg: &mut String, left: u64, top: u64, moment: &Moment, rows: &[Row]) {
    let blocks_left = left + GUTTER - MARGIN;
    let mut line = |y: u64, size: u64, text: &str| {
        let _ = writeln!(
            svg,
            "<text x=\"{blocks_left}\" y=\"{y}\" font-size=\"{size}\">{}</text>",
            escaped(text)
        );
    };
    line(top + 16, 18, &format!("{}, {}", moment.host, moment.when));
    let left_out = (rows.len() as u64).saturating_sub(MAX_ROWS);
    let more = if left_out > 0 { format!("; {left_out} more rows are not shown") } else { String::new() };
    let (free, all) = (moment.frames.free_blocks(), moment.frames.memory_blocks());
    line(top + 36, 12, &format!("{free} of {all} blocks of 2 MiB are free in one piece{more}"));
    for (row, (address, blocks)) in rows.iter().take(MAX_ROWS as usize).enumerate() {
        let y = top + HEAD + row as u64 * STEP;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"9\" fill=\"#6e7781\" \
             font-family=\"monospace\">{address:#x}</text>",
            blocks_left - 8,
            y + SIDE
        );
        for (column, square) in blocks.iter().enumerate() {
            if let Some(square) = square {
                place(svg, blocks_left + column as u64 * STEP, y, *square);
            }
        }
    }
}

fn legend(svg: &mut String, left: u64, top: u64, guest: &str) {
    for (index, square) in squares().enumerate() {
        let x = left - MARGIN + index as u64 * LEGEND_STEP;
        place(svg, x, top, square);
        let text = match square {
            Square::Guest => format!("guest {guest}"),
            Square::Other(block) => block.to_string(),
        };
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", x + STEP + 4, top + SIDE, escaped(&text));
    }
}

fn place(svg: &mut String, x: u64, y: u64, square: Square) {
    let _ = writeln!(svg, "<use href=\"#{}\" x=\"{x}\" y=\"{y}\"/>", id(square));
}

/// Every kind, in the order of the legend.
fn squares() -> impl Iterator<Item = Square> {
    std::iter::once(Square::Guest).chain(Block::ALL.into_iter().map(Square::Other))
}

fn id(square: Square) -> &'static str {
    match square {
        Square::Guest => "g",
        Square::Other(Block::Free) => "f",
        Square::Other(Block::PartlyMovable) => "m",
        Square::Other(Block::Movable) => "M",
        Square::Other(Block::PartlyUnmovable) => "u",
        Square::Other(Block::Unmovable) => "U",
        Square::Other(Block::Reserved) => "x",
    }
}

/// Free is light, full is dark, what must stay is warm: told apart without colours as well.
fn colour(square: Square) -> &'static str {
    match square {
        Square::Guest => "#1a7f37",
        Square::Other(Block::Free) => "#b6e3ff",
        Square::Other(Block::PartlyMovable) => "#4aa3df",
        Square::Other(Block::Movable) => "#0a4b78",
        Square::Other(Block::PartlyUnmovable) => "#f5a04c",
        Square::Other(Block::Unmovable) => "#a33a00",
        Square::Other(Block::Reserved) => "#d8dee4",
    }
}

/// The blocks in rows of [`ROW_BLOCKS`] by address; rows without memory are left out.
fn rows(moment: &Moment) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (address, block) in moment.frames.blocks() {
        let number = address / RawFrames::BLOCK_BYTES;
        let start = (number - number % ROW_BLOCKS) * RawFrames::BLOCK_BYTES;
        if rows.last().is_none_or(|(last, _)| *last != start) {
            rows.push((start, vec![None; ROW_BLOCKS as usize]));
        }
        let is_guest = moment.guest.as_ref().is_some_and(|guest| guest.is_in(address));
        let square = if is_guest { Square::Guest } else { Square::Other(block) };
        if let Some((_, blocks)) = rows.last_mut() {
            blocks[(number % ROW_BLOCKS) as usize] = Some(square);
        }
    }
    rows.retain(|(_, blocks)| {
        blocks.iter().flatten().any(|square| *square != Square::Other(Block::Reserved))
    });
    rows
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tests::moments;

    #[test]
    fn every_block_is_a_square() {
        let mut moments = moments();
        moments[0].host = "a<b".to_owned();
        let picture = svg("web-1", &moments);
        let used = |square| picture.matches(&format!("href=\"#{}\"", id(square))).count();
        // Once in the legend, and as often in each of the two moments.
        assert_eq!(used(Square::Other(Block::Free)), 1 + 2 * 3);
        assert_eq!(used(Square::Other(Block::Unmovable)), 1 + 2);
        // The block that is full on both hosts is the guest's on the first.
        assert_eq!((used(Square::Guest), used(Square::Other(Block::Movable))), (1 + 1, 1 + 1));
        assert!(picture.contains("a&lt;b, before") && picture.contains("0x40000000"), "{picture}");
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
    }

    #[test]
    fn rows_without_memory_are_left_out() {
        let frames = RawFrames::parse(
            "frames raw 1 report total=512 free=512 largest=512 runs=0\n\
             frames raw 1 blocks at=0x0 rle=x32f1x31x32\nframes raw 1 end blocks=96\n",
        )
        .unwrap();
        let rows = rows(&Moment { frames, ..Moment::default() });
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].0, 32 * RawFrames::BLOCK_BYTES);
        assert_eq!(rows[0].1[0], Some(Square::Other(Block::Free)));
    }
}
