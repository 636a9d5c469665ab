//! What can go wrong. Where an operation fails, nothing has changed.

use godwit_frames::Order;
use thiserror::Error;

/// There is no memory for a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("no memory is left for a nested page table")]
pub struct OutOfTables;

/// Why guest frames cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MapError {
    /// The range ends above 48 bits of guest-physical address.
    #[error(
        "guest frames {guest_frame:#x} and the {frames:#x} from it on end above 48 bits of guest-physical address"
    )]
    BeyondGuest {
        /// The first guest frame.
        guest_frame: u64,
        /// How many were to be mapped.
        frames: u64,
    },
    /// The range ends above 52 bits of host-physical address.
    #[error(
        "host frame {host_frame:#x} and the {frames:#x} from it on end above 52 bits of physical address"
    )]
    BeyondHost {
        /// The first host frame.
        host_frame: u64,
        /// How many were to be mapped.
        frames: u64,
    },
    /// A frame of the range is mapped already: unmap it first.
    #[error("guest frame {guest_frame:#x} is mapped already")]
    AlreadyMapped {
        /// The first such frame.
        guest_frame: u64,
    },
    /// There is no memory for a table.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// Why a leaf cannot be split.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SplitError {
    /// The frame is not mapped.
    #[error("guest frame {guest_frame:#x} is not mapped")]
    NotMapped {
        /// The frame.
        guest_frame: u64,
    },
    /// There is no memory for a table.
    #[error(transparent)]
    OutOfTables(#[from] OutOfTables),
}

/// Why leaves cannot become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MergeError {
    /// These tables have no leaves of this order: it is not 0, 9 or 18, or above the largest that they were made for.
    #[error("these tables have no leaves of order {}", order.get())]
    NoSuchLeaf {
        /// The order.
        order: Order,
    },
    /// A frame is not mapped.
    #[error("guest frame {guest_frame:#x} is not mapped")]
    Incomplete {
        /// The first such frame.
        guest_frame: u64,
    },
    /// The first host frame is no multiple of the leaf's size.
    #[error("guest frame {guest_frame:#x} lies on a host frame that cannot begin a leaf of order {}", order.get())]
    Misaligned {
        /// The first guest frame of the leaf to be.
        guest_frame: u64,
        /// The leaf's order.
        order: Order,
    },
    /// A host frame does not follow the one before.
    #[error("guest frame {guest_frame:#x} does not lie behind the one before it in host memory")]
    Scattered {
        /// The first guest frame whose host frame does not.
        guest_frame: u64,
    },
    /// The leaves have different rights.
    #[error("guest frame {guest_frame:#x} has other rights than those before it")]
    MixedRights {
        /// The first guest frame with other rights.
        guest_frame: u64,
    },
}
