//! Which station was heard on which port.

use std::collections::HashMap;

use super::MacAddress;

/// Stations remembered at most: a host that makes up addresses costs no more. Frames to the others are flooded, which is right
/// and only slower.
const MAX_STATIONS: usize = 4096;

/// The learning table of a switch.
#[derive(Debug, Default)]
pub(super) struct Stations {
    ports: HashMap<MacAddress, usize>,
}

impl Stations {
    /// Remembers that `station` was heard on `port`; the last port counts, since stations move.
    pub(super) fn learn(&mut self, station: MacAddress, port: usize) {
        if station.is_group() || (self.ports.len() >= MAX_STATIONS && !self.ports.contains_key(&station)) {
            return;
        }
        self.ports.insert(station, port);
    }

    /// Where `station` was heard last.
    pub(super) fn port_of(&self, station: MacAddress) -> Option<usize> {
        self.ports.get(&station).copied()
    }

    /// Forgets everything heard on `port`: another host is there now.
    pub(super) fn forget_port(&mut self, port: usize) {
        self.ports.retain(|_, heard_on| *heard_on != port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_counts_until_it_is_forgotten() {
        let mut stations = Stations::default();
        let (a, b) = (MacAddress::of_host(1), MacAddress::of_host(2));
        stations.learn(a, 0);
        stations.learn(b, 0);
        stations.learn(a, 3);
        assert_eq!((stations.port_of(a), stations.port_of(b)), (Some(3), Some(0)));
        stations.forget_port(0);
        assert_eq!((stations.port_of(a), stations.port_of(b)), (Some(3), None));
    }

    #[test]
    fn groups_are_no_stations() {
        let mut stations = Stations::default();
        stations.learn(MacAddress([0xff; 6]), 1);
        assert_eq!(stations.port_of(MacAddress([0xff; 6])), None);
    }

    #[test]
    fn made_up_addresses_do_not_fill_memory_and_do_not_push_out_known_ones() {
        let mut stations = Stations::default();
        for number in 0..=u16::MAX {
            stations.learn(MacAddress::of_host(number), 1);
        }
        assert_eq!(stations.ports.len(), MAX_STATIONS);
        stations.learn(MacAddress::of_host(0), 2);
        assert_eq!(stations.port_of(MacAddress::of_host(0)), Some(2));
        assert_eq!(stations.port_of(MacAddress::of_host(u16::MAX)), None);
    }
}
