//! Ethernet frames off the network.

use std::net::Ipv4Addr;

use godwit_host::network::frame::{Identity, Inbound, arp_request, ping, read};

use crate::{Kind, Target};

/// Frames, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "frame", kind: Kind::Outside, run, corpus, max_bytes: 1600, executions: 250_000 };

const OWN: Identity = Identity {
    mac: [2, 0, 0, 0, 0, 1],
    address: Ipv4Addr::new(10, 0, 0, 1),
    page_port: 7001,
    ping_identifier: 5,
};

fn run(bytes: &[u8]) {
    let inbound = read(bytes, &OWN);
    if let Inbound::Page { payload, .. } = inbound {
        let range = bytes.as_ptr_range();
        assert!(payload.is_empty() || range.contains(&payload.as_ptr()), "the payload is the frame's");
        assert!(payload.len() <= bytes.len().saturating_sub(42));
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut datagram = [&OWN.mac[..], &[2, 0, 0, 0, 0, 2, 8, 0]].concat();
    datagram.extend([0x45, 0, 0, 28 + 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
    datagram.extend([0x1b, 0x58, 0x1b, 0x59, 0, 28, 0, 0]);
    datagram.extend([7; 20]);
    let mut fragment = datagram.clone();
    fragment[20] = 0x20;
    let arp = arp_request(&OWN, Ipv4Addr::new(10, 0, 0, 2)).to_vec();
    let echo = ping(&OWN, OWN.mac, OWN.address, 3).map(|frame| frame.to_vec()).unwrap_or_default();
    let mut answer = echo.clone();
    if let Some(kind) = answer.get_mut(34) {
        *kind = 0;
    }
    vec![datagram, fragment, arp, echo, answer]
}
