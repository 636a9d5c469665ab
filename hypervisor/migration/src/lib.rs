//! Moving a guest: source and destination as state machines without I/O of their own.
//!
//! [`Source`] and [`Destination`] take time, messages and datagrams as arguments and answer through an [`Outbox`]:
//! messages for the control connection, descriptors of datagrams whose page bytes the caller's network device reads
//! from guest memory itself, and events for the host. Inbound, a [`Landing`] says where page bytes belong; the caller
//! writes them through [`GuestMemory`](godwit_guest::GuestMemory) and says that it did.
//!
//! `docs/PROTOCOL.md` says what is said when, and has the table of who runs the guest after which fault; a test reads it.
//!
//! Times are nanoseconds of a monotonic clock (`now_ns`), the same in every call to one machine. No two hosts' clocks are
//! compared.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod destination;
mod failure;
mod outbox;
mod patience;
mod progress;
mod source;
mod sum;

pub use destination::{AcceptError, Destination, DestinationEvent, DestinationPhase, Landed, Landing};
pub use failure::{Failure, NotInDoubt, TooLate};
pub use outbox::{Datagram, GuestRange, Outbox};
pub use patience::Patience;
pub use progress::Progress;
pub use source::{Source, SourceEvent, SourcePhase, SourceSettings};
pub use sum::{SumKey, is_zero};
