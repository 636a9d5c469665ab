//! Boot by PVH (Xen `docs/misc/pvh.pandoc`): a 32-bit entry and one structure that says what the machine has.

pub mod start_info;
