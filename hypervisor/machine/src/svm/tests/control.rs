//! CR4 as the guest has it, and what the processor runs with.

use godwit_guest::{
    cpu::CpuState,
    vcpu::{StateError, VirtualCpu},
};

use super::{ALL, fake::Guest};
use crate::svm::vmcb::{Clean, TlbControl};

const PAE: u64 = 1 << 5;
const MCE: u64 = 1 << 6;
const PGE: u64 = 1 << 7;
const OSFXSR: u64 = 1 << 9;
/// Intercepts of CR4, at offset 0 of the control block (APM vol. 2, table B-1).
const READ: u32 = 1 << 4;
const WRITE: u32 = 1 << (16 + 4);

/// A guest in long mode.
fn long() -> Guest {
    let mut guest = Guest::new(ALL);
    let mut state = guest.vcpu.state();
    state.control.cr0 = 0x8000_0011;
    state.control.cr4 = PAE;
    state.control.efer = 0x500;
    guest.vcpu.set_state(&state).expect("long mode");
    guest
}

#[test]
fn machine_checks_never_shut_the_processor_down() {
    let mut guest = Guest::new(ALL);
    for (cr4, intercepts) in [(0, READ | WRITE), (MCE, WRITE), (OSFXSR, READ | WRITE)] {
        assert!(guest.vcpu.write_cr4(cr4));
        guest.run();
        let entered = guest.entered().vmcb;
        assert_eq!(entered.save().cr4, cr4 | MCE, "what runs");
        assert_eq!(entered.control().intercept_cr, intercepts, "{cr4:#x}");
        assert_eq!(guest.vcpu.system().control.cr4, cr4, "what the guest reads");
        assert_eq!(guest.vcpu.state().control.cr4, cr4, "what is saved");
    }
}

#[test]
fn a_guest_sets_only_what_it_is_offered() {
    // All of these the pretended processor has: VME, PVI, UMIP, PCIDE, PKE. 57-bit addresses it has not.
    for bit in [0, 1, 11, 17, 22, 12, 63] {
        let mut guest = Guest::new(ALL);
        assert!(!guest.vcpu.write_cr4(1 << bit), "{bit}");
        assert_eq!(guest.vcpu.system().control.cr4, 0);
    }
    let mut guest = Guest::new(ALL);
    assert!(guest.vcpu.write_cr4(0x0035_07fc));
    assert_eq!(guest.vcpu.system().control.cr4, 0x0035_07fc);
}

#[test]
fn long_mode_keeps_its_page_tables() {
    let mut guest = long();
    assert!(!guest.vcpu.write_cr4(OSFXSR));
    assert_eq!(guest.vcpu.system().control.cr4, PAE);
    assert!(guest.vcpu.write_cr4(PAE | OSFXSR));
}

#[test]
fn translations_go_with_what_they_depend_on() {
    for (bit, flush) in [(PGE, true), (1 << 20, true), (1 << 21, true), (OSFXSR, false), (MCE, false)] {
        let mut guest = long();
        guest.run();
        for cr4 in [PAE | bit, PAE] {
            assert!(guest.vcpu.write_cr4(cr4));
            guest.run();
            let entered = guest.entered().vmcb;
            let expected = if flush { TlbControl::FlushThis } else { TlbControl::Keep };
            assert_eq!(entered.control().tlb_control, expected as u8, "{bit:#x}");
            assert!(!entered.control().clean.contains(Clean::CONTROL_REGISTERS));
        }
    }
}

#[test]
fn a_state_from_outside_has_only_what_its_guest_is_offered() {
    type Spoil = fn(&mut CpuState);
    let cases: [(&str, Spoil); 4] = [
        ("CR4 has bits that the guest is not offered", |state| state.control.cr4 |= 1 << 17),
        ("EFER has bits that the guest is not offered", |state| state.control.efer |= 1 << 14),
        ("XCR0 has components that the guest is not offered", |state| state.control.xcr0 = 0xe7),
        ("MXCSR has bits that the guest is not offered", |state| state.fpu[26] |= 2),
    ];
    for (why, spoil) in cases {
        let mut guest = long();
        let before = guest.vcpu.state();
        let mut state = before.clone();
        spoil(&mut state);
        assert_eq!(guest.vcpu.set_state(&state), Err(StateError(why)));
        assert_eq!(guest.vcpu.state(), before);
    }
}
