//! What a source says of a guest before it moves: enough to decide, and to reserve the right frames.

use alloc::vec::Vec;

use godwit_guest::GuestFrame;
use serde::{Deserialize, Serialize};

use crate::text::Name;

/// Bytes of a guest's description at most.
pub const MAX_DESCRIPTION_BYTES: usize = 16 << 10;
/// Regions of a guest's RAM at most.
pub const MAX_REGIONS: usize = 64;
/// Runs of a guest's leaf map at most.
pub const MAX_LEAF_RUNS: usize = 8192;
/// Guest frames end here: 52 bits of guest-physical address (SDM vol. 3, 4.1.4; APM vol. 2, 5.1).
const END_FRAME: u64 = 1 << 40;
/// The orders that a leaf of second-level tables has: 4 KiB, 2 MiB, 1 GiB.
const LEAF_ORDERS: [u8; 3] = [0, 9, 18];

/// A range of guest frames that is RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Region {
    /// Its first frame.
    pub start: GuestFrame,
    /// How many frames it has, not 0.
    pub frames: u64,
}

impl Region {
    /// The first frame behind it; saturates.
    pub fn end(&self) -> GuestFrame {
        GuestFrame(self.start.0.saturating_add(self.frames))
    }
}

/// Leaves of one order, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeafRun {
    /// The first frame of the first leaf, a multiple of a leaf's frames.
    pub start: GuestFrame,
    /// Their order: 0 (4 KiB), 9 (2 MiB) or 18 (1 GiB).
    pub order: u8,
    /// How many leaves, not 0.
    pub leaves: u32,
}

impl LeafRun {
    /// Frames of all its leaves; saturates where the order is none of a leaf.
    pub fn frames(&self) -> u64 {
        1u64.checked_shl(self.order.into()).unwrap_or(u64::MAX).saturating_mul(self.leaves.into())
    }
}

/// Which leaves a guest's memory is mapped by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PagePolicy {
    /// The largest that alignment allows.
    Largest,
    /// 4 KiB everywhere.
    Small,
}

/// A named and versioned set of processor features that a guest sees.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: u16,
}

/// A guest that wants to move, as the source describes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// The guest's name.
    pub guest: Name,
    /// The guest's description in the host's own encoding, at most [`MAX_DESCRIPTION_BYTES`].
    pub description: Vec<u8>,
    /// Its RAM: ascending, apart from each other, at most [`MAX_REGIONS`].
    pub regions: Vec<Region>,
    /// How its RAM is mapped: ascending, every frame of every region once, at most [`MAX_LEAF_RUNS`].
    pub leaves: Vec<LeafRun>,
    /// The processor it was started on.
    pub baseline: Baseline,
    /// Its time stamp counter's frequency in Hz.
    pub tsc_hz: u64,
    /// About how many frames will be sent, the zero ones left out; all of them where nobody knows.
    pub frames_to_send: u64,
    /// Which leaves it wants.
    pub page_policy: PagePolicy,
    /// The UDP port at the source that takes acknowledgements.
    pub acknowledge_port: u16,
}

/// What is wrong with an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OfferError {
    /// Its description is too long.
    #[error("the description is longer than {MAX_DESCRIPTION_BYTES} bytes")]
    Description,
    /// It has no region, or too many.
    #[error("it has no region, or more than {MAX_REGIONS}")]
    RegionCount,
    /// A region is empty, not above the one before, or ends above the largest address.
    #[error("region {index} is empty, out of order, or ends above 52 bits of address")]
    Region {
        /// Which, from 0 on.
        index: usize,
    },
    /// It has no leaf, or too many runs of them.
    #[error("it has no leaf, or more than {MAX_LEAF_RUNS} runs of them")]
    LeafCount,
    /// A run of leaves has an order that no leaf has, is empty, not aligned, or does not go on where RAM does.
    #[error("run {index} of the leaf map is no run of leaves, or does not go on where RAM does")]
    Leaf {
        /// Which, from 0 on.
        index: usize,
    },
    /// The leaf map ends before RAM does.
    #[error("the leaf map ends before RAM does")]
    LeavesMissing,
}

impl Offer {
    /// All frames of its RAM; saturates where the regions were not checked.
    pub fn frames(&self) -> u64 {
        self.regions.iter().fold(0, |sum, region| sum.saturating_add(region.frames))
    }

    /// Checks every bound. What comes from [`crate::StreamDecoder`] was checked already.
    ///
    /// # Errors
    /// [`OfferError`] with what is wrong first.
    pub fn check(&self) -> Result<(), OfferError> {
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            return Err(OfferError::Description);
        }
        if self.regions.is_empty() || self.regions.len() > MAX_REGIONS {
            return Err(OfferError::RegionCount);
        }
        let mut end = 0;
        for (index, region) in self.regions.iter().enumerate() {
            let next = region.start.0.checked_add(region.frames).filter(|&next| next <= END_FRAME);
            end = match next {
                Some(next) if region.frames > 0 && region.start.0 >= end => next,
                _ => return Err(OfferError::Region { index }),
            };
        }
        self.check_leaves()
    }

    /// Walks regions and leaves side by side: each run must begin where the one before ended, or where the next region
    /// begins, and end inside RAM that is in one piece.
    fn check_leaves(&self) -> Result<(), OfferError> {
        if self.leaves.is_empty() || self.leaves.len() > MAX_LEAF_RUNS {
            return Err(OfferError::LeafCount);
        }
        let mut pieces = self.pieces();
        let (mut at, mut end) = (0, 0);
        for (index, run) in self.leaves.iter().enumerate() {
            if at == end {
                let piece = pieces.next().ok_or(OfferError::Leaf { index })?;
                (at, end) = (piece.start.0, piece.end().0);
            }
            let aligned = LEAF_ORDERS.contains(&run.order) && run.start.0 % (1 << run.order) == 0;
            let next = run.start.0.checked_add(run.frames());
            at = match next {
                Some(next) if aligned && run.leaves > 0 && run.start.0 == at && next <= end => next,
                _ => return Err(OfferError::Leaf { index }),
            };
        }
        if at == end && pieces.next().is_none() { Ok(()) } else { Err(OfferError::LeavesMissing) }
    }

    /// RAM in one piece: regions that touch are one. Saturates where the regions were not checked.
    pub fn pieces(&self) -> impl Iterator<Item = Region> {
        let mut regions = self.regions.iter().peekable();
        core::iter::from_fn(move || {
            let mut piece = *regions.next()?;
            while let Some(next) = regions.next_if(|next| next.start.0 == piece.end().0) {
                piece.frames = piece.frames.saturating_add(next.frames);
            }
            Some(piece)
        })
    }
}
