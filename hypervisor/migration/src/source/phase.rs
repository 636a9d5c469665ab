//! Where a move stands, at the source.

use crate::Patience;

/// Where a move stands, at the source; in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SourcePhase {
    /// No HELLO came yet.
    Greeting,
    /// The offer is out.
    Offering,
    /// It was accepted; the guest is being stopped.
    Pausing,
    /// Memory goes over.
    Streaming,
    /// All memory was acknowledged; the destination checks and puts the guest in place.
    Finishing,
    /// GO was said. From here on this side does not run the guest unless the destination says it will not.
    Committed,
    /// GO was said, and nobody knows whether it arrived.
    InDoubt,
    /// The guest runs at the destination.
    Done,
    /// The guest stays here.
    Resumed,
}

impl SourcePhase {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Offering => "offering",
            Self::Pausing => "pausing",
            Self::Streaming => "streaming",
            Self::Finishing => "finishing",
            Self::Committed => "committed",
            Self::InDoubt => "in doubt",
            Self::Done => "done",
            Self::Resumed => "resumed",
        }
    }

    /// Whether this side may still take the guest back by itself.
    pub fn is_before_go(self) -> bool {
        self < Self::Committed
    }

    /// Whether GO was said and the answer is open.
    pub fn is_after_go(self) -> bool {
        matches!(self, Self::Committed | Self::InDoubt)
    }

    /// What comes next, for people.
    pub(super) fn waits_for(self) -> &'static str {
        match self {
            Self::Greeting => "HELLO: is that host there?",
            Self::Offering => "an answer to the offer",
            Self::Pausing => "the guest to stop",
            Self::Streaming => "an acknowledgement",
            Self::Finishing => "PREPARED",
            Self::Committed | Self::InDoubt => "RUNNING",
            Self::Done | Self::Resumed => "nothing",
        }
    }

    pub(super) fn patience_ns(self, patience: &Patience) -> Option<u64> {
        match self {
            Self::Greeting => Some(patience.greeting_ns),
            Self::Offering => Some(patience.reservation_ns),
            Self::Pausing => Some(patience.pause_ns),
            Self::Streaming => Some(patience.stall_ns),
            Self::Finishing => Some(patience.preparation_ns),
            Self::Committed => Some(patience.start_ns),
            Self::InDoubt | Self::Done | Self::Resumed => None,
        }
    }
}
