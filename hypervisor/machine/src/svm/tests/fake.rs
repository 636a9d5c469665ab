//! A processor that is only pretended: it enters nothing, and leaves for the reason that a test gives.

use std::sync::{Arc, Mutex};

use godwit_frames::HostFrame;
use godwit_guest::{
    baseline::Baseline,
    vcpu::{Exit, VirtualCpu},
};
use godwit_host::machine::CpuNumber;

use super::{format, limits};
use crate::{
    speculation::Mitigations,
    svm::{
        asid::{AddressSpaces, Assignment, Residence},
        capabilities::Capabilities,
        exit,
        switch::{Crossing, WorldSwitch},
        vcpu::{Block, Setup, Vcpu},
        vmcb::{Clean, Vmcb},
    },
    virtual_cpu::extended_state::Area,
};

/// Where the nested tables of every guest here begin.
pub(super) const TABLES: HostFrame = HostFrame::new(0x777);

/// What the processor found when it entered.
#[derive(Clone)]
pub(super) struct Entered {
    pub(super) vmcb: Vmcb,
    pub(super) crossing: Crossing,
    pub(super) area: Area,
}

type Leave = Box<dyn FnOnce(&mut Vmcb, &mut Crossing) + Send>;

pub(super) struct State {
    pub(super) cpu: u16,
    pub(super) tsc: u64,
    pub(super) tsc_ahead: u64,
    pub(super) enabled: bool,
    pub(super) served: Vec<&'static str>,
    flush_by_asid: bool,
    spaces: [AddressSpaces; 2],
    leave: Option<Leave>,
    entered: Option<Entered>,
}

/// Two host CPUs, and which of them acts.
#[derive(Clone)]
pub(super) struct FakeCpu(pub(super) Arc<Mutex<State>>);

impl WorldSwitch for FakeCpu {
    fn this_cpu(&self) -> CpuNumber {
        CpuNumber(self.0.lock().unwrap().cpu)
    }

    fn tsc(&self) -> u64 {
        self.0.lock().unwrap().tsc
    }

    fn tsc_ahead(&self) -> u64 {
        self.0.lock().unwrap().tsc_ahead
    }

    fn assign(&self, last: Option<Residence>, stale: bool) -> Option<Assignment> {
        let mut state = self.0.lock().unwrap();
        let (cpu, flush_by_asid) = (state.cpu, state.flush_by_asid);
        let enabled = state.enabled;
        let spaces = &mut state.spaces[usize::from(cpu)];
        enabled.then(|| spaces.assign(last, CpuNumber(cpu), stale, flush_by_asid))
    }

    fn distrust_flush(&self) {
        let mut state = self.0.lock().unwrap();
        let cpu = usize::from(state.cpu);
        state.spaces[cpu].start_anew();
    }

    fn enter(&self, vmcb: &mut Vmcb, area: &mut Area, crossing: &mut Crossing) {
        let mut state = self.0.lock().unwrap();
        state.entered = Some(Entered { vmcb: vmcb.clone(), crossing: crossing.clone(), area: area.clone() });
        // What every exit leaves, unless the test says otherwise: nothing was being delivered.
        let control = vmcb.control_mut(Clean::empty());
        control.exit_code = exit::CPUID;
        control.exit_interrupt_info = 0;
        control.event_injection = 0;
        if let Some(leave) = state.leave.take() {
            leave(vmcb, crossing);
        }
    }

    fn serve_interrupts(&self) {
        self.0.lock().unwrap().served.push("interrupts");
    }

    fn serve_machine_check(&self) {
        self.0.lock().unwrap().served.push("machine check");
    }
}

/// A virtual CPU on the pretended processor.
pub(super) struct Guest {
    pub(super) cpu: FakeCpu,
    pub(super) vcpu: Vcpu<Box<Block>, FakeCpu>,
}

impl Guest {
    /// One at reset.
    pub(super) fn new(capabilities: Capabilities) -> Self {
        let state = State {
            cpu: 0,
            tsc: 1_000_000,
            tsc_ahead: 0,
            enabled: true,
            served: Vec::new(),
            flush_by_asid: capabilities.flush_by_asid,
            spaces: [AddressSpaces::new(capabilities.address_spaces); 2],
            leave: None,
            entered: None,
        };
        Self::on(&FakeCpu(Arc::new(Mutex::new(state))), capabilities)
    }

    /// One at reset that shares its host CPUs with others.
    pub(super) fn on(cpu: &FakeCpu, capabilities: Capabilities) -> Self {
        Self::in_block(cpu, capabilities, Box::default())
    }

    /// One at reset in a block that held another.
    pub(super) fn in_block(cpu: &FakeCpu, capabilities: Capabilities, block: Box<Block>) -> Self {
        let setup = Setup {
            capabilities,
            limits: limits(),
            format: format(),
            io_map: 0x10_0000,
            msr_map: 0x20_0000,
            mitigations: Mitigations::default(),
        };
        let vcpu = Vcpu::new(Box::leak(Box::new(setup)), Baseline::Amd64V1, block, cpu.clone());
        Self { cpu: cpu.clone(), vcpu }
    }

    /// Runs it until the CPUID that everything ends in.
    pub(super) fn run(&mut self) -> Exit {
        self.vcpu.run(TABLES)
    }

    /// Runs it until the exit that `leave` makes.
    pub(super) fn leave(&mut self, leave: impl FnOnce(&mut Vmcb, &mut Crossing) + Send + 'static) -> Exit {
        self.cpu.0.lock().unwrap().leave = Some(Box::new(leave));
        self.run()
    }

    /// Runs it until an exit by `code`.
    pub(super) fn exit(&mut self, code: u64) -> Exit {
        self.leave(move |vmcb, _| vmcb.control_mut(Clean::empty()).exit_code = code)
    }

    /// What the processor found when it entered last.
    pub(super) fn entered(&self) -> Entered {
        self.cpu.0.lock().unwrap().entered.clone().expect("the guest ran")
    }
}
