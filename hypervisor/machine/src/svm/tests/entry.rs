//! What the processor finds in the control block when it enters, with every feature and without any.

use godwit_frames::HostFrame;
use godwit_guest::{
    cpu::General,
    vcpu::{Reason, VirtualCpu, Window},
};

use super::{
    ALL,
    fake::{Guest, TABLES},
};
use crate::svm::{
    capabilities::Capabilities,
    exit, intercepts,
    vmcb::{Clean, TlbControl, VirtualInterrupt},
};

const NONE: Capabilities = Capabilities {
    next_rip: false,
    decode_assists: false,
    flush_by_asid: false,
    clean_bits: false,
    pause_filter: false,
    pause_threshold: false,
    tsc_scaling: false,
    address_spaces: 16,
};

#[test]
fn the_first_entry_has_all_that_the_processor_needs() {
    let mut guest = Guest::new(NONE);
    guest.run();
    let entered = guest.entered();
    let control = entered.vmcb.control();
    assert_eq!(control.asid, 1);
    assert_eq!(control.tlb_control, TlbControl::FlushAll as u8);
    assert_eq!(control.nested_cr3, TABLES.address());
    assert_eq!(control.nested_paging, 1);
    assert_eq!((control.iopm_base, control.msrpm_base), (0x10_0000, 0x20_0000));
    assert_eq!(control.intercept_first, intercepts::FIRST);
    assert_eq!(control.intercept_second, intercepts::SECOND);
    // SVM's own instructions, ICEBP, WBINVD to RDPRU (APM vol. 2, table B-1, offset 10h).
    assert_eq!(control.intercept_second.bits(), 0x7f7f);
    assert_eq!(control.virtual_interrupt, VirtualInterrupt::MASKING);
    assert_eq!(control.event_injection, 0);
    let save = entered.vmcb.save();
    assert_eq!((save.cs.base, save.rip, save.rflags), (0xffff_0000, 0xfff0, 2));
    assert_eq!((save.cr0, save.efer, save.g_pat), (0x10, 1 << 12, 0x0007_0406_0007_0406));
    assert_eq!((save.dr6, save.dr7), (0xffff_0ff0, 0x400));
}

#[test]
fn registers_go_in_and_come_out() {
    let mut guest = Guest::new(NONE);
    for (number, register) in guest.vcpu.registers().general.iter_mut().enumerate() {
        *register = 0x100 + number as u64;
    }
    guest.vcpu.registers().rip = 0x7c00;
    guest.vcpu.registers().rflags = 0x202;
    guest.leave(|vmcb, crossing| {
        let save = vmcb.save_mut(Clean::empty());
        save.rax += 0x1000;
        save.rsp += 0x1000;
        save.rip += 2;
        save.rflags = 0x46;
        for (number, register) in crossing.general.iter_mut().enumerate() {
            // RAX and RSP are not the crossing's: what stands there must not count.
            *register = if number == 0 || number == 4 { 0xbad } else { *register + 0x1000 };
        }
    });
    let save = guest.entered().vmcb.save().clone();
    assert_eq!((save.rax, save.rsp, save.rip, save.rflags), (0x100, 0x104, 0x7c00, 0x202));
    assert_eq!(guest.entered().crossing.general[15], 0x10f);
    let after = guest.vcpu.registers();
    for (number, register) in after.general.iter().enumerate() {
        assert_eq!(*register, 0x1100 + number as u64);
    }
    assert_eq!((after.rip, after.rflags), (0x7c02, 0x46));
    assert_eq!(after.get(General::Rsp), 0x1104);
}

#[test]
fn a_second_entry_flushes_only_what_changed() {
    for (capabilities, asid, control) in [(NONE, 2, TlbControl::Keep), (ALL, 1, TlbControl::FlushThis)] {
        let mut guest = Guest::new(capabilities);
        guest.run();
        guest.run();
        let entered = guest.entered().vmcb;
        assert_eq!((entered.control().asid, entered.control().tlb_control), (1, TlbControl::Keep as u8));

        guest.vcpu.flush_tables();
        guest.run();
        let entered = guest.entered().vmcb;
        assert_eq!((entered.control().asid, entered.control().tlb_control), (asid, control as u8));

        guest.run();
        assert_eq!(guest.entered().vmcb.control().tlb_control, TlbControl::Keep as u8, "once is enough");
    }
}

#[test]
fn other_tables_flush() {
    let mut guest = Guest::new(ALL);
    guest.run();
    guest.vcpu.run(HostFrame::new(0x888));
    let entered = guest.entered().vmcb;
    assert_eq!(entered.control().nested_cr3, 0x88_8000);
    assert_eq!(entered.control().tlb_control, TlbControl::FlushThis as u8);
    assert!(!entered.control().clean.contains(Clean::NESTED_PAGING));
}

#[test]
fn clean_bits_are_set_only_where_the_processor_has_them() {
    let mut guest = Guest::new(NONE);
    guest.run();
    guest.run();
    assert_eq!(guest.entered().vmcb.control().clean, Clean::empty());
}

#[test]
fn unchanged_parts_are_clean_from_the_second_entry_on() {
    let mut guest = Guest::new(ALL);
    guest.run();
    assert_eq!(guest.entered().vmcb.control().clean, Clean::empty());
    guest.run();
    assert_eq!(guest.entered().vmcb.control().clean, Clean::all());
}

#[test]
fn every_change_makes_its_part_dirty_for_one_entry() {
    type Change = fn(&mut Guest);
    let changes: [(Clean, Change); 10] = [
        (Clean::CR2, |guest| guest.vcpu.set_cr2(0x1000)),
        (Clean::VIRTUAL_INTERRUPT, |guest| guest.vcpu.set_task_priority(5)),
        (Clean::VIRTUAL_INTERRUPT | Clean::INTERCEPTS, |guest| guest.vcpu.request_window(Some(Window::Any))),
        (Clean::INTERCEPTS, |guest| guest.vcpu.set_tsc_offset(99)),
        (Clean::INTERCEPTS, |guest| guest.cpu.0.lock().unwrap().tsc_ahead = 7),
        (Clean::INTERCEPTS, |guest| guest.vcpu.intercept_tsc(true)),
        (Clean::NESTED_PAGING, |guest| assert_eq!(guest.vcpu.write_msr(0x277, 0), Some(true))),
        (Clean::CONTROL_REGISTERS, |guest| assert_eq!(guest.vcpu.write_msr(0xc000_0080, 1), Some(true))),
        (Clean::DEBUG_REGISTERS, |guest| {
            guest.vcpu.registers().rflags |= 0x100;
            guest.vcpu.advance_to(2);
        }),
        (Clean::all(), |guest| {
            let state = guest.vcpu.state();
            guest.vcpu.set_state(&state).expect("its own state");
        }),
    ];
    for (index, (part, change)) in changes.into_iter().enumerate() {
        let mut guest = Guest::new(ALL);
        guest.run();
        change(&mut guest);
        guest.run();
        let clean = guest.entered().vmcb.control().clean;
        assert_eq!(clean, Clean::all().difference(part), "change {index}");
        guest.run();
        assert_eq!(guest.entered().vmcb.control().clean, Clean::all(), "after change {index}");
    }
}

#[test]
fn nothing_is_clean_on_another_cpu() {
    let mut guest = Guest::new(ALL);
    guest.run();
    guest.cpu.0.lock().unwrap().cpu = 1;
    guest.run();
    let entered = guest.entered().vmcb;
    assert_eq!(entered.control().clean, Clean::empty());
    assert_eq!(entered.control().tlb_control, TlbControl::FlushAll as u8, "that CPU's first guest");
    guest.cpu.0.lock().unwrap().cpu = 0;
    guest.run();
    let entered = guest.entered().vmcb;
    assert_eq!((entered.control().clean, entered.control().asid), (Clean::empty(), 2));
}

#[test]
fn a_cpu_without_svm_refuses_and_changes_nothing() {
    let mut guest = Guest::new(ALL);
    guest.cpu.0.lock().unwrap().enabled = false;
    let before = guest.vcpu.state();
    let detail = "SVM is not enabled on this host CPU";
    assert_eq!(guest.run().reason, Reason::Refused { detail });
    assert_eq!(guest.vcpu.state(), before);
}

#[test]
fn a_refusal_names_the_check_that_failed() {
    let mut guest = Guest::new(ALL);
    let exit = guest.leave(|vmcb, _| {
        vmcb.save_mut(Clean::empty()).dr7 = 1 << 40;
        vmcb.control_mut(Clean::empty()).exit_code = 0xffff_ffff;
    });
    assert_eq!(exit.reason, Reason::Refused { detail: "DR7 has reserved bits" });
}

#[test]
fn only_the_hosts_own_exits_are_served() {
    for (code, served) in [
        (exit::INTR, &["interrupts"][..]),
        (exit::MACHINE_CHECK, &["machine check"]),
        // The stub's STGI has taken it.
        (exit::NMI, &[]),
        (exit::INIT, &[]),
    ] {
        let mut guest = Guest::new(ALL);
        assert_eq!(guest.exit(code).reason, Reason::Host, "{code:#x}");
        assert_eq!(guest.cpu.0.lock().unwrap().served, served, "{code:#x}");
        assert!(!guest.vcpu.has_pending());
    }
}
