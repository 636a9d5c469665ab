//! Guests that move between two whole hosts in one process, on a wire that is cut after any number of frames.

use godwit_guest::{
    bundle::Builder,
    description::{CommandLine, GuestDescription, GuestName, PagePolicy, Processors},
};

use crate::{
    ethernet::Ethernet,
    fake::FakeMachine,
    scripted::letter,
    world::{Setup, World},
};

/// Turns after which hosts that do not come to an end are broken.
const MOST_TURNS: usize = 400_000;
const COMMAND_LINES: [&str; 2] = [
    "godwit.host=north godwit.address=10.0.0.1/24 godwit.peers=south@10.0.0.2",
    "godwit.host=south godwit.address=10.0.0.2/24 godwit.peers=north@10.0.0.1",
];
pub(crate) const NORTH: usize = 0;
pub(crate) const SOUTH: usize = 1;

/// An ELF file with a PVH entry and a few pages that are not zero.
pub(crate) fn kernel() -> Vec<u8> {
    const HEADERS: u64 = 64 + 2 * 56;
    const CODE: u64 = 3 * 4096;
    const ENTRY: u64 = 1 << 20;
    let mut note = Vec::new();
    for word in [4u32, 8, 18] {
        note.extend_from_slice(&word.to_le_bytes());
    }
    note.extend_from_slice(b"Xen\0");
    note.extend_from_slice(&ENTRY.to_le_bytes());
    let mut file = vec![0; 64];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2u16.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&2u16.to_le_bytes());
    let note_bytes = note.len() as u64;
    // Kind, flags; then offset, virtual and physical address, bytes in the file and in memory, alignment.
    for (kind, fields) in [
        (1u32, [HEADERS, ENTRY, ENTRY, CODE, CODE, 4096]),
        (4, [HEADERS + CODE, 0, 0, note_bytes, note_bytes, 4]),
    ] {
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&0u32.to_le_bytes());
        fields.iter().for_each(|field| file.extend_from_slice(&field.to_le_bytes()));
    }
    file.resize((HEADERS + CODE) as usize, 0x90);
    file.extend_from_slice(&note);
    file
}

/// A bundle with the guest `web-1`, which somebody starts.
pub(crate) fn bundle() -> Vec<u8> {
    bundle_with(Processors::default())
}

/// As [`bundle`], with a guest that has these CPUs.
pub(crate) fn bundle_with(processors: Processors) -> Vec<u8> {
    let mut builder = Builder::new();
    let kernel = builder.file("kernel", kernel()).unwrap();
    let description = GuestDescription {
        name: GuestName::new("web-1").unwrap(),
        memory_bytes: 8 << 20,
        command_line: CommandLine::default(),
        pages: PagePolicy::Largest,
        autostart: false,
        processors,
        trust_domain: None,
        tsc_hz: None,
    };
    builder.guest(description, kernel, None).unwrap();
    builder.build().unwrap()
}

/// Two hosts and their common clock.
pub(crate) struct Pair {
    wire: &'static Ethernet,
    pub(crate) worlds: [World; 2],
    free: [u64; 2],
}

impl Pair {
    /// Two hosts; `web-1` runs on the first.
    pub(crate) fn new() -> Self {
        Self::with_runs(None)
    }

    /// As [`new`](Self::new); the guest switches itself off after so many runs of its CPU.
    fn with_runs(guest_runs: Option<u64>) -> Self {
        let wire = Ethernet::new();
        let worlds = [NORTH, SOUTH].map(|host| {
            let mut machine = FakeMachine::new(2);
            machine.network = Some(wire.plug(9000));
            machine.runs_guests = true;
            machine.guest_runs = guest_runs;
            let module = (host == NORTH).then(bundle);
            let world = Setup { machine, command_line: COMMAND_LINES[host], memory_mib: 64, module }.ready();
            wire.intercept(host);
            world.machine.network.unwrap().read_from(&world.machine.memory);
            world.machine.state().clock_is_held = true;
            world
        });
        let mut pair = Self { wire, worlds, free: [0; 2] };
        pair.free = pair.free_frames();
        let started = pair.ask(NORTH, "start web-1");
        assert!(started.contains("web-1 runs"), "{started}");
        pair
    }

    fn free_frames(&self) -> [u64; 2] {
        [NORTH, SOUTH].map(|host| self.worlds[host].frames.report().free_frames)
    }

    /// Gives both hosts a turn; time passes, up to `end_ns`, where both sleep and nothing is under way.
    fn turn(&mut self, end_ns: u64) {
        for world in &mut self.worlds {
            world.machine.state().at_rest = false;
            world.turn();
        }
        let mut states = [NORTH, SOUTH].map(|host| self.worlds[host].machine.state());
        let rests =
            states.iter().all(|state| state.at_rest && state.mailboxes.iter().all(|mail| mail.is_empty()));
        let mut now_ns = states.iter().map(|state| state.now_ns).max().unwrap();
        if rests && self.wire.is_quiet() {
            // What is due already was seen in this turn.
            let deadlines = states.iter().flat_map(|state| state.deadlines.iter().flatten());
            let due =
                deadlines.map(|deadline| deadline.as_nanoseconds()).filter(|&due_ns| due_ns > now_ns).min();
            now_ns = due.unwrap_or(end_ns).min(end_ns).max(now_ns);
        }
        states.iter_mut().for_each(|state| state.now_ns = now_ns);
    }

    /// Lets time pass.
    fn pass(&mut self, seconds: u64) {
        let end_ns = self.now_ns() + seconds * 1_000_000_000;
        for _ in 0..MOST_TURNS {
            if self.now_ns() >= end_ns {
                return;
            }
            self.turn(end_ns);
        }
        panic!("{seconds} s take for ever");
    }

    fn now_ns(&self) -> u64 {
        self.worlds[NORTH].machine.state().now_ns
    }

    /// Types a command at a host and answers with what it says until its next prompt.
    pub(crate) fn ask(&mut self, host: usize, command: &str) -> String {
        self.worlds[host].output();
        self.worlds[host].feed(format!("{command}\r").as_bytes());
        let prompt = ["\nnorth> ", "\nsouth> "][host];
        self.read_until(host, |said| said.ends_with(prompt))
    }

    /// What a host says, up to where `is_end` says so.
    fn read_until(&mut self, host: usize, is_end: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        for _ in 0..MOST_TURNS {
            said += &self.worlds[host].output();
            if is_end(&said) {
                return said;
            }
            self.turn(self.now_ns() + 1_000_000);
        }
        panic!("the end of this does not come by {} ns: {said}", self.now_ns());
    }

    /// The state of `web-1` on each host; empty where the host does not know it.
    fn states(&mut self) -> [String; 2] {
        [NORTH, SOUTH].map(|host| {
            let said = self.ask(host, "guest web-1 raw");
            said.lines().find_map(|line| line.strip_prefix("state ")).unwrap_or_default().to_owned()
        })
    }

    /// What the guest wrote, as its console at `host` shows it.
    fn written(&mut self, host: usize) -> String {
        self.worlds[host].output();
        self.worlds[host].feed(b"console web-1\r");
        // The console keeps all of it; the last letters come while somebody looks.
        let first = self
            .read_until(host, |said| said.contains("leaves it\n") && said.ends_with(char::is_alphanumeric));
        self.worlds[host].feed(b"\x1d");
        let said = first + &self.read_until(host, |said| said.contains("left the console"));
        let after = said.split_once("leaves it\n").expect("the console").1;
        after.split_once("\nleft the console").expect("its end").0.to_owned()
    }

    /// The guest must run on exactly one host and have counted without a slip; stopped there, it leaves nothing behind.
    fn end(&mut self, case: &str) -> usize {
        let states = self.states();
        let runs: Vec<usize> = [NORTH, SOUTH].into_iter().filter(|&host| states[host] == "running").collect();
        assert!(runs.len() == 1, "{case}: north says {:?}, south {:?}", states[NORTH], states[SOUTH]);
        let host = runs[0];
        let written = self.written(host);
        let expected: String = (0..written.len() as u64).map(letter).collect();
        assert!(!written.is_empty() && written == expected, "{case}: it wrote {written:?}");
        let stopped = self.ask(host, "stop web-1");
        assert!(stopped.contains("web-1 is stopped"), "{case}: {stopped}");
        assert_eq!(self.free_frames(), self.free, "{case}: free frames");
        host
    }
}

#[test]
fn a_guest_moves_and_comes_back() {
    let mut pair = Pair::new();
    for (from, to, name) in [(NORTH, SOUTH, "south"), (SOUTH, NORTH, "north")] {
        let said = pair.ask(from, &format!("send web-1 {name}"));
        let events = pair.ask(from, "events web-1");
        assert!(events.contains(&format!(" moves to {name}\n")), "{events}");
        assert!(events.contains(&format!(" left for {name}; its memory here is free\n")), "{events}");
        let events = pair.ask(to, "events");
        let address = format!("10.0.0.{}", from + 1);
        assert!(events.contains(&format!(" is on its way here, from {address}\n")), "{events}");
        assert!(events.contains(&format!(" runs here, from {address}; it stood still for ")), "{events}");
        assert!(said.contains(&format!("web-1 runs on {name}: ")), "{said}");
        assert_eq!(pair.states()[to], "running");
    }
    assert_eq!(pair.end("there and back"), NORTH);
}

#[test]
fn a_guest_that_went_away_starts_here_only_by_force_and_is_not_reset_where_it_went() {
    let mut pair = Pair::new();
    pair.ask(NORTH, "send web-1 south");
    let said = pair.ask(NORTH, "start web-1");
    assert!(said.contains("it moved to south and runs there"), "{said}");
    let said = pair.ask(SOUTH, "reset web-1");
    assert!(said.contains("its kernel is on host"), "{said}");
    assert_eq!(pair.states()[SOUTH], "running");
    assert_eq!(pair.end("went away"), SOUTH);
}

#[test]
fn a_paused_guest_arrives_paused() {
    let mut pair = Pair::new();
    pair.ask(NORTH, "pause web-1");
    pair.ask(NORTH, "send web-1 south");
    assert_eq!(pair.states()[SOUTH], "paused");
    pair.ask(SOUTH, "resume web-1");
    assert_eq!(pair.end("paused"), SOUTH);
}

#[test]
fn a_guest_that_switches_itself_off_while_it_leaves_is_cleared_away() {
    let mut pair = Pair::with_runs(Some(30));
    // Nobody hears the offer, and the guest runs meanwhile.
    pair.wire.cut_after(0);
    let said = pair.ask(NORTH, "send web-1 south");
    assert!(said.contains("web-1 stays here") && said.contains("waited too long for HELLO"), "{said}");
    let shown = pair.ask(NORTH, "guest web-1");
    assert!(shown.contains("it switched itself off"), "{shown}");
    assert_eq!(pair.free_frames(), pair.free);
}

/// What came of a move on a wire that was cut.
struct Cut {
    /// Where the guest was in the end.
    ended_at: usize,
    /// Whether the source was in doubt meanwhile.
    in_doubt: bool,
    /// Whether the wire was cut at all.
    was_cut: bool,
}

/// Moves the guest on a wire that is cut after `frames` frames, and mended when both hosts know what is lost.
fn cut_after(frames: u64) -> Cut {
    let mut pair = Pair::new();
    let case = format!("cut after {frames} frames");
    pair.wire.cut_after(frames);
    let said = pair.ask(NORTH, "send web-1 south");
    pair.pass(30);
    let states = pair.states();
    let running = states.iter().filter(|state| *state == "running").count();
    let in_doubt = states[NORTH] == "in doubt: it may run on south";
    assert!(running == 1 || in_doubt && running == 0, "{case}: {states:?}\n{said}");
    assert!(!in_doubt || said.contains("web-1 is in doubt"), "{case}: {said}");
    let on_its_way = |state: &String| state.contains("moving") || state.contains("arriving");
    assert!(!states.iter().any(on_its_way), "{case}: {states:?}");
    let was_cut = pair.wire.mend() == 0;
    pair.pass(30);
    Cut { ended_at: pair.end(&case), in_doubt, was_cut }
}

#[test]
fn wherever_the_wire_is_cut_the_guest_runs_once_in_the_end() {
    let mut cuts = Vec::new();
    for frames in 0.. {
        cuts.push(cut_after(frames));
        if cuts.last().is_some_and(|cut| !cut.was_cut) {
            break;
        }
    }
    // Before GO arrives it stays, from then on it has moved; both with a doubt in between where the answer is lost.
    let moved = cuts.iter().position(|cut| cut.ended_at == SOUTH).expect("it never moved");
    assert!(moved > 10 && cuts[moved..].iter().all(|cut| cut.ended_at == SOUTH), "from {moved} on");
    let doubts = cuts.iter().enumerate().filter(|(_, cut)| cut.in_doubt);
    let doubts: Vec<_> = doubts.map(|(frames, cut)| (frames, cut.ended_at)).collect();
    for host in [NORTH, SOUTH] {
        assert!(doubts.iter().any(|(_, ended_at)| *ended_at == host), "doubts: {doubts:?}");
    }
}

#[test]
fn wherever_the_wire_is_cut_for_a_second_the_guest_runs_once() {
    let mut moved = 0;
    for frames in 0.. {
        let mut pair = Pair::new();
        // They know each other's hardware addresses: the move itself is cut.
        pair.ask(NORTH, "ping south");
        pair.wire.cut_after(frames);
        pair.worlds[NORTH].feed(b"send web-1 south\r");
        pair.pass(1);
        let was_cut = pair.wire.mend() == 0;
        pair.pass(60);
        moved += u32::from(pair.end(&format!("a second without a wire after {frames} frames")) == SOUTH);
        if !was_cut {
            break;
        }
    }
    assert!(moved > 10, "only {moved} moves survived a second");
}

#[test]
fn a_wire_that_loses_frames_moves_the_guest_all_the_same() {
    let mut pair = Pair::new();
    pair.wire.lose(100);
    let said = pair.ask(NORTH, "send web-1 south");
    assert!(said.contains("web-1 runs on south: "), "{said}");
    pair.wire.lose(0);
    pair.pass(30);
    assert_eq!(pair.end("a wire that loses frames"), SOUTH);
}
