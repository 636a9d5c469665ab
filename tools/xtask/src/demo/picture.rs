//! The memory of several hosts as an SVG picture: one small square for each 2 MiB block.

use std::fmt::Write;

use godwit_lab::{Block, RawFrames};

/// Blocks in a row.
const ROW_BLOCKS: u64 = 32;
/// Pixels from one block to the next, and of a block's side.
const STEP: u64 = 11;
const SIDE: u64 = 9;
/// Pixels around everything, between hosts, and above the blocks.
const MARGIN: u64 = 24;
const GUTTER: u64 = 110;
const HEAD: u64 = 64;
/// Rows that a picture has at most; of a larger host it shows the first ones and says so.
const MAX_ROWS: u64 = 512;

/// Rows of blocks of one host: the address of the row, and what stands in it.
type Row = (u64, Vec<Option<Block>>);

/// Draws the hosts beside each other.
pub(super) fn svg(hosts: &[(String, RawFrames)]) -> String {
    let drawn: Vec<_> = hosts.iter().map(|(name, frames)| (name, frames, rows(frames))).collect();
    let most_rows = drawn.iter().map(|(.., rows)| rows.len() as u64).max().unwrap_or(0).min(MAX_ROWS);
    let host_width = GUTTER + ROW_BLOCKS * STEP;
    let width = 2 * MARGIN + host_width * hosts.len() as u64;
    let legend_at = MARGIN + HEAD + most_rows * STEP + 30;
    let height = legend_at + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (index, (name, frames, rows)) in drawn.iter().enumerate() {
        let left = MARGIN + index as u64 * host_width;
        host(&mut svg, left, name, frames, rows);
    }
    legend(&mut svg, MARGIN + GUTTER, legend_at);
    svg + "</svg>\n"
}

fn host(svg: &mut String, left: u64, name: &str, frames: &RawFrames, rows: &[Row]) {
    let blocks_left = left + GUTTER - MARGIN;
    let mut line = |y: u64, size: u64, text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{blocks_left}\" y=\"{y}\" font-size=\"{size}\">{}</text>",
            escaped(text)
        );
    };
    line(MARGIN + 16, 18, name);
    let free = format!(
        "{} of {} blocks of 2 MiB are free in one piece",
        frames.free_blocks(),
        frames.memory_blocks()
    );
    line(MARGIN + 36, 12, &free);
    let left_out = rows.len().saturating_sub(MAX_ROWS as usize);
    if left_out > 0 {
        line(MARGIN + 52, 12, &format!("{left_out} more rows are not shown"));
    }
    for (row, (address, blocks)) in rows.iter().take(MAX_ROWS as usize).enumerate() {
        let top = MARGIN + HEAD + row as u64 * STEP;
        let (label_x, label_y) = (blocks_left - 8, top + SIDE);
        let _ = writeln!(
            svg,
            "<text x=\"{label_x}\" y=\"{label_y}\" text-anchor=\"end\" font-size=\"9\" fill=\"#6e7781\" \
             font-family=\"monospace\">{address:#x}</text>"
        );
        for (column, block) in blocks.iter().enumerate() {
            if let Some(block) = block {
                let x = blocks_left + column as u64 * STEP;
                square(svg, x, top, *block);
            }
        }
    }
}

fn legend(svg: &mut String, left: u64, top: u64) {
    for (index, block) in Block::ALL.into_iter().enumerate() {
        let x = left - MARGIN + index as u64 * 130;
        square(svg, x, top, block);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{block}</text>", x + STEP + 4, top + SIDE);
    }
}

fn square(svg: &mut String, x: u64, y: u64, block: Block) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" rx=\"1.5\" fill=\"{}\"/>",
        colour(block)
    );
}

/// Free is light, full is dark, what must stay is warm: told apart without colours as well.
fn colour(block: Block) -> &'static str {
    match block {
        Block::Free => "#b6e3ff",
        Block::PartlyMovable => "#4aa3df",
        Block::Movable => "#0a4b78",
        Block::PartlyUnmovable => "#f5a04c",
        Block::Unmovable => "#a33a00",
        Block::Reserved => "#d8dee4",
    }
}

/// The blocks in rows of [`ROW_BLOCKS`] by address; rows without memory are left out.
fn rows(frames: &RawFrames) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (address, block) in frames.blocks() {
        let number = address / RawFrames::BLOCK_BYTES;
        let start = (number - number % ROW_BLOCKS) * RawFrames::BLOCK_BYTES;
        if rows.last().is_none_or(|(last, _)| *last != start) {
            rows.push((start, vec![None; ROW_BLOCKS as usize]));
        }
        if let Some((_, blocks)) = rows.last_mut() {
            blocks[(number % ROW_BLOCKS) as usize] = Some(block);
        }
    }
    rows.retain(|(_, blocks)| blocks.iter().any(|block| block.is_some_and(|block| block != Block::Reserved)));
    rows
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tests::EIGHT_BLOCKS;

    #[test]
    fn every_block_is_a_square() {
        let frames = RawFrames::parse(EIGHT_BLOCKS).unwrap();
        let picture = svg(&[("a<b".to_owned(), frames.clone()), ("c".to_owned(), frames)]);
        let squares = |block| picture.matches(&format!("fill=\"{}\"", colour(block))).count();
        // Once in the legend, and as often in each of the two hosts.
        assert_eq!(squares(Block::Free), 1 + 2 * 3);
        assert_eq!(squares(Block::Unmovable), 1 + 2);
        assert!(picture.contains("a&lt;b") && picture.contains("0x40000000"), "{picture}");
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
        let rows = rows(&frames);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].0, rows[0].1[0]), (32 * RawFrames::BLOCK_BYTES, Some(Block::Free)));
    }
}
