//! Segment and descriptor-table registers.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

/// A segment's attributes: bits 40..48 and 52..56 of its descriptor, packed as SVM packs them (APM vol. 2, 15.5.1).
///
/// VMX packs them at other places and adds an unusable bit; its half translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
pub struct Attributes(pub u16);

bitflags! {
    impl Attributes: u16 {
        /// Descriptor type, 4 bits.
        const TYPE = 0xf;
        /// Code or data (S = 1), not a system segment.
        const CODE_OR_DATA = 1 << 4;
        /// Descriptor privilege level, 2 bits.
        const DPL = 0b11 << 5;
        /// Present.
        const PRESENT = 1 << 7;
        /// Available to software.
        const AVAILABLE = 1 << 8;
        /// 64-bit code.
        const LONG = 1 << 9;
        /// 32-bit default operand size, or big stack.
        const DEFAULT_32 = 1 << 10;
        /// The limit counts pages.
        const GRANULARITY = 1 << 11;
    }
}

/// A segment register with its hidden part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Segment {
    /// The visible selector.
    pub selector: u16,
    /// Attributes of the cached descriptor.
    pub attributes: Attributes,
    /// Limit in bytes, expanded where the granularity bit is set.
    pub limit: u32,
    /// Base address.
    pub base: u64,
}

/// A descriptor-table register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// Limit in bytes.
    pub limit: u16,
    /// Base address.
    pub base: u64,
}

/// Every segment register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct Segments {
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub ldtr: Segment,
    pub tr: Segment,
}
