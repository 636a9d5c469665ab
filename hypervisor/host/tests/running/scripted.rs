//! A virtual CPU that runs no guest: it pretends one that counts, and writes a letter to COM1 now and then.

use godwit_frames::HostFrame;
use godwit_guest::{
    cpu::{CpuState, General, Registers},
    vcpu::{Event, Exit, Reason, StateError, SystemState, VirtualCpu, Window},
};

use crate::writer::{Act, Writer};

/// Runs from one letter to the next.
const RUNS_PER_LETTER: u64 = 4;
/// Runs from one PAUSE that counts, and one RDTSCP behind it, to the next.
const RUNS_PER_PAUSE: u64 = 64;
/// Where the frame of code that crashes lies: in the kernel of [`bundle`](crate::moves::bundle), whose bytes are all 0x90.
pub(crate) const FRAME: u64 = (1 << 20) + 0x1100;
/// Where a guest says which page its clock is to be shown in; bit 0 switches it on.
const CLOCK_MSR: u64 = 0x4b56_4d01;
/// COM1's data register.
const COM1: u16 = 0x3f8;
/// The ACPI control register that the tables name, and what switches the machine off there: SLP_TYP 5 and SLP_EN.
const POWER: (u16, u64) = (0x604, 5 << 10 | 1 << 13);

/// The letter that the guest writes as its `number`th.
pub(crate) fn letter(number: u64) -> char {
    char::from(b'a' + (number % 26) as u8)
}

/// Everything it knows is in registers, which move: R15 counts its runs.
#[derive(Default)]
pub(crate) struct ScriptedCpu {
    state: CpuState,
    tsc_offset: u64,
    last_run: Option<u64>,
    crash_run: Option<u64>,
    pauses: bool,
    writer: Option<Writer>,
}

impl ScriptedCpu {
    /// One that switches its machine off in that run.
    pub(crate) fn until(last_run: Option<u64>) -> Self {
        Self { last_run, ..Self::default() }
    }

    /// One that shuts down in that run, in code whose frame lies at [`FRAME`].
    pub(crate) fn crashing(crash_run: Option<u64>) -> Self {
        Self { crash_run, ..Self::default() }
    }

    /// One that writes to its memory.
    pub(crate) fn writing(writer: Writer) -> Self {
        Self { writer: Some(writer), ..Self::default() }
    }

    /// One that also stops for what needs nothing but to go on.
    pub(crate) fn pausing() -> Self {
        Self { pauses: true, ..Self::default() }
    }
}

impl VirtualCpu for ScriptedCpu {
    fn registers(&mut self) -> &mut Registers {
        &mut self.state.registers
    }

    fn system(&self) -> SystemState {
        SystemState { control: self.state.control, segments: self.state.segments }
    }

    fn state(&self) -> CpuState {
        self.state.clone()
    }

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        self.state = state.clone();
        Ok(())
    }

    fn run(&mut self, tables: HostFrame) -> Exit {
        let registers = &mut self.state.registers;
        let runs = registers.get(General::R15) + 1;
        registers.set(General::R15, runs);
        let mut exit = Exit { reason: Reason::Host, next_rip: None, instruction: None };
        if let Some(writer) = &mut self.writer {
            match writer.next(tables) {
                Some(Err(fault)) => exit.reason = Reason::NestedFault(fault),
                Some(Ok(Act::AskForClock(frame))) => {
                    registers.set(General::Rcx, CLOCK_MSR);
                    registers.set(General::Rax, frame << 12 | 1);
                    registers.set(General::Rdx, 0);
                    exit.reason = Reason::WriteMsr;
                    exit.next_rip = Some(registers.rip);
                }
                Some(Ok(Act::Write(_))) | None => {}
            }
            return exit;
        }
        match runs % RUNS_PER_PAUSE {
            _ if !self.pauses => {}
            1 => exit = Exit { reason: Reason::Pause, next_rip: Some(registers.rip), instruction: None },
            2 => exit = Exit { reason: Reason::ReadTscp, next_rip: Some(registers.rip), instruction: None },
            _ => {}
        }
        if runs.is_multiple_of(RUNS_PER_LETTER) {
            let letter = letter(runs / RUNS_PER_LETTER - 1);
            registers.set(General::Rax, u64::from(u32::from(letter)));
            exit.reason = Reason::Port { port: COM1, bytes: 1, input: false, string: false };
            exit.next_rip = Some(registers.rip);
        }
        if self.last_run == Some(runs) {
            let (port, value) = POWER;
            registers.set(General::Rax, value);
            exit.reason = Reason::Port { port, bytes: 2, input: false, string: false };
            exit.next_rip = Some(registers.rip);
        }
        if self.crash_run == Some(runs) {
            registers.set(General::Rbp, FRAME);
            exit = Exit { reason: Reason::Shutdown, next_rip: None, instruction: None };
        }
        exit
    }

    fn flush_tables(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.flush();
        }
    }

    fn inject(&mut self, _: Event) {}

    fn has_pending(&self) -> bool {
        false
    }

    fn in_interrupt_shadow(&self) -> bool {
        false
    }

    fn can_take_interrupt(&self) -> bool {
        false
    }

    fn write_cr4(&mut self, _: u64) -> bool {
        true
    }

    fn can_take_nmi(&self) -> bool {
        false
    }

    fn request_window(&mut self, _: Option<Window>) {}

    fn advance_to(&mut self, next_rip: u64) {
        self.state.registers.rip = next_rip;
    }

    fn set_cr2(&mut self, _: u64) {}

    fn set_xcr0(&mut self, _: u64) {}

    fn task_priority(&self) -> u8 {
        0
    }

    fn set_task_priority(&mut self, _: u8) {}

    fn read_msr(&self, msr: u32) -> Option<u64> {
        // The time stamp counter and TSC_AUX.
        matches!(msr, 0x10 | 0xc000_0103).then_some(u64::from(msr))
    }

    fn write_msr(&mut self, _: u32, _: u64) -> Option<bool> {
        None
    }

    fn tsc_offset(&self) -> u64 {
        self.tsc_offset
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.tsc_offset = offset;
    }

    fn stop_at_pause(&mut self, _: bool) {}

    fn intercept_tsc(&mut self, _: bool) {}
}
