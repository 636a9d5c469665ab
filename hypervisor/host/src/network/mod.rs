//! The host's own network: one address, page datagrams past the network stack, control connections through it.
//!
//! Two kinds of traffic share the adapter. *Page datagrams* are UDP to [`PAGE_PORT`]: their bytes go straight from and to
//! frames of memory, by headers that [`frame`] writes and reads. *Everything else* (ARP, ICMP, TCP) is small, is copied, and
//! is `smoltcp`'s ([`stack`]). Both learn who is where from the same ARP packets; page datagrams keep what they learn in
//! [`neighbours`].
//!
//! Nothing here knows of time or randomness of its own: both come as arguments.

pub mod address;
pub mod connections;
mod counters;
pub mod frame;
mod inbox;
pub(crate) mod job;
mod neighbours;
pub mod peers;
mod send;
mod service;
mod stack;

pub use address::Subnet;
pub use connections::{Closed, ConnectError, Connection, ConnectionState, MAX_CONNECTIONS};
pub use counters::Traffic;
pub use neighbours::Neighbour;
pub use peers::{MAX_PEERS, Peer, Peers};
pub use send::SendError;
pub use service::{Network, NoNetwork, PingAnswer};

/// UDP port of page datagrams, and TCP port of control connections.
pub const PAGE_PORT: u16 = 4747;
