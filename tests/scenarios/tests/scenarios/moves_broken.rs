//! Moves whose link breaks, whose destination dies, or which somebody calls off: as the GO rule says (`docs/PROTOCOL.md`).

use anyhow::{Result, ensure};
use godwit_lab::{Port, RunningHost};
use godwit_scenarios::{
    ANSWER, ensure_says,
    pair::{
        GUEST, GuestSpec, MOVE, Pair, PairSpec, await_state, ensure_beats, ensure_state, free_frames,
        move_guest, send, stop,
    },
};

/// The port of control connections.
const CONTROL_PORT: [u8; 2] = 4746_u16.to_be_bytes();
/// Kinds of messages (`docs/PROTOCOL.md`).
const PREPARED: u16 = 0x8007;
const GO: u16 = 0x8008;
const RUNNING: u16 = 0x8009;

const CTRL_C: &[u8] = b"\x03";

/// Whether an Ethernet frame is a TCP segment of a control connection whose first message is of `KIND`.
fn says<const KIND: u16>(frame: &[u8]) -> bool {
    const ETHERNET_BYTES: usize = 14;
    const TCP: u8 = 6;
    let payload = || {
        let ip = frame.get(ETHERNET_BYTES..)?;
        let tcp = ip.get(usize::from(ip.first()? & 0xf) * 4..)?;
        let is_control = ip.get(9) == Some(&TCP)
            && (tcp.get(..2)? == CONTROL_PORT.as_slice() || tcp.get(2..4)? == CONTROL_PORT.as_slice());
        is_control.then_some(tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?)
    };
    payload().is_some_and(|payload| payload.starts_with(&KIND.to_le_bytes()))
}

/// Two hosts and a guest that beats, and what was free before it started.
struct Scene {
    pair: Pair,
    before: [u64; 2],
}

impl Scene {
    fn start() -> Result<Self> {
        let guest = GuestSpec { autostart: false, ..GuestSpec::micro("test=heartbeat count=0 ms=50") };
        let pair = Pair::start(&PairSpec::small(guest))?;
        let before = [free_frames(pair.north())?, free_frames(pair.south())?];
        pair.north().command(&format!("start {GUEST}"), ANSWER)?;
        Ok(Self { pair, before })
    }

    fn hosts(&self) -> [&RunningHost; 2] {
        [self.pair.north(), self.pair.south()]
    }

    /// The guest must run at `host`. It is stopped there; then all frames must be free again on both hosts.
    fn end_at(&self, host: &RunningHost) -> Result<()> {
        ensure_state(host, "running")?;
        ensure_beats(host)?;
        stop(host)?;
        let [north, south] = self.hosts();
        let after = [free_frames(north)?, free_frames(south)?];
        ensure!(self.before == after, "free frames on both hosts: {:?} before, {after:?} after", self.before);
        Ok(())
    }

    /// Sends the guest into doubt: the link of `cut` breaks with the first message of `KIND` that it sends.
    fn doubt<const KIND: u16>(&self, cut: &Port) -> Result<()> {
        cut.cut_at(says::<KIND>);
        let said = send(self.pair.north(), "south")?;
        ensure_says(&said, &["web-1 is in doubt: south was told to run it and has not answered"])?;
        ensure_state(self.pair.north(), "in doubt: it may run on south")
    }
}

/// Waits until `host` logs a line with these words.
fn await_log(host: &RunningHost, words: &str) -> Result<()> {
    host.expect_line(words, |line| line.contains(words), MOVE)?;
    host.wait_prompt(ANSWER)?;
    Ok(())
}

/// How often `host` has said these words.
fn said(host: &RunningHost, words: &str) -> usize {
    host.transcript().matches(words).count()
}

#[test]
fn a_link_that_breaks_before_go_leaves_the_guest_where_it_is() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    let port = scene.pair.north_port()?;
    let mut given_up = 0;
    // In the greeting, behind the offer, early among the pages, late among them.
    for host_bytes in [150, 1_000, 60_000, 150_000] {
        port.cut_after(host_bytes);
        let answer = send(north, "south")?;
        ensure!(port.is_cut(), "the move ended before {host_bytes} bytes:\n{answer}");
        ensure_says(&answer, &["web-1 stays here"])?;
        ensure_state(north, "running")?;
        port.restore();
        // What was reserved is given back as soon as the other side knows.
        if said(south, "is offered by") > given_up {
            await_log(south, "guest web-1 does not arrive")?;
            given_up += 1;
        }
    }
    ensure!(given_up >= 2, "no memory was ever reserved:\n{}", south.transcript());
    move_guest(north, south)?;
    scene.end_at(south)
}

#[test]
fn without_prepared_there_is_no_go() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    let port = scene.pair.south_port()?;
    port.cut_at(says::<PREPARED>);
    let answer = send(north, "south")?;
    ensure!(port.is_cut(), "PREPARED was never said:\n{answer}");
    ensure_says(&answer, &["web-1 stays here"])?;
    port.restore();
    await_log(south, "guest web-1 does not arrive")?;
    scene.end_at(north)
}

#[test]
fn a_go_that_is_lost_leaves_a_doubt_until_the_link_is_back() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    let port = scene.pair.north_port()?;
    scene.doubt::<GO>(port)?;
    // Nobody here can know, so nobody here may act without saying so.
    for (command, answer) in [
        ("resume web-1", "web-1 may run on the other host: look there first"),
        ("stop web-1", "web-1 may run on the other host: look there first"),
        ("pause web-1", "web-1 does not run here"),
        ("start web-1", "it is on its way already"),
        ("send web-1 south", "web-1 is not moved: it does not run here"),
    ] {
        ensure_says(&north.command(command, ANSWER)?, &[answer])?;
    }
    // A destination that loses its source before GO gives the guest up for good.
    await_log(south, "guest web-1 does not arrive")?;
    port.restore();
    await_log(north, "guest web-1 stays here: the peer called it off")?;
    scene.end_at(north)
}

#[test]
fn a_guest_whose_running_is_lost_runs_on_and_the_source_learns_it() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    let port = scene.pair.south_port()?;
    scene.doubt::<RUNNING>(port)?;
    ensure_state(south, "running")?;
    port.restore();
    await_log(north, "guest web-1 has left for south")?;
    scene.end_at(south)
}

#[test]
fn a_person_may_give_a_doubtful_guest_up() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    scene.doubt::<RUNNING>(scene.pair.south_port()?)?;
    ensure_state(south, "running")?;
    ensure_says(&north.command("stop web-1 --force", ANSWER)?, &["web-1 does not run here any more"])?;
    scene.pair.south_port()?.restore();
    scene.end_at(south)
}

#[test]
fn a_person_may_resume_what_a_dead_destination_had() -> Result<()> {
    let mut scene = Scene::start()?;
    scene.doubt::<GO>(scene.pair.north_port()?)?;
    scene.pair.restart_south()?;
    scene.pair.north_port()?.restore();
    let north = scene.pair.north();
    await_log(north, "south does not know guest web-1 any more")?;
    ensure_state(north, "in doubt: it may run on south")?;
    ensure_says(&north.command("resume web-1 --force", ANSWER)?, &["web-1 runs here"])?;
    scene.end_at(north)
}

#[test]
fn ctrl_c_breaks_a_move_off_until_go() -> Result<()> {
    let scene = Scene::start()?;
    let [north, south] = scene.hosts();
    let port = scene.pair.north_port()?;
    for (host_bytes, phase) in [(0, "greeting"), (100_000, "streaming")] {
        port.cut_after(host_bytes);
        north.type_line("send web-1 south")?;
        north.expect(&format!("web-1 to south: {phase}"), MOVE)?;
        north.type_bytes(CTRL_C)?;
        north.expect_line(
            "the end of the move",
            |line| line.contains("web-1 stays here: the move was broken off"),
            ANSWER,
        )?;
        north.wait_prompt(ANSWER)?;
        await_state(north, "running")?;
        port.restore();
    }
    await_log(south, "guest web-1 does not arrive")?;

    port.cut_at(says::<GO>);
    north.type_line("send web-1 south")?;
    north.expect("web-1 to south: committed", MOVE)?;
    north.type_bytes(CTRL_C)?;
    north.expect_line(
        "that it is too late",
        |line| line.contains("too late: south was told to run web-1"),
        ANSWER,
    )?;
    north.wait_prompt(ANSWER)?;
    // The connection lasts: GO is sent again.
    port.restore();
    await_log(north, "guest web-1 has left for south")?;
    scene.end_at(south)
}
