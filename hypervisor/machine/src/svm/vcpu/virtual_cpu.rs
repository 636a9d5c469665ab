//! The neutral trait on an SVM virtual CPU.

use core::ops::DerefMut;

use godwit_frames::HostFrame;
use godwit_guest::{
    cpu::{Control, CpuState, Registers, Segment},
    vcpu::{Event, Exit, StateError, SystemState, VirtualCpu, Window},
};

use super::{Block, NmiBlocking, Vcpu};
use crate::{
    svm::{
        intercepts::{First, Second},
        state,
        switch::WorldSwitch,
        tsc_ratio::TscRatio,
        vmcb::{Clean, INTERRUPT_SHADOW, VirtualInterrupt},
    },
    virtual_cpu::limits::{DR6_SINGLE_STEP, check_baseline, rflags},
};

impl<B: DerefMut<Target = Block> + Send, S: WorldSwitch> VirtualCpu for Vcpu<B, S> {
    fn registers(&mut self) -> &mut Registers {
        &mut self.registers
    }

    fn system(&self) -> SystemState {
        SystemState { control: self.control_registers(), segments: state::segments(&self.block.vmcb) }
    }

    fn control(&self) -> Control {
        self.control_registers()
    }

    fn code_segment(&self) -> (Segment, u8) {
        let save = self.block.vmcb.save();
        (save.cs.into(), save.cpl & 3)
    }

    fn state(&self) -> CpuState {
        let mut state = state::store(&self.block.vmcb);
        state.registers = self.registers;
        state.control = self.control_registers();
        state.debug.addresses = self.crossing.debug_addresses;
        state.msrs.tsc_aux = self.crossing.tsc_aux;
        state.msrs.debug_control = self.debug_control;
        state.fpu = self.block.extended_state.to_bytes(&self.setup.format, self.crossing.xcr0);
        state.tsc = self.guest_tsc();
        state.nmi_blocked = self.nmi != NmiBlocking::None;
        state.pending = self.pending.or(self.trap_behind);
        state
    }

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        self.setup.limits.check(state, &self.setup.format)?;
        check_baseline(self.baseline, state)?;
        self.load(state);
        Ok(())
    }

    fn run(&mut self, tables: HostFrame) -> Exit {
        self.cross(tables)
    }

    fn flush_tables(&mut self) {
        self.stale = true;
    }

    fn inject(&mut self, event: Event) {
        self.pending = Some(event);
    }

    fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn in_interrupt_shadow(&self) -> bool {
        self.block.vmcb.control().interrupt_state & INTERRUPT_SHADOW != 0
    }

    fn can_take_interrupt(&self) -> bool {
        self.pending.is_none() && !self.in_interrupt_shadow() && self.registers.rflags & rflags::IF != 0
    }

    fn can_take_nmi(&self) -> bool {
        self.pending.is_none() && !self.in_interrupt_shadow() && self.nmi == NmiBlocking::None
    }

    fn request_window(&mut self, wanted: Option<Window>) {
        self.set_window(wanted);
    }

    fn advance_to(&mut self, next_rip: u64) {
        let single_step = self.registers.rflags & rflags::TF != 0;
        self.registers.rip = next_rip;
        self.registers.rflags &= !rflags::RF;
        self.block.vmcb.control_mut(Clean::empty()).interrupt_state &= !INTERRUPT_SHADOW;
        if single_step && self.pending.is_none() {
            // The trap that the processor would have raised behind the instruction.
            self.block.vmcb.save_mut(Clean::DEBUG_REGISTERS).dr6 |= DR6_SINGLE_STEP;
            self.pending = Some(Event::DEBUG);
        }
    }

    fn set_cr2(&mut self, address: u64) {
        self.block.vmcb.save_mut(Clean::CR2).cr2 = address;
    }

    fn set_xcr0(&mut self, value: u64) {
        self.crossing.xcr0 = value;
    }

    fn write_cr4(&mut self, value: u64) -> bool {
        self.write_control_4(value)
    }

    fn task_priority(&self) -> u8 {
        (self.block.vmcb.control().virtual_interrupt & VirtualInterrupt::TASK_PRIORITY).bits() as u8
    }

    fn set_task_priority(&mut self, priority: u8) {
        let control = self.block.vmcb.control_mut(Clean::VIRTUAL_INTERRUPT);
        control.virtual_interrupt = control.virtual_interrupt.difference(VirtualInterrupt::TASK_PRIORITY)
            | VirtualInterrupt::from_bits_retain(u64::from(priority)) & VirtualInterrupt::TASK_PRIORITY;
    }

    fn read_msr(&self, msr: u32) -> Option<u64> {
        self.read_register(msr)
    }

    fn write_msr(&mut self, msr: u32, value: u64) -> Option<bool> {
        self.write_register(msr, value)
    }

    fn tsc_offset(&self) -> u64 {
        self.tsc_offset
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.tsc_offset = offset;
    }

    fn stop_at_pause(&mut self, wanted: bool) {
        // Without the filter each PAUSE would be an exit; and hosts emulated by QEMU, which has none, died of that (note 0008).
        let wanted = wanted && self.setup.capabilities.pause_filter;
        if self.block.vmcb.control().intercept_first.contains(First::PAUSE) != wanted {
            self.block.vmcb.control_mut(Clean::INTERCEPTS).intercept_first.set(First::PAUSE, wanted);
        }
    }

    fn intercept_tsc(&mut self, wanted: bool) {
        let control = self.block.vmcb.control_mut(Clean::INTERCEPTS);
        control.intercept_first.set(First::RDTSC, wanted);
        control.intercept_second.set(Second::RDTSCP, wanted);
    }

    fn has_tsc_scaling(&self) -> bool {
        self.setup.capabilities.tsc_scaling
    }

    fn set_tsc_rate(&mut self, guest_hz: u64, host_hz: u64) -> bool {
        let ratio = TscRatio::new(guest_hz, host_hz).filter(|_| self.has_tsc_scaling());
        if let Some(ratio) = ratio {
            self.crossing.tsc_ratio = ratio;
        }
        ratio.is_some()
    }
}
