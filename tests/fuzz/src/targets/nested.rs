//! Second-level tables under any sequence of operations, beside a plain list of what is mapped.

use std::collections::{BTreeMap, HashSet};

use godwit_frames::{FrameRange, HostFrame, Order};
use godwit_nested::{Change, Ept, Format, Mark, NestedTables, Npt, Rights, TableMemory};

use crate::{Input, Kind, Script, Target};

/// Mapping, splitting, merging, protecting and harvesting in any order.
pub(super) const TARGET: Target =
    Target { name: "nested", kind: Kind::Outside, run, corpus, max_bytes: 256, executions: 60_000 };

/// Operations of one execution at most.
const MAX_OPERATIONS: usize = 24;
/// The largest range that an operation names: a leaf of 1 GiB and a bit.
const MAX_FRAMES: u64 = (1 << 18) + 1024;
/// Tables there are at most: sometimes there is no memory for one.
const MAX_TABLES: usize = 24;
/// Guest addresses that ranges begin near.
const PLACES: [u64; 8] =
    [0, 512, 1 << 18, (1 << 18) - 512, 2 << 18, (1 << 27) - 512, (1 << 36) - (1 << 18), (1 << 36) - 1];

/// Tables in a map; checks that no other is ever named.
#[derive(Default)]
struct Tables {
    tables: Vec<Option<Box<[u64; 512]>>>,
    count: usize,
}

impl Tables {
    fn table(&self, table: HostFrame) -> &[u64; 512] {
        self.tables[table.number() as usize].as_deref().expect("only tables that were allocated are named")
    }
    fn entry(&mut self, table: HostFrame, index: usize) -> &mut u64 {
        &mut self.tables[table.number() as usize]
            .as_deref_mut()
            .expect("only tables that were allocated are named")[index]
    }
}

impl TableMemory for Tables {
    fn load(&self, table: HostFrame, index: usize) -> u64 {
        self.table(table)[index]
    }
    fn store(&mut self, table: HostFrame, index: usize, entry: u64) {
        *self.entry(table, index) = entry;
    }
    fn clear(&mut self, table: HostFrame, index: usize, mask: u64) -> u64 {
        let entry = self.entry(table, index);
        let before = *entry;
        *entry &= !mask;
        before
    }
    fn allocate(&mut self) -> Option<HostFrame> {
        if self.count >= MAX_TABLES {
            return None;
        }
        self.count += 1;
        self.tables.push(Some(Box::new([0; 512])));
        Some(HostFrame::new(self.tables.len() as u64 - 1))
    }
    fn free(&mut self, table: HostFrame) {
        let freed = self.tables.get_mut(table.number() as usize).and_then(Option::take);
        assert!(freed.is_some(), "a table is freed once");
        self.count -= 1;
    }
}

/// What is mapped: where a piece ends, where it leads, and with which rights. Pieces do not overlap.
#[derive(Clone, Default)]
struct Pieces(BTreeMap<u64, (u64, u64, Rights)>);

impl Pieces {
    /// Makes a piece begin at `at`, where one covers it.
    fn cut(&mut self, at: u64) {
        let Some((&start, &(end, host, rights))) = self.0.range(..at).next_back() else { return };
        if at < end {
            self.0.insert(start, (at, host, rights));
            self.0.insert(at, (end, host + (at - start), rights));
        }
    }

    /// The pieces of a range, as whole ones.
    fn within(&mut self, range: &std::ops::Range<u64>) -> Vec<u64> {
        self.cut(range.start);
        self.cut(range.end);
        if range.is_empty() {
            Vec::new()
        } else {
            self.0.range(range.clone()).map(|(start, _)| *start).collect()
        }
    }

    fn at(&self, frame: u64) -> Option<(u64, Rights)> {
        let (start, (end, host, rights)) = self.0.range(..=frame).next_back()?;
        (frame < *end).then(|| (host + (frame - start), *rights))
    }

    fn frames(&self) -> u64 {
        self.0.iter().map(|(start, (end, ..))| end - start).sum()
    }
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    if input.flag() { operate::<Ept>(&mut input) } else { operate::<Npt>(&mut input) }
}

fn operate<F: Format>(input: &mut Input<'_>) {
    let mut memory = Tables::default();
    let largest = Order::new(input.pick(&[18, 9, 0, 12])).expect("there are such orders");
    let Ok(mut tables) = NestedTables::<F>::new(&mut memory, largest) else { return };
    let mut pieces = Pieces::default();
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let operation = input.below(8);
        let start = input.pick(&PLACES).wrapping_add_signed(i64::from(input.number() as i16));
        let frames = input.number().min(MAX_FRAMES);
        let range = start..start.saturating_add(frames);
        let rights = Rights::from_bits_truncate(input.byte());
        match operation {
            0..3 => map(&mut tables, &mut memory, &mut pieces, input, &range, rights),
            3 => {
                if tables.unmap(&mut memory, range.clone()).is_ok() {
                    for start in pieces.within(&range) {
                        pieces.0.remove(&start);
                    }
                }
            }
            4 => {
                if tables.protect(&mut memory, range.clone(), rights).is_ok() {
                    for start in pieces.within(&range) {
                        if let Some(piece) = pieces.0.get_mut(&start) {
                            piece.2 = rights;
                        }
                    }
                }
            }
            5 => {
                let to = Order::new(input.pick(&[0, 9, 18])).expect("there are such orders");
                let _: Result<Change, _> = tables.split(&mut memory, start, to);
            }
            6 => {
                let _: Change = tables.merge_range(&mut memory, range);
            }
            _ => {
                let mut named = HashSet::new();
                let mark = input.pick(&[Mark::Dirty, Mark::Accessed]);
                let _: Change = tables.harvest(&mut memory, range, mark, |frame, _| {
                    assert!(named.insert(frame), "a leaf is named once");
                });
            }
        }
        check(&tables, &memory, &mut pieces, start);
    }
    tables.destroy(&mut memory);
    assert!(memory.count == 0, "no table is left over");
}

fn map<F: Format>(
    tables: &mut NestedTables<F>,
    memory: &mut Tables,
    pieces: &mut Pieces,
    input: &mut Input<'_>,
    range: &std::ops::Range<u64>,
    rights: Rights,
) {
    let host = FrameRange::new(HostFrame::new(input.number()), range.end - range.start);
    if tables.map(memory, range.start, host, rights).is_ok() && host.frames > 0 {
        assert!(pieces.within(range).is_empty(), "what is mapped was mapped over");
        pieces.0.insert(range.start, (range.end, host.start.number(), rights));
    }
}

/// The tables map what the list says, at both ends of each piece and beside them.
fn check<F: Format>(tables: &NestedTables<F>, memory: &Tables, pieces: &mut Pieces, near: u64) {
    let ends = pieces.0.iter().flat_map(|(start, (end, ..))| [start.wrapping_sub(1), *start, end - 1, *end]);
    for frame in ends.chain([near]).collect::<Vec<_>>() {
        let leaf = tables.lookup(memory, frame);
        let found = leaf.and_then(|leaf| Some((leaf.translate(frame)?.number(), leaf.rights)));
        assert_eq!(found, pieces.at(frame), "guest frame {frame:#x}");
    }
    assert_eq!(tables.histogram().bytes(), pieces.frames() * 4096, "the histogram counts what is mapped");
    assert_eq!(tables.table_frames(), memory.count as u64, "tables are counted");
}

fn corpus() -> Vec<Vec<u8>> {
    let operation = |script: Script, operation: u8, place: u8, frames: u64| {
        script.byte(operation).byte(place).number(0).number(frames).byte(3)
    };
    let mut inputs = Vec::new();
    for format in 0..2 {
        for largest in 0..3 {
            let mapped = operation(Script::new().byte(format).byte(largest), 0, 0, 1 << 18).number(1 << 18);
            let split = operation(mapped, 5, 0, 1).byte(0);
            let harvested = operation(split, 7, 0, 1 << 18).byte(0);
            let protected = operation(harvested, 4, 1, 700);
            let merged = operation(protected, 6, 0, 1 << 18);
            let again = operation(merged, 1, 2, 512).number(512);
            inputs.push(operation(again, 3, 0, 513).end());
        }
    }
    inputs
}
