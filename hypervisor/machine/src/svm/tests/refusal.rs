//! Every check of VMRUN finds what it looks for, and nothing else.

use super::{ALL, fake::Guest, format, limits};
use crate::{
    svm::{
        refusal::explain,
        vmcb::{Clean, Control, Save, Vmcb},
    },
    virtual_cpu::reset,
};

/// A block that a processor would take: that of a virtual CPU at reset as it is entered.
fn good() -> Vmcb {
    let mut guest = Guest::new(ALL);
    guest.run();
    guest.entered().vmcb
}

#[test]
fn a_good_block_passes() {
    assert_eq!(explain(&good(), 0, &limits()), "every check of the manual's list passes");
    // So that the checks below start from what the processor takes.
    assert_eq!(limits().check(&reset::state(&format()), &format()), Ok(()));
}

#[test]
fn each_check_names_what_is_wrong() {
    type Spoil = fn(&mut Control, &mut Save);
    let cases: [(&str, Spoil); 20] = [
        ("EFER.SVME is clear", |_, save| save.efer = 0),
        ("CR0 has reserved bits", |_, save| save.cr0 |= 1 << 32),
        ("CR0.NW is set without CR0.CD", |_, save| save.cr0 = 0x2000_0010),
        ("CR0.PG is set without CR0.PE", |_, save| save.cr0 = 0x8000_0010),
        ("CR3 is beyond the physical address width", |_, save| save.cr3 = 1 << 40),
        ("CR4 has bits that this processor has not", |_, save| save.cr4 = 1 << 12),
        ("DR6 has reserved bits", |_, save| save.dr6 |= 1 << 32),
        ("DR7 has reserved bits", |_, save| save.dr7 |= 1 << 63),
        ("EFER has bits that this processor has not", |_, save| save.efer |= 1 << 1),
        ("long mode is on without CR4.PAE", |_, save| {
            save.cr0 = 0x8000_0011;
            save.efer |= 0x500;
        }),
        ("EFER.LMA does not agree with EFER.LME and CR0.PG", |_, save| save.efer |= 0x400),
        ("CS has both L and D set in long mode", |_, save| {
            save.cr0 = 0x8000_0011;
            save.cr4 = 0x20;
            save.efer |= 0x500;
            save.cs.attributes = 0xe9b;
        }),
        ("VMRUN is not intercepted", |control, _| {
            control.intercept_second = crate::svm::intercepts::Second::VMMCALL;
        }),
        ("the address space identifier is the host's", |control, _| control.asid = 0),
        ("the I/O permission map is out of reach", |control, _| control.iopm_base = (1 << 40) - 4096),
        ("the MSR permission map is out of reach", |control, _| control.msrpm_base = (1 << 40) - 4096),
        ("the injected event is illegal", |control, _| control.event_injection = 0x8000_0302),
        ("the nested tables are out of reach", |control, _| control.nested_cr3 = 1 << 40),
        ("the guest's PAT names a memory type that is none", |_, save| save.g_pat = 2),
        ("every check of the manual's list passes", |control, save| {
            control.event_injection = 0x302;
            save.rip = 1 << 63;
        }),
    ];
    for (expected, spoil) in cases {
        let mut vmcb = good();
        let mut control = vmcb.control().clone();
        spoil(&mut control, vmcb.save_mut(Clean::empty()));
        *vmcb.control_mut(Clean::empty()) = control;
        assert_eq!(explain(&vmcb, vmcb.control().event_injection, &limits()), expected);
    }
}

#[test]
fn maps_may_end_where_physical_addresses_end() {
    let mut vmcb = good();
    let control = vmcb.control_mut(Clean::empty());
    control.iopm_base = (1 << 40) - (12 << 10);
    control.msrpm_base = (1 << 40) - (8 << 10);
    assert_eq!(
        explain(&vmcb, vmcb.control().event_injection, &limits()),
        "every check of the manual's list passes"
    );
}
