//! A virtual CPU on SVM: the control block, what is not in it, and what waits for the next entry.

mod control;
mod entry;
mod msr;
mod nmi;
mod virtual_cpu;

use core::ops::DerefMut;

use godwit_frames::HostFrame;
use godwit_guest::{
    baseline::Baseline,
    cpu::{CpuState, Registers},
    vcpu::{Event, Window},
};

use self::nmi::NmiBlocking;
use super::{
    asid::Residence,
    capabilities::Capabilities,
    intercepts::{self, WRITE_CR8},
    switch::{Crossing, WorldSwitch},
    vmcb::{Clean, NESTED_PAGING, VirtualInterrupt, Vmcb},
};
use crate::{
    speculation::Mitigations,
    virtual_cpu::{
        extended_state::{Area, Format},
        limits::Limits,
        reset,
    },
};

/// What is the same for every virtual CPU of a host.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What this processor's SVM has.
    pub capabilities: Capabilities,
    /// Which state it takes.
    pub limits: Limits,
    /// Which extended state it saves.
    pub format: Format,
    /// Physical address of the I/O permission map.
    pub io_map: u64,
    /// Physical address of the MSR permission map.
    pub msr_map: u64,
    /// What is done against speculation.
    pub mitigations: Mitigations,
}

/// The part of a virtual CPU that lies in frames: what the processor reads and writes by physical address, and its neighbour.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct Block {
    /// The control block.
    pub vmcb: Vmcb,
    /// The FPU's state.
    pub extended_state: Area,
}

/// Frames of a [`Block`]; their physical addresses follow each other.
pub const BLOCK_FRAMES: u64 = 2;

const _: () = assert!(size_of::<Block>() as u64 == BLOCK_FRAMES * godwit_frames::FRAME_BYTES);

impl Block {
    /// A block for a guest that has not run yet; nothing in it is a valid state yet.
    pub const fn new() -> Self {
        Self { vmcb: Vmcb::zero(), extended_state: Area::at_reset() }
    }
}

impl Default for Block {
    fn default() -> Self {
        Self::new()
    }
}

/// One virtual CPU, whose block lies in `B` and that `S` runs.
pub struct Vcpu<B, S> {
    setup: &'static Setup,
    /// What the guest is offered.
    baseline: Baseline,
    switch: S,
    block: B,
    /// RAX, RSP, RIP and RFLAGS are copied from and to the block at exit and entry.
    registers: Registers,
    /// Registers that are not in the block.
    crossing: Crossing,
    /// CR4 as the guest has it; the block's has CR4.MCE in any case.
    cr4: u64,
    debug_control: u64,
    tsc_offset: u64,
    /// The nested tables that the last run used.
    tables: Option<HostFrame>,
    /// No cached translation may be used at the next entry.
    stale: bool,
    residence: Option<Residence>,
    /// To be delivered at the next entry.
    pending: Option<Event>,
    /// To be delivered at the entry after that: a #DB that arose while `pending` was being delivered. It is a trap, which nothing
    /// raises again.
    trap_behind: Option<Event>,
    nmi: NmiBlocking,
}

impl<B: DerefMut<Target = Block>, S: WorldSwitch> Vcpu<B, S> {
    /// A virtual CPU in its reset state that is held to `baseline`, and whose block is `block`, whatever that holds.
    pub fn new(setup: &'static Setup, baseline: Baseline, mut block: B, switch: S) -> Self {
        *block = Block::new();
        let control = block.vmcb.control_mut(Clean::all());
        control.intercept_exceptions = intercepts::EXCEPTIONS;
        control.intercept_first = intercepts::FIRST;
        control.intercept_second = intercepts::SECOND;
        control.iopm_base = setup.io_map;
        control.msrpm_base = setup.msr_map;
        control.virtual_interrupt = VirtualInterrupt::MASKING;
        control.nested_paging = NESTED_PAGING;
        if setup.capabilities.pause_filter {
            control.pause_filter_count = intercepts::PAUSES;
            control.pause_filter_threshold =
                if setup.capabilities.pause_threshold { intercepts::PAUSE_THRESHOLD } else { 0 };
        }
        let mut vcpu = Self {
            setup,
            baseline,
            switch,
            block,
            registers: Registers::default(),
            crossing: Crossing::default(),
            cr4: 0,
            debug_control: 0,
            tsc_offset: 0,
            tables: None,
            stale: true,
            residence: None,
            pending: None,
            trap_behind: None,
            nmi: NmiBlocking::None,
        };
        vcpu.load(&reset::state(&setup.format));
        vcpu
    }

    /// Takes a state that was checked.
    fn load(&mut self, state: &CpuState) {
        super::state::load(&mut self.block.vmcb, state);
        self.block.extended_state.set_bytes(&self.setup.format, &state.fpu);
        self.registers = state.registers;
        self.crossing = Crossing {
            general: [0; 16],
            debug_addresses: state.debug.addresses,
            xcr0: state.control.xcr0,
            tsc_aux: state.msrs.tsc_aux,
            tsc_ratio: self.crossing.tsc_ratio,
        };
        self.set_cr4(state.control.cr4);
        self.debug_control = state.msrs.debug_control;
        self.tsc_offset = state.tsc.wrapping_sub(self.scaled_tsc());
        self.pending = state.pending;
        self.trap_behind = None;
        self.set_window(None);
        self.set_nmi_blocking(if state.nmi_blocked { NmiBlocking::UntilIret } else { NmiBlocking::None });
        // Translations of the state before are none of this one.
        self.stale = true;
    }

    /// Asks for an exit when the guest can take an interrupt, by a virtual interrupt of the highest priority that is never
    /// delivered: its intercept comes first (APM vol. 2, 15.21.4).
    ///
    /// One that CR8 holds back waits for a write of CR8. The virtual interrupt's own priority would tell as well, but QEMU stops
    /// with an assertion where a guest writes CR8 while a virtual interrupt is pending; so no guest may do that.
    fn set_window(&mut self, wanted: Option<Window>) {
        const WINDOW: VirtualInterrupt = VirtualInterrupt::PENDING
            .union(VirtualInterrupt::PRIORITY)
            .union(VirtualInterrupt::IGNORE_TASK_PRIORITY);
        let any = wanted == Some(Window::Any);
        self.set_cr_intercepts(WRITE_CR8, if wanted.is_some() { WRITE_CR8 } else { 0 });
        if self.block.vmcb.control().intercept_first.contains(intercepts::First::VINTR) == any {
            return;
        }
        let control = self.block.vmcb.control_mut(Clean::INTERCEPTS | Clean::VIRTUAL_INTERRUPT);
        control.intercept_first.set(intercepts::First::VINTR, any);
        control.virtual_interrupt.set(WINDOW, any);
    }

    /// Sets those of the intercepts of control registers that `which` names.
    fn set_cr_intercepts(&mut self, which: u32, wanted: u32) {
        let before = self.block.vmcb.control().intercept_cr;
        let after = before & !which | wanted;
        if after != before {
            self.block.vmcb.control_mut(Clean::INTERCEPTS).intercept_cr = after;
        }
    }

    /// Notes how NMIs are held off, and intercepts what will end that.
    fn set_nmi_blocking(&mut self, blocking: NmiBlocking) {
        self.nmi = blocking;
        let wanted = blocking == NmiBlocking::UntilIret;
        if self.block.vmcb.control().intercept_first.contains(intercepts::First::IRET) != wanted {
            let control = self.block.vmcb.control_mut(Clean::INTERCEPTS);
            control.intercept_first.set(intercepts::First::IRET, wanted);
        }
    }
}
