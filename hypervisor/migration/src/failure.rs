//! Why a move ended before its guest ran at the destination.

use godwit_guest::NotRam;
use godwit_wire::{BoundError, Reason, Refusal, RevisionMismatch, WireError};

/// Why a move ended before its guest ran at the destination.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The control connection is gone, or could not be made.
    #[error("the connection to the peer is lost")]
    Disconnected,
    /// Nothing came in time.
    #[error("waited too long for {waiting_for}")]
    Silence {
        /// What should have come.
        waiting_for: &'static str,
    },
    /// The destination does not take the guest.
    #[error("the destination refuses: {}", .0.reason)]
    Refused(Refusal),
    /// The peer called the move off.
    #[error("the peer called it off: {0}")]
    Aborted(Reason),
    /// Somebody here called the move off.
    #[error("called off here: {0}")]
    Cancelled(Reason),
    /// A person decided that the guest runs at the source.
    #[error("forced by the operator")]
    Forced,
    /// The source asks on a new connection, so it has lost the one on which it could have said GO.
    #[error("the source lost the connection")]
    SourceReconnected,
    /// No revision in common.
    #[error(transparent)]
    Revision(#[from] RevisionMismatch),
    /// What the peer sent is no message.
    #[error("the peer sent what is no message: {0}")]
    Wire(#[from] WireError),
    /// What should be sent cannot be.
    #[error("cannot be sent: {0}")]
    Bound(#[from] BoundError),
    /// A message that has no place where the move stands.
    #[error("{message} does not belong here ({phase})")]
    Unexpected {
        /// The message's name.
        message: &'static str,
        /// Where the move stands.
        phase: &'static str,
    },
    /// A page record contradicts the offer or an earlier record.
    #[error("a page record that cannot be: {0}")]
    Record(&'static str),
    /// Guest memory could not be read or written.
    #[error(transparent)]
    Memory(#[from] NotRam),
    /// The source says that it sent all, but not all arrived.
    #[error("{missing} frames did not arrive")]
    FramesMissing {
        /// How many.
        missing: u64,
    },
    /// The sums over all frames differ.
    #[error("memory arrived different: the sums over all frames differ")]
    RootDiffers,
    /// The machine state is not complete, or its sum differs.
    #[error("the machine state arrived incomplete or different")]
    StateDiffers,
    /// The machine state is longer than may be sent.
    #[error("the machine state is empty or longer than 1 MiB")]
    StateLength,
    /// The destination could not put the guest in place.
    #[error("the destination cannot restore it: {0}")]
    Restore(Reason),
    /// Not even a small piece of a frame fits a datagram.
    #[error("datagrams of {datagram_bytes} bytes are too small for page records")]
    LinkTooSmall {
        /// What fits.
        datagram_bytes: u16,
    },
    /// More datagrams than can be counted.
    #[error("the move needs more than 2^32 datagrams: use a larger MTU")]
    TooManyDatagrams,
}

/// GO was said: only the destination's word or a person's ends the move now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too late: GO was said, the guest may be running at the destination")]
pub struct TooLate;

/// There is no doubt about where the guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the guest is not in doubt")]
pub struct NotInDoubt;
