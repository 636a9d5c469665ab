//! A virtual CPU that never runs, for what is tried on its state.

use godwit_frames::HostFrame;
use godwit_guest::{
    cpu::{CpuState, Registers},
    vcpu::{Event, Exit, Reason, StateError, SystemState, VirtualCpu, Window},
};

/// State, and what was done to it.
#[derive(Clone, Debug)]
pub(super) struct FakeCpu {
    pub(super) registers: Registers,
    pub(super) system: SystemState,
    pub(super) cr2: Option<u64>,
    pub(super) pending: Option<Event>,
    /// How often it was told to go on behind an instruction.
    pub(super) advanced: u32,
}

/// CR4 bits that it takes.
const CR4_MASK: u64 = 0x1_0000_00ff;

impl VirtualCpu for FakeCpu {
    fn registers(&mut self) -> &mut Registers {
        &mut self.registers
    }
    fn system(&self) -> SystemState {
        self.system
    }
    fn state(&self) -> CpuState {
        CpuState { registers: self.registers, ..CpuState::default() }
    }
    fn set_state(&mut self, _: &CpuState) -> Result<(), StateError> {
        Err(StateError("a fake"))
    }
    fn run(&mut self, _: HostFrame) -> Exit {
        Exit { reason: Reason::Host, next_rip: None, instruction: None }
    }
    fn flush_tables(&mut self) {}
    fn inject(&mut self, event: Event) {
        assert_eq!(self.pending.replace(event), None, "one event at a time");
    }
    fn has_pending(&self) -> bool {
        self.pending.is_some()
    }
    fn can_take_interrupt(&self) -> bool {
        false
    }
    fn in_interrupt_shadow(&self) -> bool {
        false
    }
    fn can_take_nmi(&self) -> bool {
        false
    }
    fn request_window(&mut self, _: Option<Window>) {}
    fn advance_to(&mut self, next_rip: u64) {
        self.advanced += 1;
        self.registers.rip = next_rip;
    }
    fn set_cr2(&mut self, address: u64) {
        self.cr2 = Some(address);
    }
    fn set_xcr0(&mut self, _: u64) {}
    fn write_cr4(&mut self, value: u64) -> bool {
        let taken = value & !CR4_MASK == 0;
        if taken {
            self.system.control.cr4 = value;
        }
        taken
    }
    fn task_priority(&self) -> u8 {
        0
    }
    fn set_task_priority(&mut self, _: u8) {}
    fn read_msr(&self, _: u32) -> Option<u64> {
        None
    }
    fn write_msr(&mut self, _: u32, _: u64) -> Option<bool> {
        None
    }
    fn stop_at_pause(&mut self, _: bool) {}

    fn intercept_tsc(&mut self, _: bool) {}

    fn tsc_offset(&self) -> u64 {
        0
    }
    fn set_tsc_offset(&mut self, _: u64) {}
}
