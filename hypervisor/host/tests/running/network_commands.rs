//! `network` and `ping`, with another host on a pretended Ethernet.

use godwit_host::{
    machine::Instant,
    network::{Network, PAGE_PORT, Subnet},
};

use crate::{
    ethernet::Ethernet,
    fake::FakeMachine,
    world::{Setup, World},
};

const COMMAND_LINE: &str =
    "godwit.host=lab-a godwit.address=10.0.0.1/24 godwit.peers=lab-b@10.0.0.2,lab-c@10.0.0.3";

/// A host called lab-a whose neighbour lab-b is there, and whose neighbour lab-c is not.
fn neighbours() -> (World, &'static Ethernet) {
    let wire = Ethernet::new();
    let mut machine = FakeMachine::new(1);
    machine.network = Some(wire.plug(9000));
    let mut world = Setup { machine, command_line: COMMAND_LINE, ..Setup::default() }.ready();
    let subnet = Subnet::parse("10.0.0.2/24").unwrap();
    world.peers.push(Network::new(wire.plug(9000), subnet, 5, Instant::default()).unwrap());
    (world, wire)
}

#[test]
fn the_banner_says_the_address_or_what_is_missing() {
    let mut machine = FakeMachine::new(1);
    machine.network = Some(Ethernet::new().plug(9000));
    let mut with_adapter = Setup { machine, command_line: COMMAND_LINE, ..Setup::default() }.build();
    with_adapter.run();
    let banner = with_adapter.output();
    let line = "\n  network   10.0.0.1/24, hardware address 02:00:00:00:00:01, packets of up to 9000 bytes\n";
    assert!(banner.contains(line), "{banner}");
    let mut without = Setup { command_line: COMMAND_LINE, ..Setup::default() }.build();
    without.run();
    let banner = without.output();
    assert!(banner.contains("\n  network   none: this machine has no usable network adapter"), "{banner}");
    let why =
        "network: this machine has no usable network adapter: a virtio-net device with MSI-X is needed\n";
    assert_eq!(without.command("network"), why);
}

#[test]
fn a_host_without_an_address_says_how_to_give_it_one() {
    let mut machine = FakeMachine::new(1);
    machine.network = Some(Ethernet::new().plug(1500));
    let mut world = Setup { machine, ..Setup::default() }.ready();
    let why = "this host has no network address: boot it with one, such as godwit.address=10.0.0.1/24\n";
    assert_eq!(world.command("network"), format!("network: {why}"));
    assert_eq!(world.command("ping 10.0.0.2"), format!("ping: {why}"));
}

#[test]
fn a_host_that_is_there_answers_by_name_and_by_address() {
    let (mut world, _) = neighbours();
    for host in ["lab-b", "10.0.0.2"] {
        let output = world.command(&format!("ping {host}"));
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines.len(), 4, "{output}");
        for line in &lines[..3] {
            assert!(line.starts_with("10.0.0.2 answers after 0.") && line.ends_with(" ms"), "{output}");
        }
        assert_eq!(lines[3], "3 of 3 answered");
    }
}

#[test]
fn a_host_that_is_not_there_is_given_up() {
    let (mut world, _) = neighbours();
    let before = world.machine.state().now_ns;
    assert_eq!(
        world.command("ping lab-c"),
        "10.0.0.3 does not answer within 1000 ms\n\
         10.0.0.3 does not answer within 1000 ms\n\
         10.0.0.3 does not answer within 1000 ms\n\
         0 of 3 answered\n"
    );
    let waited_ms = (world.machine.state().now_ns - before) / 1_000_000;
    assert!((3000..3100).contains(&waited_ms), "{waited_ms} ms");
}

#[test]
fn a_late_answer_is_not_taken_for_the_next_ones() {
    let (mut world, wire) = neighbours();
    wire.lose(1000);
    let output = world.command("ping lab-b");
    assert!(output.ends_with("0 of 3 answered\n"), "{output}");
    wire.lose(0);
    let output = world.command("ping lab-b");
    assert!(output.ends_with("\n3 of 3 answered\n"), "{output}");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let (mut world, _) = neighbours();
    for (host, why) in [
        ("lab-d", "no peer is called \"lab-d\", and it is no IPv4 address; \"network\" lists the peers"),
        ("10.0.0.1", "10.0.0.1 is this host itself"),
        ("10.0.1.2", "10.0.1.2 is not in this host's network"),
    ] {
        assert_eq!(world.command(&format!("ping {host}")), format!("ping: {why}\n"));
    }
}

#[test]
fn a_ping_can_be_stopped() {
    let (mut world, wire) = neighbours();
    wire.lose(1000);
    world.feed(b"ping lab-b\r");
    for _ in 0..3 {
        world.turn();
    }
    world.feed(b"\x03");
    world.run();
    assert!(world.output().ends_with("^C\n0 of 1 answered\nlab-a> "));
}

#[test]
fn the_network_shows_traffic_and_peers() {
    let (mut world, wire) = neighbours();
    let before = world.command("network");
    for line in [
        "  network   10.0.0.1/24, hardware address 02:00:00:00:00:01, packets of up to 9000 bytes",
        "  sent      0 frames, 0 B; among them 0 page datagrams with 0 B",
        "  control   0 connections",
        "  peers     lab-b at 10.0.0.2, not heard of yet",
        "            lab-c at 10.0.0.3, not heard of yet",
    ] {
        assert!(before.lines().any(|found| found == line), "{line:?} is missing from\n{before}");
    }
    world.command("ping lab-b");
    let to = std::net::SocketAddrV4::new([10, 0, 0, 1].into(), PAGE_PORT);
    world.peers[0].send_pages(to, &[0; 1000], &[], Instant::default()).unwrap();
    wire.deliver(0, vec![0; 10]);
    let after = world.command("network");
    for line in [
        "  received  6 frames, 1.3 KiB; among them 1 page datagrams with 1000 B",
        "  lost      1 malformed, 0 unwanted, 0 control frames not sent",
        "  peers     lab-b at 10.0.0.2, 02:00:00:00:00:02, heard of 0 s ago",
    ] {
        assert!(after.lines().any(|found| found == line), "{line:?} is missing from\n{after}");
    }
}
