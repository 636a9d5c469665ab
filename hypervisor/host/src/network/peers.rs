//! Other hosts by name.

use core::net::Ipv4Addr;

use super::address::is_host;
use crate::name::Name;

/// Other hosts that can be named.
pub const MAX_PEERS: usize = 16;

/// Another host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What it is called.
    pub name: Name,
    /// Where it is.
    pub address: Ipv4Addr,
}

/// The other hosts that were named, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peers([Option<Peer>; MAX_PEERS]);

impl Peers {
    /// What a list of peers has to look like, for messages.
    pub const EXPECTED: &'static str =
        "up to 16 times NAME@ADDRESS with commas between, such as lab-b@10.0.0.2";

    /// Reads `lab-b@10.0.0.2,lab-c@10.0.0.3`: each name and each address once.
    pub fn parse(text: &str) -> Option<Self> {
        let mut peers = Self::default();
        for (index, word) in text.split(',').enumerate() {
            let (name, address) = word.split_once('@')?;
            let peer =
                Peer { name: Name::new(name)?, address: address.parse().ok().filter(|&at| is_host(at))? };
            if peers.iter().any(|other| other.name == peer.name || other.address == peer.address) {
                return None;
            }
            *peers.0.get_mut(index)? = Some(peer);
        }
        Some(peers)
    }

    /// The peers in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.iter().flatten()
    }

    /// The peer called `name`.
    pub fn find(&self, name: &str) -> Option<&Peer> {
        self.iter().find(|peer| peer.name.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PEERS, Peers};

    #[test]
    fn peers_are_named_once_each() {
        let peers = Peers::parse("lab-b@10.0.0.2,lab-c@10.0.0.3").unwrap();
        let listed: Vec<_> = peers.iter().map(|peer| format!("{} {}", peer.name, peer.address)).collect();
        assert_eq!(listed, ["lab-b 10.0.0.2", "lab-c 10.0.0.3"]);
        assert_eq!(peers.find("lab-c").map(|peer| peer.address.octets()), Some([10, 0, 0, 3]));
        assert_eq!(peers.find("lab"), None);
        for bad in [
            "",
            ",",
            "lab-b",
            "lab-b@",
            "@10.0.0.2",
            "lab-b@10.0.0",
            "lab b@10.0.0.2",
            "a@10.0.0.2,",
            "a@127.0.0.1",
            "a@10.0.0.2,a@10.0.0.3",
            "a@10.0.0.2,b@10.0.0.2",
        ] {
            assert_eq!(Peers::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn there_are_no_more_peers_than_there_is_room_for() {
        let list =
            |count: usize| (1..=count).map(|n| format!("h{n}@10.0.0.{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(Peers::parse(&list(MAX_PEERS)).map(|peers| peers.iter().count()), Some(MAX_PEERS));
        assert_eq!(Peers::parse(&list(MAX_PEERS + 1)), None);
    }
}
