//! Boot by PVH (Xen `docs/misc/pvh.pandoc`): a 32-bit entry and one structure that says what the machine has.

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "the entry is assembly")]
mod entry;
pub mod start_info;
