//! Joins emulated hosts by Ethernet, in user space and without root.
//!
//! A [`Switch`] has [`Port`]s; a host that is started with one gets the far end of its cable. The cable is a pair of
//! connected datagram sockets that carry one Ethernet frame each (QEMU's `-netdev dgram`), so there is no path to choose and
//! none to clean up.

mod capture;
mod link;
mod mac;
mod port;
mod stations;
mod switch;

pub use mac::MacAddress;
pub use port::{Drops, Port, PortCounters, Traffic};
pub use switch::Switch;

/// The longest frame a switch passes: an Ethernet header and the largest payload that virtio-net can announce, with room for a
/// tag. Bytes, without preamble and checksum.
pub const MAX_FRAME_BYTES: usize = 65_550;

/// What an Ethernet frame begins with: two addresses and a type.
const HEADER_BYTES: usize = 14;

#[cfg(test)]
mod tests;
