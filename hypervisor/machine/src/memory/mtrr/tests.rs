use raw_cpuid::CpuIdResult;

use super::*;

/// A processor with these registers and no others.
struct Registers<'a>(&'a [(u32, u64)]);

impl Processor for Registers<'_> {
    fn cpuid(&self, _leaf: u32, _subleaf: u32) -> CpuIdResult {
        CpuIdResult { eax: 0, ebx: 0, ecx: 0, edx: 0 }
    }

    fn read_msr(&self, msr: u32) -> Option<u64> {
        self.0.iter().find(|&&(number, _)| number == msr).map(|&(_, value)| value)
    }
}

const GIB: u64 = 1 << 30;

/// The mask of a range of `bytes` with 40 address bits.
fn mask(bytes: u64) -> u64 {
    ((1 << 40) - bytes) | VALID
}

fn range(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start, end }
}

#[test]
fn edges_are_where_ranges_in_use_start_and_end() {
    let registers = Registers(&[
        (CAPABILITIES, 0x508),
        (0x200, 3 * GIB),
        (0x201, mask(GIB)),
        (0x202, 6),
        (0x203, mask(2 * GIB)),
        (0x204, 5 * GIB),
        (0x205, mask(GIB) & !VALID),
        (0x206, 2 * GIB),
        (0x207, mask(GIB)),
    ]);
    assert_eq!(edges(&registers, 40).as_slice(), [0, 2 * GIB, 3 * GIB, 4 * GIB]);
}

#[test]
fn a_range_over_everything_and_missing_registers_have_no_edges() {
    assert_eq!(edges(&Registers(&[(CAPABILITIES, 2), (0x200, 6), (0x201, VALID)]), 40).as_slice(), []);
    assert_eq!(edges(&Registers(&[(CAPABILITIES, 0xff)]), 40).as_slice(), []);
    assert_eq!(edges(&Registers(&[]), 40).as_slice(), []);
}

#[test]
fn as_many_ranges_as_can_be_read_fit() {
    let mut registers = vec![(CAPABILITIES, 0xff)];
    for number in 0..0x7f {
        registers.push((FIRST_BASE + 2 * number, u64::from(number) * 2 * GIB));
        registers.push((FIRST_BASE + 2 * number + 1, mask(GIB)));
    }
    assert_eq!(edges(&Registers(&registers), 40).len(), 2 * MAX_RANGES);
}

#[test]
fn ranges_are_split_at_edges_inside_and_nowhere_else() {
    let edges = Edges::from_iter([0, GIB, 2 * GIB, 4 * GIB]);
    let pieces: ArrayVec<_, 8> = split(&[range(0x1000, GIB), range(GIB + 0x1000, 3 * GIB)], &edges);
    assert_eq!(
        pieces.as_slice(),
        [range(0x1000, GIB), range(GIB + 0x1000, 2 * GIB), range(2 * GIB, 3 * GIB)]
    );
    let few: ArrayVec<_, 1> = split(&[range(0, 4 * GIB)], &edges);
    assert_eq!(few.as_slice(), [range(0, GIB)]);
}
