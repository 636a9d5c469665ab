//! From the host's wishes to the control block before a run, and back after it.

use core::ops::DerefMut;

use godwit_frames::HostFrame;
use godwit_guest::{
    cpu::General,
    vcpu::{Event, Exit, Reason},
};

use super::{Block, NmiBlocking, Vcpu};
use crate::{
    interrupts::vectors,
    svm::{
        asid::Assignment,
        event,
        exit::{self, decode},
        refusal,
        switch::WorldSwitch,
        vmcb::Clean,
    },
    virtual_cpu::limits::cr0,
};

impl<B: DerefMut<Target = Block>, S: WorldSwitch> Vcpu<B, S> {
    /// One entry and the exit that follows.
    pub(super) fn cross(&mut self, tables: HostFrame) -> Exit {
        let stale = self.stale || self.tables != Some(tables);
        let Some(assignment) = self.switch.assign(self.residence, stale) else {
            let detail = "SVM is not enabled on this host CPU";
            return Exit { reason: Reason::Refused { detail }, next_rip: None, instruction: None };
        };
        self.prepare(tables, assignment);
        let event = self.pending.take().or_else(|| self.trap_behind.take());
        let injected = self.inject_now(event);
        let Block { vmcb, extended_state } = &mut *self.block;
        self.switch.enter(vmcb, extended_state, &mut self.crossing);
        self.take_registers();
        self.after(event, injected)
    }

    /// Brings the block up to date with what does not depend on events.
    fn prepare(&mut self, tables: HostFrame, Assignment { residence, tlb_control }: Assignment) {
        let vmcb = &mut self.block.vmcb;
        if !self.setup.capabilities.clean_bits || self.residence.is_none_or(|last| last.cpu != residence.cpu)
        {
            // What another host CPU has cached of the block is not what this one has.
            vmcb.control_mut(Clean::all());
        }
        if self.tables != Some(tables) {
            vmcb.control_mut(Clean::NESTED_PAGING).nested_cr3 = tables.address();
        }
        if vmcb.control().asid != residence.asid {
            vmcb.control_mut(Clean::ASID).asid = residence.asid;
        }
        // The processor scales its own counter, which lags, before it adds.
        let ahead = self.crossing.tsc_ratio.scale(self.switch.tsc_ahead());
        let tsc_offset = self.tsc_offset.wrapping_add(ahead);
        if vmcb.control().tsc_offset != tsc_offset {
            vmcb.control_mut(Clean::INTERCEPTS).tsc_offset = tsc_offset;
        }
        vmcb.control_mut(Clean::empty()).tlb_control = tlb_control as u8;
        let save = vmcb.save_mut(Clean::empty());
        save.rax = self.registers.get(General::Rax);
        save.rsp = self.registers.get(General::Rsp);
        save.rip = self.registers.rip;
        save.rflags = self.registers.rflags;
        self.crossing.general = self.registers.general;
        self.tables = Some(tables);
        self.residence = Some(residence);
        self.stale = false;
    }

    /// Has the processor deliver `event` on entry; answers the word that says so, which the processor clears.
    fn inject_now(&mut self, event: Option<Event>) -> u64 {
        if event == Some(Event::Nmi) {
            self.set_nmi_blocking(NmiBlocking::UntilIret);
        }
        let rip = self.registers.rip;
        let vmcb = &mut self.block.vmcb;
        let protected = vmcb.save().cr0 & cr0::PE != 0;
        let control = vmcb.control_mut(Clean::empty());
        let injected = event.map_or(0, |event| event::encode(event, protected));
        control.event_injection = injected;
        // The return address of an injected INT n, where the processor knows this field (APM vol. 2, 15.20): the host has gone on
        // behind the instruction already.
        control.next_rip = rip;
        injected
    }

    fn take_registers(&mut self) {
        let save = self.block.vmcb.save();
        self.registers.general = self.crossing.general;
        self.registers.set(General::Rax, save.rax);
        self.registers.set(General::Rsp, save.rsp);
        self.registers.rip = save.rip;
        self.registers.rflags = save.rflags;
    }

    /// Looks at what the processor left, serves what is the host's own, and says the rest. `tried` was injected, as
    /// the word `injected`.
    fn after(&mut self, tried: Option<Event>, injected: u64) -> Exit {
        let vmcb = &mut self.block.vmcb;
        let refused = if exit::is_refused(vmcb.control()) {
            // Before anything is changed: the checks look at what the processor looked at.
            refusal::explain(vmcb, injected, &self.setup.limits)
        } else {
            ""
        };
        let control = vmcb.control_mut(Clean::empty());
        control.event_injection = 0;
        let exit = decode(control, &self.setup.capabilities, refused);
        if exit::is_refused(control) {
            // Nothing ran: what was to be delivered still is.
            self.pending = tried;
            self.residence = None;
            self.switch.distrust_flush();
            return exit;
        }
        control.clean = Clean::all();
        let (code, error_code) = (control.exit_code, control.exit_info_1 as u32);
        self.pending = event::interrupted(control.exit_interrupt_info, injected);
        if self.pending == Some(Event::Nmi) {
            // It was not delivered after all.
            self.set_nmi_blocking(NmiBlocking::None);
        }
        if let NmiBlocking::AtIret(rip) = self.nmi
            && rip != self.registers.rip
        {
            self.set_nmi_blocking(NmiBlocking::None);
        }
        self.serve(code, error_code);
        exit
    }

    /// Serves exits that concern nobody but the processor and this virtual CPU.
    fn serve(&mut self, code: u64, error_code: u32) {
        match code {
            exit::INTR => self.switch.serve_interrupts(),
            exit::MACHINE_CHECK => self.switch.serve_machine_check(),
            exit::VINTR => self.set_window(None),
            exit::IRET => self.set_nmi_blocking(NmiBlocking::AtIret(self.registers.rip)),
            exit::DEBUG => self.reflect(Event::DEBUG),
            exit::ALIGNMENT_CHECK => {
                let error_code = Some(error_code);
                self.reflect(Event::Exception { vector: vectors::ALIGNMENT_CHECK, error_code });
            }
            // No guest has performance counters: none that RDPMC could name.
            exit::RDPMC => self.reflect(Event::GENERAL_PROTECTION),
            _ => {}
        }
    }

    /// Gives an exception back to the guest. What was being delivered when it arose comes first. A fault will be raised again then; a
    /// #DB that arises so is a trap, and waits.
    fn reflect(&mut self, exception: Event) {
        match self.pending {
            None => self.pending = Some(exception),
            Some(_) if exception == Event::DEBUG => self.trap_behind = Some(exception),
            Some(_) => {}
        }
    }
}
