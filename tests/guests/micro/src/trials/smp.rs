//! What takes several CPUs.

pub(super) mod devices;
pub(super) mod ending;
pub(super) mod memory;
pub(super) mod messages;
pub(super) mod start;
pub(super) mod state;
