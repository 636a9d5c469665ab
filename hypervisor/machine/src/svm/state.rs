//! The neutral state in the control block, and out of it again.

use godwit_guest::cpu::{Attributes, Control, CpuState, Msrs, Segment, Segments};

use super::vmcb::{Clean, INTERRUPT_SHADOW, SavedSegment, VirtualInterrupt, Vmcb};
use crate::virtual_cpu::limits::{self, cr0, efer};

/// Where the privilege level stands in a segment's attributes.
const DPL_SHIFT: u32 = 5;

/// The guest's control registers as it sees them: without SVME, which is the host's. XCR0 is not in the block.
pub fn control_registers(vmcb: &Vmcb) -> Control {
    let save = vmcb.save();
    Control {
        cr0: save.cr0,
        cr2: save.cr2,
        cr3: save.cr3,
        cr4: save.cr4,
        cr8: (vmcb.control().virtual_interrupt & VirtualInterrupt::TASK_PRIORITY).bits() as u8,
        efer: save.efer & !efer::SVME,
        xcr0: 0,
    }
}

/// The guest's segments. The privilege level is in the DPL of SS, where the block has a field of its own for it.
pub fn segments(vmcb: &Vmcb) -> Segments {
    let save = vmcb.save();
    let mut ss = Segment::from(save.ss);
    let level = Attributes::from_bits_truncate(u16::from(save.cpl & 3) << DPL_SHIFT);
    ss.attributes = ss.attributes.difference(Attributes::DPL).union(level);
    Segments {
        es: save.es.into(),
        cs: save.cs.into(),
        ss,
        ds: save.ds.into(),
        fs: save.fs.into(),
        gs: save.gs.into(),
        ldtr: save.ldtr.into(),
        tr: save.tr.into(),
    }
}

/// What is wrong between mode and code segment, as [`limits`] checks it of a whole state.
pub fn mode_error(vmcb: &Vmcb) -> Option<&'static str> {
    limits::mode_error(&control_registers(vmcb), &segments(vmcb))
}

/// Takes everything of `state` that lies in the block; the caller has checked it.
pub fn load(vmcb: &mut Vmcb, state: &CpuState) {
    let control = &state.control;
    let interrupt = vmcb.control_mut(Clean::VIRTUAL_INTERRUPT);
    interrupt.virtual_interrupt = interrupt.virtual_interrupt.difference(VirtualInterrupt::TASK_PRIORITY)
        | VirtualInterrupt::from_bits_retain(u64::from(control.cr8)) & VirtualInterrupt::TASK_PRIORITY;
    interrupt.interrupt_state = if state.interrupt_shadow { INTERRUPT_SHADOW } else { 0 };

    let save = vmcb.save_mut(Clean::all());
    let Segments { es, cs, ss, ds, fs, gs, ldtr, tr } = state.segments;
    let places = [&mut save.es, &mut save.cs, &mut save.ss, &mut save.ds, &mut save.fs, &mut save.gs];
    for (place, segment) in places.into_iter().zip([es, cs, ss, ds, fs, gs]) {
        *place = SavedSegment::from(segment);
    }
    save.ldtr = ldtr.into();
    save.tr = tr.into();
    save.gdtr = state.gdtr.into();
    save.idtr = state.idtr.into();
    save.cpl = ((ss.attributes & Attributes::DPL).bits() >> DPL_SHIFT) as u8;
    // A state at reset has caching off, and a processor obeys: all of the guest's memory would be uncached. Nothing that a guest can
    // see needs that (KVM clears the bits likewise).
    save.cr0 = control.cr0 & !(cr0::CD | cr0::NW);
    save.cr2 = control.cr2;
    save.cr3 = control.cr3;
    save.cr4 = control.cr4;
    save.efer = control.efer | efer::SVME;
    save.dr6 = state.debug.dr6;
    save.dr7 = state.debug.dr7;
    save.star = state.msrs.star;
    save.lstar = state.msrs.lstar;
    save.cstar = state.msrs.cstar;
    save.sfmask = state.msrs.sfmask;
    save.kernel_gs_base = state.msrs.kernel_gs_base;
    save.sysenter_cs = state.msrs.sysenter_cs;
    save.sysenter_esp = state.msrs.sysenter_esp;
    save.sysenter_eip = state.msrs.sysenter_eip;
    save.g_pat = state.msrs.pat;
}

/// Everything that lies in the block; the rest is as in the default state.
pub fn store(vmcb: &Vmcb) -> CpuState {
    let save = vmcb.save();
    let mut state = CpuState {
        segments: segments(vmcb),
        gdtr: save.gdtr.into(),
        idtr: save.idtr.into(),
        control: control_registers(vmcb),
        msrs: Msrs {
            star: save.star,
            lstar: save.lstar,
            cstar: save.cstar,
            sfmask: save.sfmask,
            kernel_gs_base: save.kernel_gs_base,
            sysenter_cs: save.sysenter_cs,
            sysenter_esp: save.sysenter_esp,
            sysenter_eip: save.sysenter_eip,
            pat: save.g_pat,
            ..Msrs::default()
        },
        interrupt_shadow: vmcb.control().interrupt_state & INTERRUPT_SHADOW != 0,
        ..CpuState::default()
    };
    state.debug.dr6 = save.dr6;
    state.debug.dr7 = save.dr7;
    state
}
