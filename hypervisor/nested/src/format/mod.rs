//! The bits of entries: what differs between processors.

use core::fmt::Debug;

use crate::Rights;

mod ept;
mod npt;

pub use ept::Ept;
pub use npt::Npt;

/// The format of table entries. The address stands at bits 51:12 in each.
pub trait Format: Copy + Debug {
    /// The bits that make an entry present: one of them does, and without all of them it is absent.
    const PRESENT: u64;
    /// An entry that names a table, but for the address: it forbids nothing.
    const TABLE: u64;
    /// Set in a leaf of 2 MiB or 1 GiB.
    const LARGE: u64;
    /// Set by the processor when it uses the entry.
    const ACCESSED: u64;
    /// Set by the processor in a leaf when it writes through it.
    const DIRTY: u64;

    /// A leaf of ordinary RAM with these rights, but for the address and [`LARGE`](Self::LARGE). No mark is set.
    fn leaf(rights: Rights) -> u64;

    /// The rights of a leaf.
    fn rights(leaf: u64) -> Rights;
}
