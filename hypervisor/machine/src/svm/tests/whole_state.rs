//! A virtual CPU's whole state, saved and restored, and what is refused.

use godwit_guest::{
    cpu::{Attributes, CpuState},
    vcpu::{Event, StateError, VirtualCpu},
};

use super::{ALL, fake::Guest};
use crate::interrupts::vectors;

/// A state in long mode in which nothing is zero that can be something else.
fn busy() -> CpuState {
    let mut state = Guest::new(ALL).vcpu.state();
    for (number, register) in state.registers.general.iter_mut().enumerate() {
        *register = 0x0101_0101_0101_0101 * (number as u64 + 1);
    }
    state.registers.rip = 0xffff_ffff_8100_0000;
    state.registers.rflags = 0x246;
    state.segments.cs.attributes = Attributes(0xa9b);
    state.segments.fs.base = 0x7fff_ffff_f000;
    state.segments.gs.base = 0xffff_8880_0000_0000;
    state.gdtr.base = 0xffff_fe00_0000_1000;
    state.idtr.base = 0xffff_fe00_0000_0000;
    state.control.cr0 = 0x8005_0033;
    state.control.cr2 = 0xdead_b000;
    state.control.cr3 = 0x12_3000;
    state.control.cr4 = 0x0004_06b0;
    state.control.cr8 = 3;
    state.control.efer = 0xd01;
    state.control.xcr0 = 7;
    state.debug.addresses = [1, 2, 3, u64::MAX];
    state.debug.dr6 = 0xffff_4ff0;
    state.debug.dr7 = 0x455;
    let msrs = &mut state.msrs;
    msrs.star = 0x0023_0010_0000_0000;
    msrs.lstar = 0xffff_ffff_8180_0000;
    msrs.cstar = 0xffff_ffff_8180_0100;
    msrs.sfmask = 0x4_7700;
    msrs.kernel_gs_base = 0x7f00_0000_1000;
    msrs.sysenter_cs = 0x10;
    msrs.sysenter_esp = 0xffff_fe00_0000_3000;
    msrs.sysenter_eip = 0xffff_ffff_8180_0200;
    msrs.pat = 0x0407_0506_0007_0106;
    msrs.tsc_aux = 0x1003;
    msrs.debug_control = 1;
    state.fpu = (0..832u32).map(|byte| byte as u8).collect();
    state.fpu[24..32].copy_from_slice(&[0x80, 0x1f, 0, 0, 0, 0, 0, 0]);
    state.fpu[512..576].fill(0);
    state.fpu[512] = 7;
    state.tsc = 0x1234_5678_9abc;
    state.interrupt_shadow = true;
    state.nmi_blocked = true;
    state.pending = Some(Event::Exception { vector: 14, error_code: Some(7) });
    state
}

#[test]
fn everything_comes_back() {
    let state = busy();
    let mut guest = Guest::new(ALL);
    guest.vcpu.set_state(&state).expect("a good state");
    assert_eq!(guest.vcpu.state(), state);
    assert_eq!(guest.vcpu.system().control, state.control);
    assert_eq!(guest.vcpu.system().segments, state.segments);
}

#[test]
fn everything_reaches_the_processor_and_comes_back_from_it() {
    let state = busy();
    let mut guest = Guest::new(ALL);
    guest.vcpu.set_state(&state).expect("a good state");
    guest.run();
    let entered = guest.entered();
    assert_eq!(entered.crossing.debug_addresses, state.debug.addresses);
    assert_eq!((entered.crossing.xcr0, entered.crossing.tsc_aux), (7, 0x1003));
    assert_eq!(entered.vmcb.save().rip, state.registers.rip);
    // The page fault was delivered.
    assert_eq!(guest.vcpu.state(), CpuState { pending: None, ..state });
}

#[test]
fn a_refused_state_changes_nothing() {
    let mut guest = Guest::new(ALL);
    let before = guest.vcpu.state();
    let mut state = busy();
    state.fpu.truncate(575);
    assert!(guest.vcpu.set_state(&state).is_err());
    assert_eq!(guest.vcpu.state(), before);
}

#[test]
fn what_would_fault_or_be_refused_later_is_refused_now() {
    type Spoil = fn(&mut CpuState);
    const HOLE: u64 = 0x8000_0000_0000;
    let cases: [(&str, Spoil); 38] = [
        ("CR0 has reserved bits", |state| state.control.cr0 |= 1 << 6),
        ("CR0.NW is set without CR0.CD", |state| state.control.cr0 |= 1 << 29),
        ("CR0.PG is set without CR0.PE", |state| state.control.cr0 &= !1),
        ("CR3 is beyond the physical address width", |state| state.control.cr3 = 1 << 40),
        ("CR4 has bits that this processor has not", |state| state.control.cr4 |= 1 << 12),
        ("CR8 is larger than 15", |state| state.control.cr8 = 16),
        ("EFER has bits that this processor has not", |state| state.control.efer |= 1 << 12),
        ("long mode is on without CR4.PAE", |state| state.control.cr4 &= !(1 << 5)),
        ("EFER.LMA does not agree with EFER.LME and CR0.PG", |state| state.control.efer &= !(1 << 10)),
        ("CS has both L and D set in long mode", |state| state.segments.cs.attributes.0 |= 1 << 10),
        ("RFLAGS has reserved bits", |state| state.registers.rflags |= 1 << 22),
        ("bit 1 of RFLAGS is clear", |state| state.registers.rflags &= !2),
        ("RFLAGS.VM is set in long mode", |state| state.registers.rflags |= 1 << 17),
        ("RIP is not canonical", |state| state.registers.rip = HOLE),
        ("DR6 has reserved bits", |state| state.debug.dr6 |= 1 << 32),
        ("DR7 has reserved bits", |state| state.debug.dr7 |= 1 << 32),
        ("a segment's base is not canonical", |state| state.segments.tr.base = HOLE),
        ("a descriptor table's base is not canonical", |state| state.idtr.base = HOLE),
        ("an address in a model-specific register is not canonical", |state| state.msrs.lstar = HOLE),
        ("PAT names a memory type that is none", |state| state.msrs.pat = 3),
        ("TSC_AUX has reserved bits", |state| state.msrs.tsc_aux = 1 << 32),
        ("DebugCtl has bits that are not kept", |state| state.msrs.debug_control = 1 << 6),
        ("XCR0 is not one this processor takes", |state| state.control.xcr0 = 6),
        ("XCR0 is not one this processor takes", |state| state.control.xcr0 = 1 << 17 | 3),
        ("the pending exception's vector is none of an exception", |state| {
            state.pending = Some(Event::Exception { vector: 2, error_code: None });
        }),
        ("the pending exception's vector is none of an exception", |state| {
            state.pending = Some(Event::Exception { vector: 32, error_code: None });
        }),
        ("the pending exception's vector is none of an exception", |state| {
            state.pending = Some(Event::Exception { vector: 15, error_code: None });
        }),
        ("the pending exception's vector is none of an exception", |state| {
            state.pending = Some(Event::Exception { vector: 22, error_code: None });
        }),
        ("the pending exception's vector is none of an exception", |state| {
            state.pending = Some(Event::Exception { vector: 31, error_code: None });
        }),
        ("the pending exception lacks its error code", |state| {
            state.pending = Some(Event::Exception { vector: 13, error_code: None });
        }),
        ("the privilege level in real mode is not 0", |state| {
            *state = Guest::new(ALL).vcpu.state();
            state.segments.ss.attributes.0 |= 3 << 5;
        }),
        ("the privilege level in virtual-8086 mode is not 3", |state| {
            *state = Guest::new(ALL).vcpu.state();
            state.control.cr0 |= 1;
            state.registers.rflags |= 1 << 17;
        }),
        ("the pending exception has an error code that it never has", |state| {
            state.pending = Some(Event::Exception { vector: 6, error_code: Some(0) });
        }),
        ("the FPU area is not 576 to 4096 bytes long", |state| state.fpu.resize(4097, 0)),
        ("the FPU area has components that this processor does not save", |state| state.fpu[514] = 2),
        ("the FPU area is not in the standard format", |state| state.fpu[527] = 0x80),
        ("the FPU area is shorter than its components", |state| state.fpu.truncate(800)),
        ("MXCSR has bits that this processor does not", |state| state.fpu[26] = 1),
    ];
    for (why, spoil) in cases {
        let mut state = busy();
        spoil(&mut state);
        assert_eq!(Guest::new(ALL).vcpu.set_state(&state), Err(StateError(why)));
    }
}

#[test]
fn every_exception_and_every_mode_is_taken() {
    let take = |state: &CpuState| Guest::new(ALL).vcpu.set_state(state);
    for (vector, error_code) in (0..32).map(|vector| (vector, vectors::has_error_code(vector).then_some(0))) {
        let state = CpuState { pending: Some(Event::Exception { vector, error_code }), ..busy() };
        let is_none = matches!(vector, 2 | 9 | 15 | 20..);
        assert_eq!(take(&state).is_err(), is_none, "{vector}");
    }
    let mut state = Guest::new(ALL).vcpu.state();
    state.pending = Some(Event::Exception { vector: 13, error_code: None });
    assert_eq!(take(&state), Ok(()), "real mode has no error codes");
    let mut state = busy();
    state.segments.ss.attributes.0 |= 3 << 5;
    assert_eq!(take(&state), Ok(()), "user mode");
    let mut state = Guest::new(ALL).vcpu.state();
    state.control.cr0 |= 1;
    state.registers.rflags |= 1 << 17;
    state.segments.ss.attributes.0 |= 3 << 5;
    assert_eq!(take(&state), Ok(()), "virtual-8086 mode");
}
