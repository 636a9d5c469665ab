//! Ethernet, ARP, IPv4, UDP and ICMP headers as far as page datagrams and pings need them (RFC 826, 791, 768, 792).

use core::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
};

/// A hardware address.
pub type Mac = [u8; 6];

/// A hardware address as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colons(pub Mac);

impl fmt::Display for Colons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}

/// Every station of a network.
pub const BROADCAST: Mac = [0xff; 6];
/// Bytes of Ethernet, IPv4 and UDP header of a page datagram.
pub const PAGE_HEADERS: usize = ETHERNET + IPV4 + UDP;
/// Bytes of an IPv4 header without options and a UDP header.
pub const IP_HEADERS: usize = IPV4 + UDP;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
const ECHO: usize = 8;
/// Types of ICMP echo messages.
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
/// Bytes that go with a ping: as many as everybody's sends.
const ECHO_PAYLOAD: [u8; 56] = [0x47; 56];
/// Bytes of a ping.
const PING: usize = ETHERNET + IPV4 + ECHO + ECHO_PAYLOAD.len();
/// Bytes of an ARP packet for IPv4 over Ethernet.
const ARP: usize = 28;
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Hardware type 1, protocol 0x0800, 6 and 4 bytes of address.
const ARP_KIND: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_UDP: u8 = 17;
/// A datagram may pass as many routers as the field's default says (RFC 1700).
const TIME_TO_LIVE: u8 = 64;
/// In the fragment field: do not fragment; more fragments follow, or this is a later one.
const DO_NOT_FRAGMENT: u16 = 0x4000;
const FRAGMENT: u16 = 0x3fff;

/// What a received frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inbound<'f> {
    /// A page datagram for this host.
    Page {
        /// Who sent it, by hardware address.
        mac: Mac,
        /// Who sent it.
        source: SocketAddrV4,
        /// What follows the UDP header.
        payload: &'f [u8],
    },
    /// An ARP packet for IPv4 over Ethernet.
    Arp {
        /// Hardware address of who sent it.
        mac: Mac,
        /// Its address.
        sender: Ipv4Addr,
        /// Whom it asks for or answers to.
        target: Ipv4Addr,
    },
    /// An answer to a ping of this host.
    EchoReply {
        /// Who answers.
        source: Ipv4Addr,
        /// The number of the ping.
        number: u16,
    },
    /// Something for this host that is none of these.
    Other,
    /// For another station.
    Foreign,
    /// A datagram, an ICMP message or an ARP packet that is cut, contradicts itself or is a fragment; or no Ethernet frame at all.
    Malformed,
}

/// Who this host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Hardware address.
    pub mac: Mac,
    /// Address.
    pub address: Ipv4Addr,
    /// The UDP port of page datagrams.
    pub page_port: u16,
    /// What its pings carry.
    pub ping_identifier: u16,
}

/// Reads a received frame.
pub fn read<'f>(frame: &'f [u8], own: &Identity) -> Inbound<'f> {
    try_read(frame, own).unwrap_or(Inbound::Malformed)
}

/// Reads a received frame; `None` where it is malformed.
fn try_read<'f>(frame: &'f [u8], own: &Identity) -> Option<Inbound<'f>> {
    let (&destination, rest) = frame.split_first_chunk::<6>()?;
    let (&mac, rest) = rest.split_first_chunk::<6>()?;
    let (kind, packet) = rest.split_first_chunk::<2>()?;
    // Bit 0 of the first byte: a group of stations, every station among them.
    if destination != own.mac && destination[0] & 1 == 0 {
        return Some(Inbound::Foreign);
    }
    match *kind {
        TYPE_ARP => read_arp(packet, mac),
        TYPE_IPV4 => read_ipv4(packet, mac, destination == own.mac, own),
        _ => Some(Inbound::Other),
    }
}

fn read_arp(packet: &[u8], mac: Mac) -> Option<Inbound<'_>> {
    let (packet, _padding) = packet.split_first_chunk::<ARP>()?;
    let (kind, rest) = packet.split_first_chunk::<6>()?;
    if *kind != ARP_KIND {
        return Some(Inbound::Other);
    }
    let (_operation, rest) = rest.split_first_chunk::<2>()?;
    let (said, rest) = rest.split_first_chunk::<6>()?;
    let (&sender, rest) = rest.split_first_chunk::<4>()?;
    let (_asked, rest) = rest.split_first_chunk::<6>()?;
    let &target = rest.first_chunk::<4>()?;
    // A packet that speaks for another station than the one that sent it is nothing to learn from.
    (*said == mac && mac[0] & 1 == 0).then_some(Inbound::Arp {
        mac,
        sender: sender.into(),
        target: target.into(),
    })
}

fn read_ipv4<'f>(packet: &'f [u8], mac: Mac, is_for_this: bool, own: &Identity) -> Option<Inbound<'f>> {
    let header = packet.first_chunk::<IPV4>()?;
    let [version, _, high, low, _, _, fragment_high, fragment_low, _, protocol, ..] = *header;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let (source, destination) = (Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3));
    let is_of_interest = matches!(protocol, PROTOCOL_UDP | PROTOCOL_ICMP);
    if version >> 4 != 4 || !is_of_interest || destination != own.address || !is_for_this {
        return Some(Inbound::Other);
    }
    // Lengths: the header says its own in units of 4 bytes and the packet's; Ethernet may pad after that.
    let header_bytes = usize::from(version & 0xf) * 4;
    let packet = packet.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let (header, content) =
        packet.split_at_checked(header_bytes).filter(|(header, _)| header.len() >= IPV4)?;
    let is_fragment = u16::from_be_bytes([fragment_high, fragment_low]) & FRAGMENT != 0;
    if sum(header, 0) != 0xffff || is_fragment {
        return None;
    }
    if protocol == PROTOCOL_ICMP {
        read_icmp(content, source, own)
    } else {
        read_udp(content, mac, source, own)
    }
}

fn read_udp<'f>(datagram: &'f [u8], mac: Mac, source: Ipv4Addr, own: &Identity) -> Option<Inbound<'f>> {
    let (udp, _) = datagram.split_first_chunk::<UDP>()?;
    let [source_high, source_low, port_high, port_low, length_high, length_low, sum_high, sum_low] = *udp;
    if u16::from_be_bytes([port_high, port_low]) != own.page_port {
        return Some(Inbound::Other);
    }
    let datagram = datagram.get(..usize::from(u16::from_be_bytes([length_high, length_low])))?;
    let payload = datagram.get(UDP..)?;
    // 0 stands for no checksum: what page datagrams carry is summed by whoever reads it.
    if [sum_high, sum_low] != [0, 0] {
        let addresses = sum(&own.address.octets(), sum(&source.octets(), 0));
        if sum(datagram, sum(&[0, PROTOCOL_UDP, length_high, length_low], addresses)) != 0xffff {
            return None;
        }
    }
    let source = SocketAddrV4::new(source, u16::from_be_bytes([source_high, source_low]));
    Some(Inbound::Page { mac, source, payload })
}

fn read_icmp<'f>(message: &'f [u8], source: Ipv4Addr, own: &Identity) -> Option<Inbound<'f>> {
    let (echo, payload) = message.split_first_chunk::<ECHO>()?;
    let [kind, _, _, _, identifier_high, identifier_low, number_high, number_low] = *echo;
    let is_own = u16::from_be_bytes([identifier_high, identifier_low]) == own.ping_identifier;
    if kind != ECHO_REPLY || !is_own {
        return Some(Inbound::Other);
    }
    let is_whole = sum(message, 0) == 0xffff && payload == ECHO_PAYLOAD;
    is_whole.then(|| Inbound::EchoReply { source, number: u16::from_be_bytes([number_high, number_low]) })
}

/// The headers of a page datagram with `payload_bytes` to follow; `None` where IPv4 cannot say its length.
///
/// Its UDP checksum is 0, for none: a sum over bytes that a guest may change while the adapter reads them would prove
/// nothing.
pub fn page_headers(
    own: &Identity,
    mac: Mac,
    to: SocketAddrV4,
    number: u16,
    payload_bytes: usize,
) -> Option<[u8; PAGE_HEADERS]> {
    let udp_bytes = u16::try_from(payload_bytes.checked_add(UDP)?).ok()?;
    let ip = ipv4(own, *to.ip(), PROTOCOL_UDP, number, udp_bytes)?;
    let mut headers = [0; PAGE_HEADERS];
    ethernet(&mut headers, own.mac, mac, TYPE_IPV4);
    write(&mut headers, ETHERNET, &ip);
    write(&mut headers, ETHERNET + IPV4, &own.page_port.to_be_bytes());
    write(&mut headers, ETHERNET + IPV4 + 2, &to.port().to_be_bytes());
    write(&mut headers, ETHERNET + IPV4 + 4, &udp_bytes.to_be_bytes());
    Some(headers)
}

/// The frame of ping `number` to the host `to`, which is at `mac`.
pub fn ping(own: &Identity, mac: Mac, to: Ipv4Addr, number: u16) -> Option<[u8; PING]> {
    let mut message = [0; ECHO + ECHO_PAYLOAD.len()];
    write(&mut message, 0, &[ECHO_REQUEST]);
    write(&mut message, 4, &own.ping_identifier.to_be_bytes());
    write(&mut message, 6, &number.to_be_bytes());
    write(&mut message, ECHO, &ECHO_PAYLOAD);
    let checksum = !sum(&message, 0);
    write(&mut message, 2, &checksum.to_be_bytes());
    let mut frame = [0; PING];
    ethernet(&mut frame, own.mac, mac, TYPE_IPV4);
    write(&mut frame, ETHERNET, &ipv4(own, to, PROTOCOL_ICMP, number, message.len() as u16)?);
    write(&mut frame, ETHERNET + IPV4, &message);
    Some(frame)
}

/// An IPv4 header with `content_bytes` to follow; `None` where it cannot say that length.
fn ipv4(own: &Identity, to: Ipv4Addr, protocol: u8, number: u16, content_bytes: u16) -> Option<[u8; IPV4]> {
    let mut header = [0; IPV4];
    write(&mut header, 0, &[0x45, 0]);
    write(&mut header, 2, &content_bytes.checked_add(IPV4 as u16)?.to_be_bytes());
    write(&mut header, 4, &number.to_be_bytes());
    write(&mut header, 6, &DO_NOT_FRAGMENT.to_be_bytes());
    write(&mut header, 8, &[TIME_TO_LIVE, protocol]);
    write(&mut header, 12, &own.address.octets());
    write(&mut header, 16, &to.octets());
    let checksum = !sum(&header, 0);
    write(&mut header, 10, &checksum.to_be_bytes());
    Some(header)
}

/// The frame that asks everybody who has address `wanted`.
pub fn arp_request(own: &Identity, wanted: Ipv4Addr) -> [u8; ETHERNET + ARP] {
    let mut frame = [0; ETHERNET + ARP];
    ethernet(&mut frame, own.mac, BROADCAST, TYPE_ARP);
    write(&mut frame, ETHERNET, &ARP_KIND);
    write(&mut frame, ETHERNET + 6, &[0, 1]);
    write(&mut frame, ETHERNET + 8, &own.mac);
    write(&mut frame, ETHERNET + 14, &own.address.octets());
    write(&mut frame, ETHERNET + 24, &wanted.octets());
    frame
}

fn ethernet(frame: &mut [u8], from: Mac, to: Mac, kind: [u8; 2]) {
    write(frame, 0, &to);
    write(frame, 6, &from);
    write(frame, 12, &kind);
}

/// Copies `bytes` to `offset` on, if they fit there: callers' buffers are of fixed size.
fn write(out: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len())) {
        place.copy_from_slice(bytes);
    }
}

/// The ones' complement sum of big-endian 16-bit words, an odd last byte padded with 0, on top of `start` (RFC 1071).
fn sum(bytes: &[u8], start: u16) -> u16 {
    let mut words = bytes.chunks_exact(2);
    let odd = words.remainder().first().map_or(0, |&byte| u64::from(byte) << 8);
    let word = |pair: &[u8]| pair.first_chunk().map_or(0, |pair| u64::from(u16::from_be_bytes(*pair)));
    let mut total = words.by_ref().map(word).sum::<u64>() + odd + u64::from(start);
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
