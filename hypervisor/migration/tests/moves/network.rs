//! The network: a stream that keeps order until it is cut, and datagrams that keep nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::random::Random;

pub(crate) const MICROSECOND_NS: u64 = 1000;
pub(crate) const MILLISECOND_NS: u64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    Source,
    Destination,
}

/// How the network treats datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) lost_percent: u64,
    pub(crate) doubled_percent: u64,
    /// A datagram may take this much longer than the one before it.
    pub(crate) jitter_ns: u64,
}

pub(crate) const FAIR: Weather = Weather { lost_percent: 0, doubled_percent: 0, jitter_ns: 0 };
pub(crate) const ROUGH: Weather =
    Weather { lost_percent: 10, doubled_percent: 5, jitter_ns: 400 * MICROSECOND_NS };

/// What arrives at a side.
#[derive(Clone, Debug)]
pub(crate) enum Arrival {
    Datagram(Vec<u8>),
    /// Bytes of the connection of that number.
    Stream(u64, Vec<u8>),
    /// The connection of that number is gone.
    Closed(u64),
}

/// Bytes on the wire, Ethernet headers included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) datagram_bytes: u64,
    pub(crate) stream_bytes: u64,
}

pub(crate) struct Network {
    weather: Weather,
    /// By time, then in the order of sending.
    under_way: BTreeMap<(u64, u64), (Side, Arrival)>,
    sent: u64,
    connection: u64,
    is_cut: bool,
    /// When the last bytes of the connection reach each side.
    stream_end_ns: [u64; 2],
    pub(crate) traffic: Traffic,
    /// How many datagrams have a byte changed under way.
    pub(crate) spoil_percent: u64,
}

/// Ethernet, IPv4 and UDP.
const UDP_OVERHEAD_BYTES: u64 = 14 + 20 + 8;
/// Ethernet, IPv4 and TCP with time stamps.
const TCP_OVERHEAD_BYTES: u64 = 14 + 20 + 32;
const LATENCY_NS: u64 = 50 * MICROSECOND_NS;

impl Network {
    pub(crate) fn new(weather: Weather) -> Self {
        Self {
            weather,
            under_way: BTreeMap::new(),
            sent: 0,
            connection: 0,
            is_cut: false,
            stream_end_ns: [0; 2],
            traffic: Traffic::default(),
            spoil_percent: 0,
        }
    }

    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.under_way.keys().next().map(|(at_ns, _)| *at_ns)
    }

    pub(crate) fn take(&mut self) -> Option<(Side, Arrival)> {
        self.under_way.pop_first().map(|(_, arrival)| arrival)
    }

    fn send(&mut self, at_ns: u64, to: Side, arrival: Arrival) {
        self.sent += 1;
        self.under_way.insert((at_ns, self.sent), (to, arrival));
    }

    pub(crate) fn datagram(&mut self, now_ns: u64, random: &mut Random, to: Side, mut bytes: Vec<u8>) {
        if random.percent(self.spoil_percent) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        self.traffic.datagram_bytes += (bytes.len() as u64 + UDP_OVERHEAD_BYTES).max(60);
        let copies = if random.percent(self.weather.doubled_percent) { 2 } else { 1 };
        for _ in 0..copies {
            if !random.percent(self.weather.lost_percent) {
                let jitter_ns = random.below(self.weather.jitter_ns + 1);
                self.send(now_ns + LATENCY_NS + jitter_ns, to, Arrival::Datagram(bytes.clone()));
            }
        }
    }

    pub(crate) fn stream(&mut self, now_ns: u64, random: &mut Random, to: Side, bytes: &[u8]) {
        let segments = bytes.chunks(1400);
        // Each segment, and an acknowledgement for each.
        self.traffic.stream_bytes += bytes.len() as u64 + segments.len() as u64 * 2 * TCP_OVERHEAD_BYTES;
        if self.is_cut {
            return;
        }
        for segment in segments {
            let at_ns = (now_ns + LATENCY_NS + random.below(LATENCY_NS)).max(self.stream_end_ns[to as usize]);
            self.stream_end_ns[to as usize] = at_ns;
            self.send(at_ns, to, Arrival::Stream(self.connection, segment.to_vec()));
        }
    }

    /// Cuts the connection: a part of what is under way still arrives, in order, and each side hears of it on its own time.
    pub(crate) fn cut(&mut self, now_ns: u64, random: &mut Random) {
        if self.is_cut {
            return;
        }
        self.is_cut = true;
        for side in [Side::Source, Side::Destination] {
            let mut segments: VecDeque<_> = self
                .under_way
                .iter()
                .filter(|(_, (to, what))| {
                    *to == side && matches!(what, Arrival::Stream(of, _) if *of == self.connection)
                })
                .map(|(key, _)| *key)
                .collect();
            let kept = random.below(segments.len() as u64 + 1) as usize;
            segments.drain(..kept);
            segments.iter().for_each(|key| drop(self.under_way.remove(key)));
            let heard_ns = now_ns + random.pick(&[0, MILLISECOND_NS, 3000 * MILLISECOND_NS]);
            let heard_ns = if kept > 0 { heard_ns.max(self.stream_end_ns[side as usize]) } else { heard_ns };
            self.send(heard_ns, side, Arrival::Closed(self.connection));
        }
    }

    /// A new connection, by its number.
    pub(crate) fn connect(&mut self, now_ns: u64) -> u64 {
        self.connection += 1;
        self.is_cut = false;
        self.stream_end_ns = [now_ns; 2];
        self.connection
    }

    pub(crate) fn connection(&self) -> u64 {
        self.connection
    }
}
