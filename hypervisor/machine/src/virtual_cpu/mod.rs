//! What both vendors' virtual CPUs share: what state this processor takes, extended state, the state at reset.

pub mod extended_state;
pub mod limits;
pub mod reset;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "kernel")]
pub mod vendor;
