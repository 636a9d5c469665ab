//! The one door to a guest's memory.

use crate::GuestAddress;

/// The guest has no RAM at (a part of) the range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the guest has no RAM at {at}")]
pub struct NotRam {
    /// The first address of the refused access.
    pub at: GuestAddress,
}

/// A guest's RAM. Bytes are copied, never borrowed: the guest may change them at any time.
///
/// Every write of the host to a guest's memory goes through [`write`](Self::write): a log of writes has this one place to
/// stand in. There is none yet: a guest stands still while it moves.
pub trait GuestMemory {
    /// Copies guest memory from `at` on into `out`.
    ///
    /// # Errors
    /// [`NotRam`]; `out` is then unspecified.
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam>;

    /// Copies `bytes` into guest memory from `at` on.
    ///
    /// # Errors
    /// [`NotRam`]; nothing was written.
    fn write(&self, at: GuestAddress, bytes: &[u8]) -> Result<(), NotRam>;
}
