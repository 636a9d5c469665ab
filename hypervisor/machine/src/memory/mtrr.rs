//! Where the memory type changes: the variable-range MTRRs (SDM volume 3, 12.11; APM volume 2, 7.7).
//!
//! A page over two memory types is undefined, so large pages of the direct map end where a range ends. Fixed ranges lie
//! below 1 MiB, where no large page fits between the holes.
#![forbid(unsafe_code)]

use arrayvec::ArrayVec;

use super::layout::PhysicalRange;
use crate::features::Processor;

#[cfg(test)]
mod tests;

/// IA32_MTRRCAP: the count of variable ranges in bits 7:0.
const CAPABILITIES: u32 = 0xfe;
/// The first variable range's base; its mask follows, then the next range.
const FIRST_BASE: u32 = 0x200;
/// Bit 11 of a mask: the range is in use.
const VALID: u64 = 1 << 11;
/// What of base and mask is an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// Variable ranges that are read at most; processors have 8 to 10.
pub const MAX_RANGES: usize = 32;

/// The addresses at which a variable range starts or ends, ascending, each once.
pub type Edges = ArrayVec<u64, { 2 * MAX_RANGES }>;

/// Reads the edges. `processor` has MTRRs, and addresses of `physical_address_bits`.
///
/// A mask that is not contiguous names many ranges; its edges are those of the first.
pub fn edges(processor: &impl Processor, physical_address_bits: u8) -> Edges {
    let mut edges = Edges::new();
    let count = processor.read_msr(CAPABILITIES).unwrap_or(0) & 0xff;
    let reach = (1 << physical_address_bits.min(52)) - 1;
    for range in 0..(count as u32).min(MAX_RANGES as u32) {
        let base = processor.read_msr(FIRST_BASE + 2 * range);
        let mask = processor.read_msr(FIRST_BASE + 2 * range + 1).filter(|mask| mask & VALID != 0);
        let (Some(base), Some(mask)) = (base, mask.map(|mask| mask & ADDRESS & reach)) else { continue };
        if mask == 0 {
            // All of memory: there is no edge inside.
            continue;
        }
        let start = base & mask;
        edges.push(start);
        edges.push(start + (1 << mask.trailing_zeros()));
    }
    edges.sort_unstable();
    let mut kept = Edges::new();
    for edge in edges {
        if kept.last() != Some(&edge) {
            kept.push(edge);
        }
    }
    kept
}

/// Splits `ranges` at every edge inside one; ranges beyond what `N` holds are left out.
pub fn split<const N: usize>(ranges: &[PhysicalRange], edges: &Edges) -> ArrayVec<PhysicalRange, N> {
    let mut pieces = ArrayVec::new();
    for range in ranges {
        let mut start = range.start;
        let inside = edges.iter().copied().filter(|&edge| range.start < edge && edge < range.end);
        for end in inside.chain([range.end]) {
            if pieces.try_push(PhysicalRange { start, end }).is_err() {
                return pieces;
            }
            start = end;
        }
    }
    pieces
}
