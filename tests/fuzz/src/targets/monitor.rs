//! What is typed at the monitor: keys in any order, half escape sequences, every command with any words.

use godwit_frames::{FrameRange, Frames, HostFrame};
use godwit_host::{
    Host, Startup,
    boot::{BootInfo, BootPath, MemoryMap, MemoryRegion, RegionKind},
    command_line::CommandLine,
    guests::GuestTable,
};

use super::console_machine::ConsoleMachine;
use crate::{Kind, Target};

/// Keys, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "monitor", kind: Kind::Outside, run, corpus, max_bytes: 256, executions: 10_000 };

/// Turns of the host's loop at most; a command may still be at work then.
const MAX_TURNS: usize = 600;
/// RAM in bytes.
const RAM_BYTES: u64 = 16 << 20;

fn run(bytes: &[u8]) {
    let machine = ConsoleMachine::new(bytes);
    let boot = BootInfo {
        path: BootPath::Pvh,
        regions: [MemoryRegion { start: 0, bytes: RAM_BYTES, kind: RegionKind::Usable }]
            .into_iter()
            .collect(),
        regions_dropped: 0,
        command_line: Default::default(),
        command_line_cut: false,
        rsdp: None,
        modules: Default::default(),
    };
    let memory = MemoryMap::from_regions(&boot.regions, 0);
    let frame_count = memory.end_of_ram();
    let mut metadata = vec![0; Frames::metadata_words(frame_count)];
    let span = FrameRange::new(HostFrame::new(0), frame_count);
    let frames = Frames::new(span, &mut metadata).expect("the map has frames");
    for &range in memory.usable() {
        frames.release(range).expect("it is in the span");
    }
    let command_line = CommandLine::parse("", false);
    let startup = Startup {
        version: "0.1.0",
        build_id: "0123abc",
        boot: &boot,
        memory: &memory,
        command_line: &command_line,
    };
    let guests = GuestTable::default();
    let mut host = Host::new(&machine, &frames, &guests, startup);
    for _ in 0..MAX_TURNS {
        if machine.is_at_rest() {
            break;
        }
        host.turn();
    }
    assert!(host.is_ready(), "the monitor serves");
    let shown = machine.output();
    let terminal = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | 0x07 | 0x08 | 0x1b);
    assert!(
        shown.iter().all(terminal),
        "only what a terminal shows is written: {:?}",
        shown.escape_ascii().to_string()
    );
    if machine.is_at_rest() {
        assert_eq!(frames.audit(), Ok(()), "no frame is lost");
    }
}

fn corpus() -> Vec<Vec<u8>> {
    const LINES: &[&str] = &[
        "help\rabout\rcpus\rmemory\r",
        "frames\rframes --raw\rframes map\r",
        "pci\rguests\rguest a\rconsole a\r",
        "start a\rstop a\rpause a\rresume a\rreset a\rsend a b\r",
        "network\rping 10.0.0.2\rlog debug\r",
        "fragment 50:7\rdefragment\r",
        "he\tx\x1b[D\x1b[C\x1b[1;5D\x1b[A\x1b[B\x01\x05\x0b\x15\x17\x0c\r",
        "memroy\r\x1b[200~paste\x1b[201~\x1bOH\x1b[3~\x7f\x08\r\n\x03",
        "guests \"a b\" 'c\rselftest no\rclear\rreboot\rpoweroff\r",
    ];
    LINES.iter().map(|line| line.as_bytes().to_vec()).collect()
}
