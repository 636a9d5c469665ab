//! What takes several CPUs.

pub(super) mod devices;
pub(super) mod ending;
pub(super) mod messages;
pub(super) mod start;
