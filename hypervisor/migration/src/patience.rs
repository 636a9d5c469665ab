//! How long to wait for what.

/// How long to wait for what, in ns. What ends when the time is over stands beside each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Both: the peer's HELLO; destination: the OFFER. The move.
    pub greeting_ns: u64,
    /// Source: ACCEPT or REFUSE; destination: the host's own answer to the offer. The move.
    pub reservation_ns: u64,
    /// Source: the guest stands still. The move.
    pub pause_ns: u64,
    /// Both, while frames move: anything new from the peer. The move.
    pub stall_ns: u64,
    /// Source: PREPARED; destination: the host put the guest in place. The move.
    pub preparation_ns: u64,
    /// Source: RUNNING. The guest is then in doubt, and stays paused.
    pub start_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Default for Patience {
    fn default() -> Self {
        Self {
            greeting_ns: 5 * SECOND_NS,
            reservation_ns: 30 * SECOND_NS,
            pause_ns: 10 * SECOND_NS,
            stall_ns: 5 * SECOND_NS,
            preparation_ns: 30 * SECOND_NS,
            start_ns: 10 * SECOND_NS,
        }
    }
}
