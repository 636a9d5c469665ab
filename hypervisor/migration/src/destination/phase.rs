//! Where a move stands, at the destination.

use crate::Patience;

/// Where a move stands, at the destination; in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DestinationPhase {
    /// No HELLO came yet.
    Greeting,
    /// No OFFER came yet.
    Listening,
    /// The host decides, and reserves.
    Deciding,
    /// Memory and machine state arrive.
    Receiving,
    /// Everything was checked; the host puts the machine state in place.
    Restoring,
    /// It could run. From here on the reservation ends only by a message or with the connection.
    Prepared,
    /// GO arrived; the host starts the guest.
    Starting,
    /// It runs here.
    Running,
    /// It never ran here and never will.
    Discarded,
}

impl DestinationPhase {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Listening => "listening",
            Self::Deciding => "deciding",
            Self::Receiving => "receiving",
            Self::Restoring => "restoring",
            Self::Prepared => "prepared",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Discarded => "discarded",
        }
    }

    /// Whether the guest may not run here yet, and the move can be given up.
    pub fn is_before_go(self) -> bool {
        self < Self::Starting
    }

    /// What comes next, for people.
    pub(super) fn waits_for(self) -> &'static str {
        match self {
            Self::Greeting => "HELLO",
            Self::Listening => "OFFER",
            Self::Deciding => "this host's own answer",
            Self::Receiving => "page records",
            Self::Restoring => "the machine state to be put in place",
            Self::Prepared => "GO",
            Self::Starting => "the guest to start",
            Self::Running | Self::Discarded => "nothing",
        }
    }

    pub(super) fn patience_ns(self, patience: &Patience) -> Option<u64> {
        match self {
            Self::Greeting | Self::Listening => Some(patience.greeting_ns),
            Self::Deciding => Some(patience.reservation_ns),
            // The source stops its guest meanwhile.
            Self::Receiving => Some(patience.stall_ns.saturating_add(patience.pause_ns)),
            Self::Restoring => Some(patience.preparation_ns),
            Self::Prepared | Self::Starting | Self::Running | Self::Discarded => None,
        }
    }
}
