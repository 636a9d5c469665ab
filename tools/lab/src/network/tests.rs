use std::{
    os::unix::net::UnixDatagram,
    thread,
    time::{Duration, Instant},
};

use super::*;

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(20);

/// A host's end of a cable, with an address.
struct Station {
    socket: UnixDatagram,
    port: Port,
    address: MacAddress,
}

impl Station {
    fn at(switch: &Switch, number: u16) -> Self {
        Self::plugged(switch.add_port(), number)
    }

    fn plugged(port: Port, number: u16) -> Self {
        let socket = UnixDatagram::from(port.plug().unwrap());
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { socket, port, address: MacAddress::of_host(number) }
    }

    fn frame_to(&self, destination: MacAddress, body: &[u8]) -> Vec<u8> {
        [&destination.0[..], &self.address.0, &[0x88, 0xb5], body].concat()
    }

    fn send(&self, destination: MacAddress, body: &[u8]) {
        self.socket.send(&self.frame_to(destination, body)).unwrap();
    }

    /// The body of the next frame.
    fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; MAX_FRAME_BYTES + 1];
        let bytes = self.socket.recv(&mut buffer).unwrap();
        buffer[HEADER_BYTES..bytes].to_vec()
    }

    fn has_received_all(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let nothing = self.socket.recv(&mut [0; 64]).is_err();
        self.socket.set_nonblocking(false).unwrap();
        nothing
    }
}

const BROADCAST: MacAddress = MacAddress([0xff; 6]);

fn three() -> (Switch, Station, Station, Station) {
    let switch = Switch::new();
    let (a, b, c) = (Station::at(&switch, 1), Station::at(&switch, 2), Station::at(&switch, 3));
    (switch, a, b, c)
}

#[test]
fn floods_what_it_does_not_know_and_learns() {
    let (_switch, a, b, c) = three();
    a.send(b.address, b"where are you");
    assert_eq!(b.receive(), b"where are you");
    assert_eq!(c.receive(), b"where are you");
    b.send(a.address, b"here");
    assert_eq!(a.receive(), b"here");
    a.send(b.address, b"now I know");
    assert_eq!(b.receive(), b"now I know");
    a.send(BROADCAST, b"to all");
    // Each next frame of `c` is the broadcast: it saw neither the answer nor what came after.
    assert_eq!((b.receive(), c.receive()), (b"to all".to_vec(), b"to all".to_vec()));
    assert!(a.has_received_all() && b.has_received_all() && c.has_received_all());
}

#[test]
fn multicast_goes_to_all_others_also_where_its_address_was_a_source() {
    let (_switch, a, b, c) = three();
    let group = MacAddress([0x33, 0x33, 0, 0, 0, 1]);
    let liar = Station { address: group, ..b };
    liar.send(c.address, b"I am a group");
    assert_eq!((a.receive().len(), c.receive().len()), (12, 12));
    a.send(group, b"hello group");
    assert_eq!((liar.receive(), c.receive()), (b"hello group".to_vec(), b"hello group".to_vec()));
}

#[test]
fn a_station_behind_the_same_port_is_reached_without_the_switch() {
    let (_switch, a, b, _c) = three();
    let neighbour = MacAddress::of_host(9);
    a.socket.send(&[&BROADCAST.0[..], &neighbour.0, &[0x88, 0xb5]].concat()).unwrap();
    assert_eq!(b.receive(), b"");
    a.send(neighbour, b"between us");
    a.send(BROADCAST, b"to all");
    assert_eq!(b.receive(), b"to all");
}

#[test]
fn frames_are_counted_by_port_direction_and_fate() {
    let (_switch, a, b, c) = three();
    a.send(b.address, &[0; 86]);
    a.socket.send(&[0; HEADER_BYTES - 1]).unwrap();
    a.send(BROADCAST, &[0; MAX_FRAME_BYTES - HEADER_BYTES + 1]);
    a.send(BROADCAST, &[1; MAX_FRAME_BYTES - HEADER_BYTES]);
    for station in [&b, &c] {
        assert_eq!(station.receive().len(), 86);
        assert_eq!(station.receive(), vec![1; MAX_FRAME_BYTES - HEADER_BYTES]);
    }
    let sent = a.port.counters();
    assert_eq!(sent.from_host, Traffic { frames: 2, bytes: 100 + MAX_FRAME_BYTES as u64 });
    assert_eq!(sent.to_host, Traffic::default());
    assert_eq!(sent.dropped, Drops { malformed: 2, ..Drops::default() });
    // What `a` sent next went by the same thread, after `c` was served and counted.
    a.send(BROADCAST, b"");
    assert_eq!(c.receive(), b"");
    assert_eq!(b.port.counters().to_host, Traffic { frames: 3, bytes: sent.from_host.bytes + 14 });
}

#[test]
fn a_cut_port_loses_frames_both_ways_until_it_is_restored() {
    let (_switch, a, b, c) = three();
    b.port.cut();
    assert!(b.port.is_cut());
    a.send(BROADCAST, b"lost");
    assert_eq!(c.receive(), b"lost");
    b.send(BROADCAST, b"lost as well");
    b.port.restore();
    // Whether the switch takes the frame before or after the restoration is open: ask it what it did.
    b.send(BROADCAST, b"after");
    let first = c.receive();
    let cut = b.port.counters().dropped.cut;
    match first.as_slice() {
        b"after" => assert_eq!(cut, 2),
        other => assert_eq!((other, cut), (&b"lost as well"[..], 1)),
    }
}

#[test]
fn a_port_can_be_cut_in_the_middle_of_what_its_host_sends() {
    let (_switch, a, b, _c) = three();
    a.port.cut_after(3 * 20);
    for number in 0..5 {
        a.send(BROADCAST, &[number; 6]);
    }
    a.socket.send(&[0; 3]).unwrap();
    for number in 0..3 {
        assert_eq!(b.receive(), [number; 6]);
    }
    let deadline = Instant::now() + SOON;
    // The malformed frame is counted last.
    while a.port.counters().dropped.malformed == 0 {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!(a.port.counters().dropped.cut, 2);
    assert!(a.port.is_cut() && b.has_received_all());
}

#[test]
fn nothing_is_lost_on_the_way_to_a_slow_host() {
    const FRAMES: u32 = 20_000;
    let (_switch, a, b, _c) = three();
    b.send(BROADCAST, b"");
    a.receive();
    let to = b.address;
    let sender = thread::spawn(move || {
        for number in 0..FRAMES {
            a.send(to, &[&number.to_le_bytes()[..], &[0; 1400]].concat());
        }
        a
    });
    for number in 0..FRAMES {
        assert_eq!(b.receive()[..4], number.to_le_bytes());
    }
    sender.join().unwrap();
    assert_eq!(b.port.counters().dropped, Drops::default());
}

#[test]
fn a_host_that_takes_nothing_holds_the_others_up_only_once() {
    let (_switch, a, b, c) = three();
    for station in [&b, &c] {
        station.send(a.address, b"");
        a.receive();
    }
    // The first frames of both are flooded to the other: there `a` was not heard yet.
    assert_eq!((b.receive(), c.receive()), (vec![], vec![]));
    let began = Instant::now();
    let mut sent = 0;
    while b.port.counters().dropped.full < 100 {
        a.send(b.address, &[0; 60_000]);
        sent += 1;
        assert!(began.elapsed() < SOON, "{:?}", b.port.counters());
    }
    a.send(c.address, b"you hear me");
    assert_eq!(c.receive(), b"you hear me");
    assert!(began.elapsed() < Duration::from_secs(10), "every frame waited");
    let taken = b.port.counters().to_host.frames;
    assert!(taken >= 2 && taken < sent);
    for _ in 1..taken {
        assert_eq!(b.receive().len(), 60_000);
    }
    // What it takes now it gets.
    a.send(b.address, b"good morning");
    while b.receive() != b"good morning" {}
}

#[test]
fn another_host_may_take_the_place_of_one() {
    let (_switch, a, b, c) = three();
    b.send(BROADCAST, b"I am here");
    assert_eq!((a.receive().len(), c.receive().len()), (9, 9));
    let Station { socket, port, address } = b;
    drop(socket);
    a.send(address, b"are you");
    a.send(BROADCAST, b"is he");
    assert_eq!(c.receive(), b"is he");
    assert_eq!(port.counters().dropped.unplugged, 2);
    let d = Station::plugged(port, 4);
    a.send(address, b"who is there");
    assert_eq!((d.receive(), c.receive()), (b"who is there".to_vec(), b"who is there".to_vec()));
}

#[test]
fn a_switch_ends_though_a_host_takes_nothing() {
    let (switch, a, b, _c) = three();
    b.send(BROADCAST, b"");
    a.receive();
    let full = || b.port.counters().to_host.bytes > 100_000;
    while !full() {
        a.send(b.address, &[0; 60_000]);
    }
    let began = Instant::now();
    drop(switch);
    assert!(began.elapsed() < SOON);
    assert!(a.port.plug().unwrap_err().to_string().contains("the switch is gone"));
    assert!(a.socket.send(&[0; 60]).is_err());
}

#[test]
fn captures_what_hosts_send() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lab.pcap");
    let switch = Switch::with_capture(&path).unwrap();
    let (a, b) = (Station::at(&switch, 1), Station::at(&switch, 2));
    a.send(BROADCAST, b"to the file");
    b.receive();
    b.send(a.address, b"and back");
    a.receive();
    switch.finish().unwrap();
    let file = std::fs::read(path).unwrap();
    let frames = [a.frame_to(BROADCAST, b"to the file"), b.frame_to(a.address, b"and back")];
    assert_eq!(file.len(), 24 + 16 + frames[0].len() + 16 + frames[1].len());
    assert_eq!(file[40..][..frames[0].len()], frames[0]);
    assert!(file.ends_with(&frames[1]));
    let missing = Switch::with_capture(std::path::Path::new("/nowhere/lab.pcap")).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/lab.pcap"));
}
