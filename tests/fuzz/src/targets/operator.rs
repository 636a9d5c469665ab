//! What an operator or a loader writes before there is a heap: the command line.

use godwit_host::{
    command_line::{CommandLine, MAX_PROBLEMS},
    network::{Peers, Subnet},
};

use crate::{Kind, Target};

/// Command lines, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "command-line", kind: Kind::Outside, run, corpus, max_bytes: 2048, executions: 150_000 };

fn run(bytes: &[u8]) {
    let Some((cut, text)) = bytes.split_first() else { return };
    let line = String::from_utf8_lossy(text);
    let read = CommandLine::parse(&line, cut & 1 != 0);
    assert!(read.problems().len() <= MAX_PROBLEMS);
    for problem in read.problems() {
        assert!(problem.position <= line.len(), "a problem lies on the line");
        let _ = problem.to_string();
    }
    assert!(!read.options.host_name().is_empty() && !read.options.group_name().is_empty());
    if let Some(subnet) = Subnet::parse(&line) {
        assert_eq!(Subnet::parse(&subnet.to_string()), Some(subnet), "what is shown can be read");
    }
    if let Some(peers) = Peers::parse(&line) {
        assert!(peers.iter().all(|peer| peers.find(peer.name.as_str()).is_some()));
    }
}

fn corpus() -> Vec<Vec<u8>> {
    const LINES: &[&str] = &[
        "godwit.host=a godwit.group=lab godwit.log=debug godwit.cpus=4",
        "godwit.address=10.0.0.1/24 godwit.peers=b@10.0.0.2,c@10.0.0.3",
        "godwit.tsc_hz=2000000000 godwit.fragment=60:7",
        "godwit.host=\"a b\" log=\"info\"x unknown godwit.cpus=99999999999 godwit.host=b godwit.hots=\"",
        "10.0.0.1/24",
        "b@10.0.0.2,c@10.0.0.3",
    ];
    LINES
        .iter()
        .flat_map(|line| [[&[0], line.as_bytes()].concat(), [&[1], line.as_bytes()].concat()])
        .collect()
}
