//! One entry of a table.

use core::marker::PhantomData;

use godwit_frames::HostFrame;

use crate::level::Level;
use crate::{Format, Rights};

/// Where the address stands: bits 51:12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// An entry in the format `F`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<F> {
    pub(crate) bits: u64,
    format: PhantomData<F>,
}

impl<F: Format> Entry<F> {
    /// The bits that the processor sets.
    pub(crate) const MARKS: u64 = F::ACCESSED | F::DIRTY;
    /// An entry that maps nothing.
    pub(crate) const ABSENT: Self = Self::new(0);

    pub(crate) const fn new(bits: u64) -> Self {
        Self { bits, format: PhantomData }
    }

    /// Names a table.
    pub(crate) const fn table(table: HostFrame) -> Self {
        Self::new(F::TABLE | table.address())
    }

    /// Maps `host` and the frames after it, as many as a leaf on this level spans; no marks are set.
    pub(crate) fn leaf(host: HostFrame, level: Level, rights: Rights) -> Self {
        let large = if level == Level::LOWEST { 0 } else { F::LARGE };
        Self::new(F::leaf(rights) | large | host.address())
    }

    /// The same with the accessed and dirty marks of `bits` set as well.
    pub(crate) const fn with_marks(self, bits: u64) -> Self {
        Self::new(self.bits | bits & Self::MARKS)
    }

    pub(crate) const fn is_present(self) -> bool {
        self.bits & F::PRESENT != 0
    }

    /// Whether a present entry on this level is a leaf rather than the name of a table.
    pub(crate) fn is_leaf(self, level: Level) -> bool {
        level == Level::LOWEST || self.bits & F::LARGE != 0
    }

    /// The frame of the table, or the first frame of the leaf.
    pub(crate) const fn host(self) -> HostFrame {
        HostFrame::containing(self.bits & ADDRESS)
    }

    pub(crate) fn rights(self) -> Rights {
        F::rights(self.bits)
    }
}
