//! What firmware and a boot loader leave in memory: start_info, the memory map, ACPI tables.

use godwit_host::boot::{MAX_REGIONS, MemoryMap, MemoryRegion, RegionKind};
use godwit_machine::{
    acpi::Platform,
    boot::pvh::start_info,
    physical::{PhysicalMemory, Unreadable},
};

use crate::{Input, Kind, Script, Target};

/// Structures in memory, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "firmware", kind: Kind::Outside, run, corpus, max_bytes: 2048, executions: 80_000 };

/// Frames up to the highest physical address.
const END_FRAME: u64 = 1 << 40;

/// Pieces of readable memory.
struct Memory(Vec<(u64, Vec<u8>)>);

impl Memory {
    /// Pieces by address and content. Most of them are made tables with a right checksum: else no mutation gets far.
    fn read(input: &mut Input<'_>) -> Self {
        let mut pieces = Vec::new();
        for _ in 0..input.below(16) {
            let address = input.number();
            let mended = input.byte();
            let mut bytes = input.counted(512).to_vec();
            match mended % 4 {
                0 => {}
                // A table: checksum at 9. A root pointer: at 8 for 20 bytes, at 32 for all.
                1 => mend(&mut bytes, 9),
                _ => {
                    if let Some(first) = bytes.get_mut(..20) {
                        mend(first, 8);
                    }
                    mend(&mut bytes, 32);
                }
            }
            pieces.push((address, bytes));
        }
        Self(pieces)
    }
}

/// Makes the sum of all bytes zero by the one at `at`.
fn mend(bytes: &mut [u8], at: usize) {
    let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if let Some(byte) = bytes.get_mut(at) {
        *byte = byte.wrapping_sub(sum);
    }
}

impl PhysicalMemory for Memory {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Unreadable> {
        let found = self.0.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(out.len())?)
        });
        out.copy_from_slice(found.ok_or(Unreadable { address })?);
        Ok(())
    }
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(3) {
        0 => {
            let address = input.number();
            let memory = Memory::read(&mut input);
            if let Ok(handover) = start_info::read(&memory, address) {
                for occupied in &handover.occupied {
                    assert!(occupied.bytes > 0 && occupied.start + occupied.bytes <= 1 << 52);
                }
                for problem in &handover.problems {
                    let _ = problem.to_string();
                }
                map(&handover.info.regions, handover.info.regions_dropped, &mut input);
            }
        }
        1 => {
            let given = Some(input.number()).filter(|address| *address != 0);
            let platform = Platform::read(&Memory::read(&mut input), given);
            let cpus = platform.supported(input.number() as u32, input.below(80));
            assert!(!cpus.apic_ids.is_empty());
            assert!(platform.notes.iter().all(|note| note.is_ascii() || !note.is_empty()));
        }
        _ => {
            const KINDS: [RegionKind; 5] = [
                RegionKind::Usable,
                RegionKind::Reserved,
                RegionKind::AcpiReclaimable,
                RegionKind::AcpiNonVolatile,
                RegionKind::Unusable,
            ];
            let mut regions = Vec::new();
            for _ in 0..input.below(MAX_REGIONS + 1) {
                regions.push(MemoryRegion {
                    start: input.number(),
                    bytes: input.number(),
                    kind: input.pick(&KINDS),
                });
            }
            let dropped = input.below(3);
            map(&regions, dropped, &mut input);
        }
    }
}

/// Whatever the firmware says, frames that may be used are RAM, no frame twice, and what is taken is gone.
fn map(regions: &[MemoryRegion], dropped: usize, input: &mut Input<'_>) {
    let mut map = MemoryMap::from_regions(regions, dropped);
    for _ in 0..input.below(6) {
        let frames = input.number();
        match input.below(3) {
            0 => {
                let alignment_frames = 1 << input.below(20);
                if let Some(range) = map.carve(frames, alignment_frames, input.number()) {
                    assert_eq!(range.frames, frames);
                    assert!(range.start.number().is_multiple_of(alignment_frames));
                    assert!(is_usable(regions, range.start.number()));
                }
            }
            1 => map.withhold(godwit_host::boot::memory_map::covering(frames, input.number())),
            _ => map.cap(frames),
        }
    }
    let mut end = 1;
    for range in map.usable() {
        let start = range.start.number();
        assert!(start >= end && range.frames > 0, "ranges ascend and leave frame 0 out");
        end = start + range.frames;
        assert!(end <= END_FRAME);
        assert!(is_usable(regions, start) && is_usable(regions, end - 1), "{start:#x} to {end:#x} is no RAM");
    }
    for note in map.notes() {
        let _ = note.to_string();
    }
    let _ = map.require(input.number());
    assert!(map.end_of_ram() <= END_FRAME);
}

/// Whether all of the frame is claimed as usable by one region or by several, and none of it as anything else.
fn is_usable(regions: &[MemoryRegion], frame: u64) -> bool {
    let (start, end) = (frame << 12, (frame + 1) << 12);
    let touches = |region: &&MemoryRegion| {
        region.bytes > 0 && region.start < end && region.start.saturating_add(region.bytes) > start
    };
    regions.iter().filter(touches).all(|region| region.kind == RegionKind::Usable)
        && regions.iter().filter(touches).count() > 0
}

fn corpus() -> Vec<Vec<u8>> {
    let piece = |script: Script, address: u64, mended: u8, bytes: &[u8]| {
        script.number(address).byte(mended).counted(bytes)
    };
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // start_info with a map of two regions, a command line and a module.
    let info = [
        &0x336e_c578u32.to_le_bytes()[..],
        &1u32.to_le_bytes(),
        &0u32.to_le_bytes(),
        &1u32.to_le_bytes(),
        &words(&[0x2000, 0x3000, 0xe_0000, 0x4000]),
        &words(&[2]),
    ]
    .concat();
    let boot = piece(Script::new().byte(0).number(0x1000).byte(5), 0x1000, 0, &info);
    let boot = piece(boot, 0x2000, 0, &words(&[0x100_0000, 0x1000, 0x3000, 0]));
    let boot = piece(boot, 0x3000, 0, b"godwit.host=a\0");
    let boot = piece(boot, 0x4000, 0, &words(&[0, 0xa_0000, 1, 0x10_0000, 0x1000_0000, 1]));
    let boot = piece(boot, 0x5000, 0, b"x").byte(3).number(16).byte(0).byte(9).number(1 << 36).end();
    // A root pointer, an XSDT, a MADT, a FADT, an MCFG.
    let table = |name: &[u8; 4], body: &[u8]| {
        let mut table =
            [&name[..], &(36 + body.len() as u32).to_le_bytes(), &[1, 0], b"OEMID TABLE   ", &[0; 12]]
                .concat();
        table.truncate(36);
        [table, body.to_vec()].concat()
    };
    let root = [
        b"RSD PTR \0OEMID \x02",
        &0u32.to_le_bytes()[..],
        &36u32.to_le_bytes(),
        &0x2000u64.to_le_bytes(),
        &[0; 4],
    ]
    .concat();
    let madt = [
        &[0, 0, 0xe0, 0xfe, 1, 0, 0, 0][..],
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
        &[4, 6, 0xff, 0, 0, 1],
        &[9, 16, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0],
    ]
    .concat();
    let tables = piece(Script::new().byte(1).number(0x1000).byte(5), 0x1000, 2, &root);
    let tables = piece(tables, 0x2000, 1, &table(b"XSDT", &words(&[0x3000, 0x4000, 0x5000])));
    let tables = piece(tables, 0x3000, 1, &table(b"APIC", &madt));
    let tables = piece(tables, 0x4000, 1, &table(b"FACP", &[1; 240]));
    let tables = piece(tables, 0x5000, 1, &table(b"MCFG", &words(&[0, 0xb000_0000, 0xff00_0000_0000])));
    let tables = tables.number(0).byte(64).end();
    let mut regions = Script::new().byte(2).byte(4);
    for (start, bytes, kind) in
        [(0, 0xa_0000, 0), (0x10_0000, 0x800_0000, 0), (0x700_0000, 0x1000, 1), (0x700_0800, 0x10, 4)]
    {
        regions = regions.number(start).number(bytes).byte(kind);
    }
    vec![
        boot,
        tables,
        regions.byte(0).byte(2).number(512).byte(0).byte(9).number(1 << 30).number(7).byte(2).end(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_what_firmware_leaves() {
        let [boot, tables, _] = &corpus()[..] else { panic!("three of them") };
        let mut input = Input::new(&boot[1..]);
        let address = input.number();
        let handover = start_info::read(&Memory::read(&mut input), address).expect("a structure");
        assert_eq!((handover.info.regions.len(), handover.info.modules.len()), (2, 1));
        let mut input = Input::new(&tables[1..]);
        let root = Some(input.number());
        let platform = Platform::read(&Memory::read(&mut input), root);
        assert_eq!((platform.cpus.len(), platform.io_apics.len()), (2, 1), "{platform:?}");
        assert_eq!(platform.ecam.len(), 1, "{platform:?}");
    }
}
