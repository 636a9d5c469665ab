//! A processor that has every feature, and an operator who wants some left alone: the host does as on one without them.

use godwit_guest::vcpu::VirtualCpu;
use godwit_host::svm_without::SvmWithout;

use super::{ALL, fake::Guest};
use crate::svm::{
    capabilities::Capabilities,
    exit,
    vmcb::{Clean, TlbControl},
};

const NOTHING: SvmWithout =
    SvmWithout { next_rip: false, decode_assists: false, flush_by_asid: false, clean_bits: false };

/// A guest on it.
fn guest(without: SvmWithout) -> Guest {
    Guest::new(ALL.without(without))
}

#[test]
fn each_feature_is_left_alone_by_itself() {
    assert_eq!(ALL.without(NOTHING), ALL);
    for (without, expected) in [
        (SvmWithout { next_rip: true, ..NOTHING }, Capabilities { next_rip: false, ..ALL }),
        (SvmWithout { decode_assists: true, ..NOTHING }, Capabilities { decode_assists: false, ..ALL }),
        (SvmWithout { flush_by_asid: true, ..NOTHING }, Capabilities { flush_by_asid: false, ..ALL }),
        (SvmWithout { clean_bits: true, ..NOTHING }, Capabilities { clean_bits: false, ..ALL }),
    ] {
        assert_eq!(ALL.without(without), expected);
        // What is not there does not appear.
        let none = Capabilities { address_spaces: 16, ..Capabilities::default() };
        assert_eq!(none.without(without), none);
    }
}

#[test]
fn a_next_instruction_that_the_processor_saves_is_not_believed() {
    for (without, expected) in [(NOTHING, Some(0x1234)), (SvmWithout { next_rip: true, ..NOTHING }, None)] {
        let left = guest(without).leave(|vmcb, _| {
            let control = vmcb.control_mut(Clean::empty());
            control.exit_code = exit::CPUID;
            control.next_rip = 0x1234;
        });
        assert_eq!(left.next_rip, expected);
    }
}

#[test]
fn bytes_that_the_processor_fetched_are_not_believed() {
    for (without, expected) in [(NOTHING, Some(2)), (SvmWithout { decode_assists: true, ..NOTHING }, None)] {
        let left = guest(without).leave(|vmcb, _| {
            let control = vmcb.control_mut(Clean::empty());
            control.exit_code = exit::NESTED_FAULT;
            control.fetched_bytes = 2;
            control.instruction[..2].copy_from_slice(&[0x89, 0x07]);
        });
        assert_eq!(left.instruction.map(|bytes| bytes.len()), expected);
    }
}

#[test]
fn a_flush_is_a_new_address_space() {
    for (without, expected) in [
        (NOTHING, (1, TlbControl::FlushThis)),
        (SvmWithout { flush_by_asid: true, ..NOTHING }, (2, TlbControl::Keep)),
    ] {
        let mut guest = guest(without);
        guest.run();
        guest.vcpu.flush_tables();
        guest.run();
        let entered = guest.entered();
        let control = entered.vmcb.control();
        assert_eq!((control.asid, control.tlb_control), (expected.0, expected.1 as u8));
    }
}

#[test]
fn no_part_of_the_block_is_said_to_be_clean() {
    for (without, expected) in [(NOTHING, false), (SvmWithout { clean_bits: true, ..NOTHING }, true)] {
        let mut guest = guest(without);
        guest.run();
        guest.run();
        assert_eq!(guest.entered().vmcb.control().clean.is_empty(), expected);
    }
}
