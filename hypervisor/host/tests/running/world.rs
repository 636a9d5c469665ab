//! One host with all its CPUs, turned until it rests.

use godwit_frames::{FrameRange, Frames, HostFrame};
use godwit_host::{
    CpuLoop, Host, Startup,
    boot::{BootInfo, BootPath, MemoryMap, MemoryRegion, Module, RegionKind},
    command_line::CommandLine,
    description::CpuState,
    guests::GuestTable,
    machine::{Machine, Mail},
    network::Network,
};

use crate::fake::FakeMachine;

/// Turns after which a host that does not come to rest is broken.
const MOST_TURNS: usize = 200_000;

/// A host to be.
pub(crate) struct Setup {
    pub(crate) machine: FakeMachine,
    pub(crate) command_line: &'static str,
    pub(crate) memory_mib: u64,
    /// Its boot module, where it has one.
    pub(crate) module: Option<Vec<u8>>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            machine: FakeMachine::new(2),
            command_line: "godwit.host=lab-a",
            memory_mib: 256,
            module: None,
        }
    }
}

/// A host that runs. It borrows from what is leaked: tests end before that matters.
pub(crate) struct World {
    pub(crate) machine: &'static FakeMachine,
    pub(crate) frames: &'static Frames<'static>,
    pub(crate) guests: &'static GuestTable,
    pub(crate) host: Host<'static, 'static>,
    others: Vec<(u16, CpuLoop<'static, 'static>)>,
    /// Other hosts' networks, on the same wire.
    pub(crate) peers: Vec<Network<'static>>,
    read: usize,
}

impl Setup {
    /// The host, before its first turn.
    pub(crate) fn build(self) -> World {
        let machine: &'static FakeMachine = Box::leak(Box::new(self.machine));
        let modules = self
            .module
            .iter()
            .map(|module| Module { start: 0, bytes: module.len() as u64, name: Default::default() })
            .collect();
        machine.memory.modules.lock().unwrap().extend(self.module);
        let usable = |start: u64, bytes: u64| MemoryRegion { start, bytes, kind: RegionKind::Usable };
        let reserved = MemoryRegion { start: 0x9f000, bytes: 0x61000, kind: RegionKind::Reserved };
        let regions = [usable(0, 0x9f000), reserved, usable(1 << 20, (self.memory_mib - 1) << 20)];
        let boot = BootInfo {
            path: BootPath::Pvh,
            regions: regions.into_iter().collect(),
            regions_dropped: 0,
            command_line: self.command_line.try_into().unwrap(),
            command_line_cut: false,
            rsdp: None,
            modules,
        };
        let memory = MemoryMap::from_regions(&boot.regions, boot.regions_dropped);
        let frame_count = memory.end_of_ram();
        let metadata = vec![0; Frames::metadata_words(frame_count)].leak();
        let frames = Frames::new(FrameRange::new(HostFrame::new(0), frame_count), metadata).unwrap();
        for &range in memory.usable() {
            frames.release(range).unwrap();
        }
        let frames: &Frames<'_> = Box::leak(Box::new(frames));
        let command_line = CommandLine::parse(&boot.command_line, boot.command_line_cut);
        let startup = Startup {
            version: "0.1.0",
            build_id: "0123abc",
            boot: Box::leak(Box::new(boot)),
            memory: Box::leak(Box::new(memory)),
            command_line: Box::leak(Box::new(command_line)),
        };
        let guests: &GuestTable = Box::leak(Box::default());
        let running = machine.description.cpus.iter().enumerate().skip(1);
        let others = running
            .filter(|(_, cpu)| cpu.state == CpuState::Running)
            .map(|(number, _)| (number as u16, CpuLoop::new(machine, frames, guests)))
            .collect();
        World {
            machine,
            frames,
            guests,
            host: Host::new(machine, frames, guests, startup),
            others,
            peers: Vec::new(),
            read: 0,
        }
    }

    /// The host, ready, its banner read.
    pub(crate) fn ready(self) -> World {
        let mut world = self.build();
        world.run();
        assert!(world.host.is_ready());
        world.output();
        world
    }
}

impl World {
    /// Stops turning the loop of a CPU that is said to run.
    pub(crate) fn lose_cpu(&mut self, lost: u16) {
        self.others.retain(|(number, _)| *number != lost);
    }

    /// Gives every CPU a turn.
    pub(crate) fn turn(&mut self) {
        self.machine.state().cpu = 0;
        self.host.turn();
        self.turn_others();
        self.machine.state().cpu = 0;
        for peer in &mut self.peers {
            peer.turn(self.machine.now(), &mut |_, _| {});
        }
    }

    fn turn_others(&mut self) {
        for (number, cpu) in &mut self.others {
            self.machine.state().cpu = *number;
            cpu.turn();
        }
    }

    /// Turns every CPU until the first one sleeps without a deadline and no mail is under way.
    pub(crate) fn run(&mut self) {
        for _ in 0..MOST_TURNS {
            self.machine.state().at_rest = false;
            self.turn();
            let state = self.machine.state();
            if state.at_rest && state.mailboxes.iter().all(|mailbox| mailbox.is_empty()) {
                return;
            }
        }
        panic!("the host does not come to rest: {}", String::from_utf8_lossy(&self.machine.state().output));
    }

    /// Types `bytes`, as if all had arrived at once.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.machine.state().input.extend(bytes);
    }

    /// Types `text`, lets the host rest, and answers with what it wrote.
    pub(crate) fn enter(&mut self, text: &str) -> String {
        self.feed(text.as_bytes());
        self.run();
        self.output()
    }

    /// Enters a command and answers with what it wrote, the echo and the next prompt cut off.
    pub(crate) fn command(&mut self, command: &str) -> String {
        let output = self.enter(&format!("{command}\r"));
        let output = output.strip_prefix(&format!("{command}\n")).expect("the echo comes first");
        output.strip_suffix("lab-a> ").expect("the prompt comes last").to_owned()
    }

    /// What was written since this was last asked.
    pub(crate) fn output(&mut self) -> String {
        let state = self.machine.state();
        let text = std::str::from_utf8(&state.output[self.read..]).expect("the console is ASCII").to_owned();
        self.read = state.output.len();
        text
    }

    /// Puts mail into the mailbox of a CPU, past every limit.
    pub(crate) fn deliver(&mut self, to: u16, mail: Mail) {
        self.machine.state().mailboxes[usize::from(to)].push_back(mail);
    }
}
