//! A lab of shell scripts that stand in for QEMU: what joins hosts, and what happens to one while the others run.

use std::{path::Path, time::Duration};

use godwit_lab::{Emulator, HostSpec, Lab, LabFile};

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(30);
/// The stand-in: any file will do as the image.
const FAKE_QEMU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-qemu");

const TWO_HOSTS: &str = r#"
[[host]]
name = "north"
address = "10.0.0.1/24"

[[host]]
name = "south"
address = "10.0.0.2/24"
"#;

/// Finds the cable's descriptor among the arguments, sends every typed line as a frame, and prints every frame that comes.
const CABLE: &str = r#"
for argument; do case $argument in dgram,*) cable=${argument##*=} ;; esac; done
exec bash -c '
    exec 3<&0
    (while frame=$(dd bs=70000 count=1 status=none <&$0) && [ "$frame" ]; do printf "got %s\n" "$frame" >&3; done) &
    printf "ready\n" >&3
    while read -r line <&3; do printf "%s" "$line" >&$0; done
' "$cable"
"#;

/// A frame whose addresses can be typed: to `bbbbbb`, whom nobody has heard, from `dddddd`.
fn frame(body: &str) -> String {
    format!("bbbbbbdddddd??{body}")
}

fn start() -> Lab {
    let file = LabFile::parse(TWO_HOSTS).unwrap();
    let switch = file.switch().unwrap();
    let mut specs = file.specs(Path::new(FAKE_QEMU), &switch).unwrap();
    for spec in &mut specs {
        with_script(spec);
    }
    let lab = Lab::start_specs(specs, switch).unwrap();
    for host in lab.hosts() {
        host.expect("ready", SOON).unwrap();
    }
    lab
}

fn with_script(spec: &mut HostSpec) {
    spec.emulator = Emulator { program: FAKE_QEMU.into(), accelerator: "tcg".into() };
    spec.extra_arguments = vec!["-script".into(), CABLE.into()];
}

/// Sends a frame from `from` and waits until `to` has it.
fn passes(lab: &Lab, from: &str, to: &str, body: &str) {
    lab.host(from).unwrap().type_bytes(format!("{}\n", frame(body)).as_bytes()).unwrap();
    lab.host(to).unwrap().expect(&format!("got {}\n", frame(body)), SOON).unwrap();
}

#[test]
fn hosts_reach_each_other() {
    let lab = start();
    passes(&lab, "north", "south", "hello");
    passes(&lab, "south", "north", "hello yourself");
    let counters = lab.port("north").unwrap().counters();
    assert_eq!((counters.from_host.frames, counters.from_host.bytes), (1, frame("hello").len() as u64));
    assert_eq!(counters.dropped, Default::default());
    lab.finish().unwrap();
}

#[test]
fn a_host_that_starts_again_is_at_the_same_port() {
    let mut lab = start();
    passes(&lab, "north", "south", "before");
    let first = lab.host("south").unwrap().process_id();
    let south = lab.restart("south").unwrap();
    south.expect("ready", SOON).unwrap();
    assert_ne!(south.process_id(), first);
    assert!(!Path::new(&format!("/proc/{first}")).exists());
    passes(&lab, "north", "south", "after");
    passes(&lab, "south", "north", "I am back");
    assert_eq!(lab.port("south").unwrap().counters().from_host.frames, 1);
}

#[test]
fn who_is_not_there_is_named() {
    let mut lab = start();
    for error in [lab.host("west").err(), lab.port("west").err()] {
        assert!(error.unwrap().to_string().contains("west"));
    }
    assert!(lab.restart("west").unwrap_err().to_string().contains("west"));
    let (hosts, switch) = lab.into_parts();
    assert_eq!(hosts.iter().map(|host| host.name()).collect::<Vec<_>>(), ["north", "south"]);
    drop(hosts);
    switch.finish().unwrap();
}
