//! Every call of a [`Board`] that the targets make, in this one place.

use godwit_devices::{Board, BoardConfig, GuestTime, Now, PowerRequest, SavedDevice, Start};
use godwit_guest::VcpuIndex;

use super::fake_memory::FakeMemory;
use crate::Input;

/// Bytes of the RAM that the clock page may lie in.
const RAM_BYTES: usize = 3 * 4096;
/// Ports of devices, and one that belongs to none.
const PORTS: [u16; 32] = [
    0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x80, 0x3f8,
    0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x600, 0x602, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0xffff,
];
/// Pages of the local APIC and of the IO-APIC.
const PAGES: [u64; 2] = [0xfee0_0000, 0xfec0_0000];
/// Registers of devices beside those of x2APIC mode.
const MSRS: [u32; 6] = [0x1b, 0x6e0, 0x11, 0x12, 0x4b56_4d00, 0x4b56_4d01];
/// The guest's CPUs.
const CPUS: u8 = 4;
/// The rate of the guest's time stamp counter where nothing else is said.
const TSC_HZ: u64 = 2_000_000_000;

/// What a guest does to its devices, or its host on its behalf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    In {
        port: u16,
        bytes: u8,
    },
    Out {
        port: u16,
        bytes: u8,
        value: u32,
    },
    Load {
        address: u64,
        bytes: u8,
    },
    Store {
        address: u64,
        bytes: u8,
        value: u64,
    },
    ReadMsr {
        msr: u32,
    },
    WriteMsr {
        msr: u32,
        value: u64,
    },
    /// The clocks go on, or back.
    Clocks {
        nanoseconds: i64,
        ticks: i64,
    },
    /// Time goes on to the next deadline.
    ToDeadline,
    Accept,
    Nmi,
    TaskPriority {
        class: u8,
    },
    Type {
        byte: u8,
    },
    Output,
    Request,
    PowerButton,
    Pause,
    TscRate {
        hz: u64,
    },
    /// The calls that follow are another CPU's; one that the guest has not got is among them.
    Cpu {
        index: usize,
    },
    /// What INIT and start-up messages ask of the CPU.
    Start,
    /// Which CPUs have to look.
    Attention,
}

impl Call {
    /// The next call that `input` spells.
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let width = |input: &mut Input<'_>| input.pick(&[1, 2, 4]);
        match input.below(24) {
            0..3 => Self::In { port: port(input), bytes: width(input) },
            3..8 => Self::Out { port: port(input), bytes: width(input), value: input.number() as u32 },
            8..10 => Self::Load { address: address(input), bytes: input.pick(&[4, 1, 2, 8]) },
            10..14 => {
                let address = address(input);
                Self::Store { address, bytes: input.pick(&[4, 1, 2, 8]), value: input.number() }
            }
            14 => Self::ReadMsr { msr: msr(input) },
            15 | 16 => Self::WriteMsr { msr: msr(input), value: input.number() },
            17 => Self::Clocks { nanoseconds: input.number() as i64, ticks: input.number() as i64 },
            18 => Self::ToDeadline,
            19 => Self::Accept,
            20 => Self::TaskPriority { class: input.byte() },
            21 => Self::Type { byte: input.byte() },
            22 => input.pick(&[Self::Output, Self::Request, Self::Nmi, Self::Accept]),
            _ => match input.below(8) {
                0 => Self::PowerButton,
                1 => Self::Pause,
                2 => Self::TscRate { hz: input.number() },
                3 => Self::Start,
                4 => Self::Attention,
                _ => Self::Cpu { index: usize::from(input.byte() % (CPUS + 1)) },
            },
        }
    }
}

fn port(input: &mut Input<'_>) -> u16 {
    let choice = input.byte();
    match PORTS.get(usize::from(choice % 64)) {
        Some(port) => *port,
        None if choice & 0x80 != 0 => 0x600 + u16::from(choice % 16),
        None => input.number() as u16,
    }
}

fn address(input: &mut Input<'_>) -> u64 {
    let choice = input.byte();
    let page = PAGES[usize::from(choice & 1)];
    match choice >> 1 {
        0..0x60 => page + u64::from(choice >> 1) * 16,
        0x60..0x70 => page + (input.number() & 0xfff),
        _ => input.number(),
    }
}

fn msr(input: &mut Input<'_>) -> u32 {
    let choice = input.byte();
    match choice {
        0..0x80 => 0x800 + u32::from(choice % 0x40),
        0x80..0xe0 => MSRS[usize::from(choice) % MSRS.len()],
        _ => input.number() as u32,
    }
}

/// What a call answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    None,
    Value(u64),
    /// `None`: no device has the register; else its value, or a refusal.
    Msr(Option<Result<u64, ()>>),
    Vector(Option<u8>),
    Bytes(Vec<u8>),
    Request(Option<PowerRequest>),
    Start(Option<Start>),
}

/// A board with the clocks and the memory of its guest.
pub(super) struct Guest {
    board: Board,
    memory: FakeMemory,
    now: Now,
    tsc_hz: u64,
    /// Whose calls are made.
    vcpu: VcpuIndex,
}

impl Guest {
    /// A guest that starts.
    pub(super) fn new() -> Self {
        let board = Board::new(&config(TSC_HZ));
        let memory = FakeMemory::new(RAM_BYTES);
        Self { board, memory, now: Now::default(), tsc_hz: TSC_HZ, vcpu: VcpuIndex::BOOT }
    }

    /// A guest that comes from elsewhere, or why it cannot.
    pub(super) fn restore(saved: &[SavedDevice], now: Now) -> Option<Self> {
        let board = Board::restore(&config(TSC_HZ), now, saved).ok()?;
        let memory = FakeMemory::new(RAM_BYTES);
        Some(Self { board, memory, now, tsc_hz: TSC_HZ, vcpu: VcpuIndex::BOOT })
    }

    /// The same guest after a move. What it saves has to be taken.
    pub(super) fn moved(&self) -> Self {
        let saved = self.save();
        let board =
            Board::restore(&config(self.tsc_hz), self.now, &saved).expect("what was saved is taken back");
        let memory = FakeMemory::new(RAM_BYTES);
        Self { board, memory, now: self.now, tsc_hz: self.tsc_hz, vcpu: self.vcpu }
    }

    /// What its clocks show.
    pub(super) fn now(&self) -> Now {
        self.now
    }

    /// The state of all its devices, brought up to now.
    pub(super) fn save(&self) -> Vec<SavedDevice> {
        self.board.save(self.now)
    }

    /// Brings the devices up to now.
    pub(super) fn advance(&mut self) {
        self.board.advance(self.now);
    }

    /// Makes a call, and says what came of it.
    pub(super) fn call(&mut self, call: Call) -> Answer {
        let (board, now, vcpu) = (&mut self.board, self.now, self.vcpu);
        match call {
            Call::In { port, bytes } => Answer::Value(board.read_port(now, port, bytes).into()),
            Call::Out { port, bytes, value } => {
                board.write_port(now, port, bytes, value);
                Answer::None
            }
            Call::Load { address, bytes } => Answer::Value(board.read_mmio(now, vcpu, address, bytes)),
            Call::Store { address, bytes, value } => {
                board.write_mmio(now, vcpu, address, bytes, value);
                Answer::None
            }
            Call::ReadMsr { msr } => {
                Answer::Msr(board.read_msr(now, vcpu, msr).map(|result| result.map_err(|_| ())))
            }
            Call::WriteMsr { msr, value } => {
                let result = board.write_msr(now, vcpu, msr, value, &self.memory);
                Answer::Msr(result.map(|result| result.map(|()| 0).map_err(|_| ())))
            }
            Call::Clocks { nanoseconds, ticks } => {
                self.now.time = GuestTime(now.time.0.saturating_add_signed(nanoseconds));
                self.now.tsc = now.tsc.wrapping_add_signed(ticks);
                self.advance();
                Answer::None
            }
            Call::ToDeadline => {
                let deadline = board.deadline(now, vcpu).unwrap_or(now.time);
                let by = deadline.0.saturating_sub(now.time.0);
                self.now.time = GuestTime(now.time.0 + by);
                let ticks = u128::from(by) * u128::from(self.tsc_hz) / 1_000_000_000;
                self.now.tsc = now.tsc.wrapping_add(ticks as u64);
                self.advance();
                Answer::Value(deadline.0)
            }
            Call::Accept => {
                let offered = board.has_interrupt(vcpu);
                let vector = board.accept_interrupt(vcpu);
                assert_eq!(offered, vector.is_some(), "what is offered can be taken, and nothing else");
                Answer::Vector(vector)
            }
            Call::Nmi => Answer::Value(board.take_nmi(vcpu).into()),
            Call::TaskPriority { class } => {
                board.set_task_priority(vcpu, class);
                let expected = if vcpu.index() < usize::from(CPUS) { class & 0xf } else { 0 };
                assert_eq!(board.task_priority(vcpu), expected, "CR8 has four bits");
                Answer::Value(board.held_back_class(vcpu).map_or(u64::MAX, u64::from))
            }
            Call::Type { byte } => Answer::Value(board.type_byte(now, byte).into()),
            Call::Output => {
                let mut bytes = Vec::new();
                board.take_output(&mut |output| bytes.extend_from_slice(output));
                Answer::Bytes(bytes)
            }
            Call::Request => Answer::Request(board.take_request()),
            Call::PowerButton => {
                board.press_power_button(now);
                Answer::None
            }
            Call::Pause => {
                board.after_pause(now, &self.memory);
                Answer::None
            }
            Call::TscRate { hz } => {
                board.set_tsc_hz(hz);
                self.tsc_hz = hz;
                Answer::None
            }
            Call::Cpu { index } => {
                self.vcpu = VcpuIndex::new(index).unwrap_or_default();
                Answer::None
            }
            Call::Start => Answer::Start(board.take_start(vcpu)),
            Call::Attention => {
                // No answer to compare: after a move all CPUs have to look.
                let attention = board.take_attention();
                assert!(attention.iter().all(|cpu| cpu.index() < usize::from(CPUS)), "{attention:?}");
                Answer::None
            }
        }
    }
}

fn config(tsc_hz: u64) -> BoardConfig {
    BoardConfig { cpus: CPUS, memory_bytes: 256 << 20, tsc_hz, wall_clock_start_s: 1_700_000_000 }
}
