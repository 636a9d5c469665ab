//! The answer to an access that a processor refuses.

/// The register does not exist in this state, or does not take this value: the guest gets #GP(0).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the register does not exist now or does not take this value")]
pub struct Refused;
