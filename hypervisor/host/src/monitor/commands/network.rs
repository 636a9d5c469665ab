//! `network` and `ping`.

use alloc::boxed::Box;
use core::{
    fmt::{self, Write},
    net::Ipv4Addr,
};

use super::Outcome;
use crate::{
    banner::{self, layout::paragraph},
    console::Console,
    excerpt::Excerpt,
    network::{Network, Peer, frame::Colons, job::PingJob},
    size::Size,
    state::HostState,
};

pub(super) fn network<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    if !arguments.is_empty() {
        return Ok(Outcome::Usage);
    }
    let network = match &state.network {
        Ok(network) => network,
        Err(why) => return writeln!(out, "network: {why}").map(|()| Outcome::Done),
    };
    banner::network(out, &state.startup, state.machine)?;
    let counters = network.counters();
    let traffic = network.traffic();
    for (label, frames, bytes, pages, page_bytes) in [
        ("sent", counters.frames_sent, counters.bytes_sent, traffic.pages_sent, traffic.page_bytes_sent),
        (
            "received",
            counters.frames_received,
            counters.bytes_received,
            traffic.pages_received,
            traffic.page_bytes_received,
        ),
    ] {
        let (bytes, page_bytes) = (Size::from_bytes(bytes), Size::from_bytes(page_bytes));
        paragraph(
            out,
            label,
            format_args!("{frames} frames, {bytes}; among them {pages} page datagrams with {page_bytes}"),
        )?;
    }
    let (malformed, unwanted, unsent) = (traffic.malformed, traffic.unwanted, traffic.unsent);
    if malformed + unwanted + unsent > 0 {
        paragraph(
            out,
            "lost",
            format_args!("{malformed} malformed, {unwanted} unwanted, {unsent} control frames not sent"),
        )?;
    }
    paragraph(out, "control", format_args!("{} connections", network.open_connections()))?;
    let now = state.machine.now();
    for (index, Peer { name, address }) in state.startup.command_line.options.peers.iter().enumerate() {
        let label = if index == 0 { "peers" } else { "" };
        match network.neighbour(*address).and_then(|neighbour| neighbour.known) {
            Some((mac, confirmed)) => {
                let seconds = now.since(confirmed).as_secs();
                let mac = Colons(mac);
                paragraph(out, label, format_args!("{name} at {address}, {mac}, heard of {seconds} s ago"))?;
            }
            None => paragraph(out, label, format_args!("{name} at {address}, not heard of yet"))?,
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn ping<'a, 'm>(
    state: &mut HostState<'a, 'm>,
    out: &mut Console<'a>,
    arguments: &[&str],
) -> Result<Outcome<'a, 'm>, fmt::Error> {
    let [host] = *arguments else { return Ok(Outcome::Usage) };
    let network = match &state.network {
        Ok(network) => network,
        Err(why) => return writeln!(out, "ping: {why}").map(|()| Outcome::Done),
    };
    let named = state.startup.command_line.options.peers.find(host).map(|peer| peer.address);
    let Some(address) = named.or_else(|| host.parse().ok()) else {
        let shown = Excerpt::new(host);
        writeln!(
            out,
            "ping: no peer is called \"{shown}\", and it is no IPv4 address; \"network\" lists the peers"
        )?;
        return Ok(Outcome::Done);
    };
    match unreachable(network, address) {
        Some(why) => writeln!(out, "ping: {address} {why}").map(|()| Outcome::Done),
        None => Ok(Outcome::Job(Box::new(PingJob::new(address)))),
    }
}

/// Why a host cannot be talked to, if it cannot.
pub(super) fn unreachable(network: &Network<'_>, address: Ipv4Addr) -> Option<&'static str> {
    if address == network.subnet().address() {
        Some("is this host itself")
    } else if !network.subnet().holds(address) {
        Some("is not in this host's network")
    } else {
        None
    }
}
