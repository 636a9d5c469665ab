//! Asking a host whether it is there (ICMP echo, RFC 792).

use alloc::vec;
use core::net::Ipv4Addr;

use smoltcp::{
    iface::{SocketHandle, SocketSet},
    phy::ChecksumCapabilities,
    socket::icmp::{Endpoint, PacketBuffer, PacketMetadata, Socket},
    wire::{Icmpv4Packet, Icmpv4Repr, IpAddress},
};

use super::stack::ipv4;

/// Questions and answers that wait.
const MAX_PACKETS: usize = 4;
/// Bytes that go with a question: as many as everybody's ping sends.
const PAYLOAD: [u8; 56] = [0x47; 56];
/// Bytes of the longest packet that is kept.
const PACKET_BYTES: usize = 128;

/// A host has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PingAnswer {
    /// Which host.
    pub from: Ipv4Addr,
    /// The number of the question.
    pub number: u16,
}

/// What asks and hears.
pub(super) struct Pinger {
    socket: SocketHandle,
    identifier: u16,
}

impl Pinger {
    /// Questions of this host carry `identifier`.
    pub(super) fn new(sockets: &mut SocketSet<'static>, identifier: u16) -> Self {
        let buffer = || {
            PacketBuffer::new(vec![PacketMetadata::EMPTY; MAX_PACKETS], vec![0; MAX_PACKETS * PACKET_BYTES])
        };
        let mut socket = Socket::new(buffer(), buffer());
        // A new socket is bound to nothing, and the identifier is a valid one: this cannot fail.
        let _ = socket.bind(Endpoint::Ident(identifier));
        Self { socket: sockets.add(socket), identifier }
    }

    /// Asks `to`; `false` where too many questions wait.
    pub(super) fn ask(&self, sockets: &mut SocketSet<'static>, to: Ipv4Addr, number: u16) -> bool {
        let question = Icmpv4Repr::EchoRequest { ident: self.identifier, seq_no: number, data: &PAYLOAD };
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        let Ok(buffer) = socket.send(question.buffer_len(), IpAddress::Ipv4(to)) else { return false };
        question.emit(&mut Icmpv4Packet::new_unchecked(buffer), &ChecksumCapabilities::default());
        true
    }

    /// An answer that came, oldest first.
    pub(super) fn answer(&self, sockets: &mut SocketSet<'static>) -> Option<PingAnswer> {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        while let Ok((bytes, from)) = socket.recv() {
            let Ok(packet) = Icmpv4Packet::new_checked(bytes) else { continue };
            if let Ok(Icmpv4Repr::EchoReply { ident, seq_no, data }) =
                Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default())
                && ident == self.identifier
                && data == PAYLOAD
                && let Some(from) = ipv4(from)
            {
                return Some(PingAnswer { from, number: seq_no });
            }
        }
        None
    }
}
