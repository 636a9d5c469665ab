//! Who is where: hardware addresses of hosts that page datagrams go to, learnt by ARP (RFC 826).

use core::{net::Ipv4Addr, time::Duration};

use arrayvec::ArrayVec;

use super::frame::Mac;
use crate::machine::Instant;

/// Hosts that are kept in mind.
const MAX_NEIGHBOURS: usize = 32;
/// A host that was not heard of for so long is asked again while its address is still used.
const FRESH: Duration = Duration::from_secs(30);
/// A host that was not heard of for so long is not believed to be where it was.
const KEPT: Duration = Duration::from_secs(120);
/// A question is asked again after so long at the earliest.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// What is known about a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its hardware address and when it was last confirmed, where it ever answered.
    pub known: Option<(Mac, Instant)>,
    asked: Option<Instant>,
}

/// What to do about a packet for a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resolution {
    /// Where to send it, if that is known.
    pub(super) mac: Option<Mac>,
    /// Whether to ask who has the address.
    pub(super) ask: bool,
}

/// The hosts that are kept in mind.
#[derive(Default)]
pub(super) struct Neighbours(ArrayVec<Neighbour, MAX_NEIGHBOURS>);

impl Neighbours {
    /// Where `address` is, and whether to ask; a question is then taken to be asked at `now`.
    pub(super) fn resolve(&mut self, address: Ipv4Addr, now: Instant) -> Resolution {
        let neighbour = self.entry(address);
        let age = neighbour.known.map(|(_, confirmed)| now.since(confirmed));
        let may_ask = neighbour.asked.is_none_or(|asked| now.since(asked) >= ASK_AGAIN);
        let ask = may_ask && age.is_none_or(|age| age >= FRESH);
        if ask {
            neighbour.asked = Some(now);
        }
        let mac = neighbour.known.filter(|(_, confirmed)| now.since(*confirmed) < KEPT).map(|(mac, _)| mac);
        Resolution { mac, ask }
    }

    /// An ARP packet says where `address` is. One that is not `for_this` host, a question to another or an announcement,
    /// corrects what is known and adds nothing.
    pub(super) fn learn(&mut self, address: Ipv4Addr, mac: Mac, for_this: bool, now: Instant) {
        if for_this {
            self.entry(address).known = Some((mac, now));
        } else if let Some(neighbour) = self.known(address) {
            neighbour.known = Some((mac, now));
        }
    }

    /// A page datagram came from `address` by `mac`: where that agrees with what is known, it confirms it.
    pub(super) fn confirm(&mut self, address: Ipv4Addr, mac: Mac, now: Instant) {
        if let Some((known, confirmed)) = self.known(address).and_then(|neighbour| neighbour.known.as_mut())
            && *known == mac
        {
            *confirmed = now;
        }
    }

    /// What is known about `address`.
    pub(super) fn get(&self, address: Ipv4Addr) -> Option<&Neighbour> {
        self.0.iter().find(|neighbour| neighbour.address == address)
    }

    fn known(&mut self, address: Ipv4Addr) -> Option<&mut Neighbour> {
        self.0.iter_mut().find(|neighbour| neighbour.address == address && neighbour.known.is_some())
    }

    /// The entry of `address`; a new one takes the place of the one that was heard of least recently.
    fn entry(&mut self, address: Ipv4Addr) -> &mut Neighbour {
        let new = Neighbour { address, known: None, asked: None };
        let index = self.0.iter().position(|neighbour| neighbour.address == address).unwrap_or_else(|| {
            if self.0.try_push(new).is_ok() {
                return self.0.len() - 1;
            }
            let heard = |neighbour: &Neighbour| neighbour.known.map(|(_, at)| at).max(neighbour.asked);
            let oldest = self.0.iter().enumerate().min_by_key(|(_, neighbour)| heard(neighbour));
            let index = oldest.map_or(0, |(index, _)| index);
            self.0[index] = new;
            index
        });
        &mut self.0[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 0, 0, 0, 0, 2];
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn at(milliseconds: u64) -> Instant {
        Instant::from_nanoseconds(milliseconds * 1_000_000)
    }

    #[test]
    fn an_unknown_host_is_asked_for_at_a_bounded_rate_until_it_answers() {
        let mut neighbours = Neighbours::default();
        let unknown = |ask| Resolution { mac: None, ask };
        assert_eq!(neighbours.resolve(HOST, at(0)), unknown(true));
        assert_eq!(neighbours.resolve(HOST, at(249)), unknown(false));
        assert_eq!(neighbours.resolve(HOST, at(250)), unknown(true));
        neighbours.learn(HOST, MAC, true, at(300));
        assert_eq!(neighbours.resolve(HOST, at(301)), Resolution { mac: Some(MAC), ask: false });
    }

    #[test]
    fn what_is_old_is_asked_again_and_what_is_very_old_is_not_used() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(HOST, MAC, true, at(0));
        assert_eq!(neighbours.resolve(HOST, at(30_000)), Resolution { mac: Some(MAC), ask: true });
        neighbours.confirm(HOST, [2, 0, 0, 0, 0, 9], at(30_001));
        assert_eq!(neighbours.resolve(HOST, at(119_999)), Resolution { mac: Some(MAC), ask: true });
        assert_eq!(neighbours.resolve(HOST, at(120_000)), Resolution { mac: None, ask: false });
        neighbours.learn(HOST, MAC, true, at(0));
        neighbours.confirm(HOST, MAC, at(119_000));
        assert_eq!(neighbours.resolve(HOST, at(140_000)), Resolution { mac: Some(MAC), ask: false });
    }

    #[test]
    fn announcements_correct_and_add_nothing() {
        let mut neighbours = Neighbours::default();
        neighbours.learn(HOST, MAC, false, at(0));
        assert_eq!(neighbours.get(HOST), None);
        neighbours.learn(HOST, MAC, true, at(0));
        let moved = [2, 0, 0, 0, 0, 9];
        neighbours.learn(HOST, moved, false, at(1));
        assert_eq!(neighbours.resolve(HOST, at(2)).mac, Some(moved));
    }

    #[test]
    fn the_least_recently_heard_of_makes_room() {
        let mut neighbours = Neighbours::default();
        for host in 0..=MAX_NEIGHBOURS as u8 {
            neighbours.learn(Ipv4Addr::new(10, 0, 0, host), MAC, true, at(1000 - u64::from(host)));
        }
        // The last but one was heard of least recently when the last one came.
        assert_eq!(neighbours.get(Ipv4Addr::new(10, 0, 0, MAX_NEIGHBOURS as u8 - 1)), None);
        assert!(neighbours.get(Ipv4Addr::new(10, 0, 0, 0)).is_some());
        assert_eq!(neighbours.0.len(), MAX_NEIGHBOURS);
    }
}
