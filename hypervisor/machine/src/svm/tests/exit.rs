//! Exit codes as neutral reasons.

use arrayvec::ArrayVec;
use godwit_guest::vcpu::{Exit, NestedFault, Reason};

use super::ALL;
use crate::svm::{
    capabilities::Capabilities,
    exit::{decode, is_refused},
    vmcb::{Clean, Control, Vmcb},
};

/// The exit by `code`, with what `fill` adds, on a processor with `capabilities`.
fn exit(code: u64, capabilities: Capabilities, fill: impl Fn(&mut Control)) -> Exit {
    let mut vmcb = Vmcb::zero();
    let control = vmcb.control_mut(Clean::empty());
    control.exit_code = code;
    fill(control);
    decode(control, &capabilities, "why")
}

fn reason(code: u64, info: u64) -> Reason {
    exit(code, ALL, |control| control.exit_info_1 = info).reason
}

#[test]
fn codes_are_those_of_the_manual() {
    // APM vol. 2, appendix C.
    for (code, expected) in [
        (0x04, Reason::ReadCr4),
        (0x14, Reason::WriteCr4),
        (0x41, Reason::Host),
        (0x52, Reason::Host),
        (0x60, Reason::Host),
        (0x61, Reason::Host),
        (0x64, Reason::InterruptWindow),
        (0x6e, Reason::ReadTsc),
        (0x72, Reason::Cpuid),
        (0x76, Reason::CacheFlush),
        (0x77, Reason::Pause),
        (0x78, Reason::Halt),
        (0x7a, Reason::NotOffered),
        (0x7f, Reason::Shutdown),
        (0x81, Reason::Hypercall),
        (0x87, Reason::ReadTscp),
        (0x88, Reason::DebugTrap),
        (0x89, Reason::CacheFlush),
        (0x8d, Reason::SetExtendedControl),
        (0x62, Reason::Unexpected { code: 0x62 }),
        (0x402, Reason::Unexpected { code: 0x402 }),
    ] {
        assert_eq!(reason(code, 0), expected, "{code:#x}");
    }
    for code in [0x80, 0x82, 0x83, 0x84, 0x85, 0x86, 0x8a, 0x8b, 0x8c, 0x8e] {
        assert_eq!(reason(code, 0), Reason::NotOffered, "{code:#x}");
    }
}

#[test]
fn model_specific_registers_are_read_or_written() {
    assert_eq!(reason(0x7c, 0), Reason::ReadMsr);
    assert_eq!(reason(0x7c, 1), Reason::WriteMsr);
}

#[test]
fn ports_are_taken_apart() {
    // OUT DX, AX to 3F8h; IN AL, 60h; REP OUTSD to CFCh.
    let out = Reason::Port { port: 0x3f8, bytes: 2, input: false, string: false };
    assert_eq!(reason(0x7b, 0x03f8_0020), out);
    assert_eq!(reason(0x7b, 0x0060_0011), Reason::Port { port: 0x60, bytes: 1, input: true, string: false });
    assert_eq!(reason(0x7b, 0x0cfc_004c), Reason::Port { port: 0xcfc, bytes: 4, input: false, string: true });
}

#[test]
fn ports_name_the_next_instruction_on_every_processor() {
    let port = exit(0x7b, Capabilities::default(), |control| control.exit_info_2 = 0x1234);
    assert_eq!(port.next_rip, Some(0x1234));
}

#[test]
fn the_next_instruction_is_named_where_the_processor_saves_it() {
    let saved = |capabilities, rip| exit(0x72, capabilities, |control| control.next_rip = rip).next_rip;
    assert_eq!(saved(ALL, 0x1002), Some(0x1002));
    assert_eq!(saved(ALL, 0), None, "faults leave zero");
    assert_eq!(saved(Capabilities::default(), 0x1002), None, "what lies there is old");
}

#[test]
fn nested_faults_are_taken_apart() {
    let fault = |info| match reason(0x400, info) {
        Reason::NestedFault(fault) => fault,
        other => panic!("{other:?}"),
    };
    let none = NestedFault {
        address: 0,
        write: false,
        fetch: false,
        present: false,
        reserved: false,
        in_walk: false,
    };
    // As QEMU reports them; bit 2 (user) is always set.
    for (info, expected) in [
        (0x1_0000_0004, none),
        (0x1_0000_0006, NestedFault { write: true, ..none }),
        (0x1_0000_0007, NestedFault { write: true, present: true, ..none }),
        (0x1_0000_0014, NestedFault { fetch: true, ..none }),
        (0x1_0000_000e, NestedFault { write: true, reserved: true, ..none }),
        (0x2_0000_0006, NestedFault { write: true, in_walk: true, ..none }),
    ] {
        assert_eq!(fault(info), expected, "{info:#x}");
    }
    let address = 0xff_ffff_f123;
    let at = exit(0x400, ALL, |control| control.exit_info_2 = address);
    assert_eq!(at.reason, Reason::NestedFault(NestedFault { address, ..none }));
}

#[test]
fn fetched_bytes_are_handed_over_for_nested_faults() {
    let fetch = |code, capabilities, count| {
        exit(code, capabilities, |control| {
            control.fetched_bytes = count;
            control.instruction[..3].copy_from_slice(&[0x89, 0x07, 0x90]);
        })
        .instruction
    };
    let bytes: ArrayVec<u8, 15> = [0x89, 0x07].into_iter().collect();
    assert_eq!(fetch(0x400, ALL, 2), Some(bytes));
    assert_eq!(fetch(0x400, ALL, 0), None, "none were fetched");
    assert_eq!(fetch(0x400, Capabilities::default(), 2), None);
    assert_eq!(fetch(0x72, ALL, 2), None, "what lies there is old");
    assert_eq!(fetch(0x400, ALL, 15).map(|bytes| bytes.len()), Some(15));
}

#[test]
fn a_refusal_is_known_by_its_low_half() {
    for code in [u64::MAX, 0xffff_ffff] {
        assert_eq!(reason(code, 0), Reason::Refused { detail: "why" });
    }
    let mut vmcb = Vmcb::zero();
    vmcb.control_mut(Clean::empty()).exit_code = 0x72;
    assert!(!is_refused(vmcb.control()));
}
