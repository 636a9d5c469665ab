//! What was wrong with the firmware's memory map, in words.

use core::fmt;

/// One correction that was made to the firmware's memory map. `entry` counts from 0 in the firmware's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapNote {
    /// An entry of no bytes was left out.
    Empty {
        /// Which entry.
        entry: usize,
        /// Its start address.
        start: u64,
    },
    /// An entry reaches beyond the 52 bits that a physical address can have; that part was cut off.
    BeyondAddresses {
        /// Which entry.
        entry: usize,
        /// Its start address.
        start: u64,
        /// Its length in bytes.
        bytes: u64,
    },
    /// An edge lies inside a frame: usable memory shrank to whole frames, anything else grew.
    OddEdge {
        /// Which entry.
        entry: usize,
        /// Its start address.
        start: u64,
        /// Its length in bytes.
        bytes: u64,
    },
    /// An entry starts below the one before it.
    OutOfOrder {
        /// Which entry.
        entry: usize,
        /// Its start address.
        start: u64,
    },
    /// Two entries claim the same frames; the more cautious kind won.
    Overlap {
        /// The later entry.
        entry: usize,
        /// The earlier entry.
        with: usize,
        /// First address that both claim.
        start: u64,
    },
    /// RAM lies beyond what this processor, or the host, can address; it is not used.
    OutOfReach {
        /// How many frames.
        frames: u64,
        /// First address that is out of reach.
        from: u64,
    },
    /// The map has more entries than are kept.
    TooManyEntries {
        /// How many were left out; what they describe is treated as no memory.
        left_out: usize,
    },
}

impl fmt::Display for MapNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty { entry, start } => {
                write!(f, "memory map entry {entry} at {start:#x} is empty: left out")
            }
            Self::BeyondAddresses { entry, start, bytes } => write!(
                f,
                "memory map entry {entry} at {start:#x} of {bytes:#x} bytes reaches beyond 52 address bits: cut"
            ),
            Self::OddEdge { entry, start, bytes } => write!(
                f,
                "memory map entry {entry} at {start:#x} of {bytes:#x} bytes splits a frame: fitted to whole frames"
            ),
            Self::OutOfOrder { entry, start } => {
                write!(f, "memory map entry {entry} at {start:#x} is out of order: sorted")
            }
            Self::Overlap { entry, with, start } => write!(
                f,
                "memory map entries {with} and {entry} overlap at {start:#x}: the more cautious kind holds"
            ),
            Self::OutOfReach { frames, from } => {
                write!(
                    f,
                    "{frames} frames of RAM lie at or above {from:#x}, out of this machine's reach: not used"
                )
            }
            Self::TooManyEntries { left_out } => {
                write!(
                    f,
                    "the memory map has {left_out} more entries than are kept: their memory is not used"
                )
            }
        }
    }
}
