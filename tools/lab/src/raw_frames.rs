//! Reads what the monitor's `frames raw` prints: a host's memory, block by block.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

/// Every line starts with this; the number is the version.
const PREFIX: &str = "frames raw 1 ";
/// Blocks of 1 TiB, more than the lab emulates: a count beyond it is nonsense.
const MAX_BLOCKS: usize = 1 << 19;

/// What a 2 MiB block of a host's memory holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    /// Nothing: it can back a large page.
    Free,
    /// Some frames that can be moved away.
    PartlyMovable,
    /// Only frames that can be moved away.
    Movable,
    /// Some frames that must stay.
    PartlyUnmovable,
    /// Only frames that must stay.
    Unmovable,
    /// No memory for anybody: firmware, the image, a hole.
    Reserved,
}

/// A host's memory at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawFrames {
    /// Frames that the host's allocator manages.
    pub total_frames: u64,
    /// Those of them that are free.
    pub free_frames: u64,
    /// Frames of the longest run that is free in one piece.
    pub largest_frames: u64,
    /// Free runs that are as large as a buddy can be, by order.
    pub runs: Vec<u64>,
    /// Stretches of blocks: the address of the first one, and all of them.
    pub stretches: Vec<(u64, Vec<Block>)>,
}

impl RawFrames {
    /// Bytes of a frame.
    pub const FRAME_BYTES: u64 = 4096;
    /// Bytes of a block.
    pub const BLOCK_BYTES: u64 = 2 << 20;

    /// Reads the lines of `frames raw`; others between them are passed over.
    ///
    /// # Errors
    /// A line is not understood, or one is missing.
    pub fn parse(output: &str) -> Result<Self> {
        let mut frames = Self::default();
        let mut reported = false;
        for line in output.lines().filter_map(|line| line.strip_prefix(PREFIX)) {
            let (kind, fields) = line.split_once(' ').with_context(|| format!("no fields in `{line}`"))?;
            match kind {
                "report" => {
                    frames.total_frames = number(fields, "total")?;
                    frames.free_frames = number(fields, "free")?;
                    frames.largest_frames = number(fields, "largest")?;
                    let runs = field(fields, "runs")?.split(',').map(str::parse);
                    frames.runs =
                        runs.collect::<Result<_, _>>().with_context(|| format!("runs in `{line}`"))?;
                    reported = true;
                }
                "blocks" => {
                    let at = field(fields, "at")?.trim_start_matches("0x");
                    let at = u64::from_str_radix(at, 16).with_context(|| format!("address in `{line}`"))?;
                    let blocks =
                        blocks(field(fields, "rle")?).with_context(|| format!("blocks in `{line}`"))?;
                    frames.stretches.push((at, blocks));
                }
                "end" => {
                    let (expected, read) = (number(fields, "blocks")?, frames.blocks().count() as u64);
                    ensure!(reported, "no line `{PREFIX}report`");
                    ensure!(expected == read, "{read} blocks were read, the host has {expected}");
                    return Ok(frames);
                }
                _ => bail!("unknown line `{PREFIX}{line}`"),
            }
        }
        bail!("no line `{PREFIX}end`")
    }

    /// Every block, by address.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, Block)> {
        self.stretches
            .iter()
            .flat_map(|(at, blocks)| (*at..).step_by(Self::BLOCK_BYTES as usize).zip(blocks.iter().copied()))
    }

    /// Blocks that are free in one piece.
    pub fn free_blocks(&self) -> usize {
        self.blocks().filter(|(_, block)| *block == Block::Free).count()
    }

    /// Blocks that are free or hold something.
    pub fn memory_blocks(&self) -> usize {
        self.blocks().filter(|(_, block)| *block != Block::Reserved).count()
    }
}

impl Block {
    /// Every kind, in the order of a legend.
    pub const ALL: [Self; 6] = [
        Self::Free,
        Self::PartlyMovable,
        Self::Movable,
        Self::PartlyUnmovable,
        Self::Unmovable,
        Self::Reserved,
    ];

    fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'f' => Self::Free,
            'm' => Self::PartlyMovable,
            'M' => Self::Movable,
            'u' => Self::PartlyUnmovable,
            'U' => Self::Unmovable,
            'x' => Self::Reserved,
            _ => return None,
        })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Free => "free",
            Self::PartlyMovable => "partly used",
            Self::Movable => "full",
            Self::PartlyUnmovable => "partly unmovable",
            Self::Unmovable => "unmovable",
            Self::Reserved => "reserved",
        })
    }
}

fn field<'a>(fields: &'a str, name: &str) -> Result<&'a str> {
    let mut words = fields.split_whitespace().filter_map(|word| word.split_once('='));
    words
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .with_context(|| format!("no `{name}=` in `{fields}`"))
}

fn number(fields: &str, name: &str) -> Result<u64> {
    field(fields, name)?.parse().with_context(|| format!("`{name}=` in `{fields}`"))
}

/// Letters, each with how often it stands there: `f3m1`.
fn blocks(mut text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    while let Some(letter) = text.chars().next() {
        let block = Block::from_letter(letter).with_context(|| format!("unknown letter `{letter}`"))?;
        text = &text[letter.len_utf8()..];
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: usize = text[..digits].parse().with_context(|| format!("no count after `{letter}`"))?;
        ensure!(count <= MAX_BLOCKS - blocks.len(), "more than {MAX_BLOCKS} blocks");
        blocks.extend(std::iter::repeat_n(block, count));
        text = &text[digits..];
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with eight blocks, and a hole between them.
    const EIGHT_BLOCKS: &str = "\
        frames raw 1 report total=3072 free=2000 cached=64 largest=1024 runs=1,0,0,0,0,0,0,0,0,3\n\
        frames raw 1 blocks at=0x0 rle=x1u1f2\n\
        [    1.0] cpu0 info  a line between\n\
        frames raw 1 blocks at=0x40000000 rle=f1m1M1U1\n\
        frames raw 1 end blocks=8\n";

    #[test]
    fn reads_what_the_host_says() {
        let frames = RawFrames::parse(EIGHT_BLOCKS).unwrap();
        assert_eq!((frames.total_frames, frames.free_frames, frames.largest_frames), (3072, 2000, 1024));
        assert_eq!((frames.runs.len(), frames.runs[9]), (10, 3));
        assert_eq!((frames.free_blocks(), frames.memory_blocks()), (3, 7));
        let blocks: Vec<_> = frames.blocks().collect();
        assert_eq!(blocks[1], (0x20_0000, Block::PartlyUnmovable));
        assert_eq!(blocks[4], (0x4000_0000, Block::Free));
        assert_eq!(blocks[7], (0x4060_0000, Block::Unmovable));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (from, to, word) in [
            ("end blocks=8", "end blocks=9", "8 blocks were read"),
            ("frames raw 1 end blocks=8\n", "", "no line"),
            ("rle=f1m1", "rle=f1q1", "`q`"),
            ("rle=f1m1", "rle=f1m", "no count"),
            ("rle=f1m1", "rle=f99999999999", "more than"),
            ("total=3072", "total=many", "`total=`"),
            ("largest=1024", "", "no `largest=`"),
            ("at=0x40000000", "at=0xq", "address"),
            ("1 report", "1 surprise", "unknown line"),
        ] {
            let error = format!("{:#}", RawFrames::parse(&EIGHT_BLOCKS.replace(from, to)).unwrap_err());
            assert!(error.contains(word), "{from}: `{word}` is not in: {error}");
        }
    }
}
