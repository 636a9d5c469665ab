//! The greeting, and which revision of the protocol both hosts speak.

use serde::{Deserialize, Serialize};

use crate::text::Name;

/// The revision that this crate implements.
pub const REVISION: u16 = 0;

/// The first message in each direction. Its fields stay for every revision; a later one may add fields behind them,
/// which this one ignores.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest revision its sender speaks.
    pub oldest: u16,
    /// The newest revision its sender speaks.
    pub newest: u16,
    /// The sender's name.
    pub host: Name,
}

/// Two hosts have no revision in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the peer speaks revisions {oldest} to {newest} of the protocol, this host speaks 0: update the older one"
)]
pub struct RevisionMismatch {
    /// The oldest the peer speaks.
    pub oldest: u16,
    /// The newest the peer speaks.
    pub newest: u16,
}

impl Hello {
    /// This host's greeting.
    pub fn new(host: Name) -> Self {
        Self { oldest: REVISION, newest: REVISION, host }
    }

    /// The newest revision that this host and the sender of this greeting both speak.
    ///
    /// # Errors
    /// [`RevisionMismatch`] where there is none.
    pub fn agree(&self) -> Result<u16, RevisionMismatch> {
        if (self.oldest..=self.newest).contains(&REVISION) {
            Ok(REVISION)
        } else {
            Err(RevisionMismatch { oldest: self.oldest, newest: self.newest })
        }
    }
}
