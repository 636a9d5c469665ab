//! What CPUID says becomes what state may contain.

use super::Leaves;
use crate::virtual_cpu::{
    extended_state::Format,
    limits::{Limits, is_canonical},
    reset,
};

#[test]
fn control_register_bits_follow_features() {
    let bare = Limits::read(&Leaves::default(), 36);
    assert_eq!((bare.cr4, bare.efer, bare.tsc_aux), (0x7ff, 0x501, false));
    // Leaf, word of it, bit there, bit in CR4.
    for (leaf, word, bit, place) in [
        (7, 2, 2, 11),
        (7, 1, 0, 16),
        (1, 2, 17, 17),
        (1, 2, 26, 18),
        (7, 1, 7, 20),
        (7, 1, 20, 21),
        (7, 2, 3, 22),
    ] {
        let mut registers = [0; 4];
        registers[word] = 1 << bit;
        let leaves = Leaves::default().leaf(0, 0, [7, 0, 0, 0]).leaf(leaf, 0, registers);
        assert_eq!(Limits::read(&leaves, 36).cr4, 0x7ff | 1 << place);
    }
    // Neither 57-bit addresses (12) nor shadow stacks (23), whatever the processor has.
    let full = Limits::read(&Leaves::full(), 52);
    assert_eq!(full.cr4, 0x0077_0fff);
    assert_eq!((full.efer, full.tsc_aux), (0x4d01, true));
}

#[test]
fn a_leaf_beyond_the_last_says_nothing() {
    let leaves = Leaves::default().leaf(0, 0, [1, 0, 0, 0]).leaf(7, 0, [0, u32::MAX, u32::MAX, 0]);
    assert_eq!(Limits::read(&leaves, 36).cr4, 0x7ff);
}

#[test]
fn every_processor_takes_the_state_at_reset() {
    for (leaves, xsave) in [(Leaves::default(), false), (Leaves::full(), true)] {
        let (limits, format) = (Limits::read(&leaves, 36), Format::read(&leaves, xsave, 0));
        assert_eq!(limits.check(&reset::state(&format), &format), Ok(()));
    }
}

#[test]
fn every_processor_takes_what_init_and_a_start_up_message_lead_to() {
    for (leaves, xsave) in [(Leaves::default(), false), (Leaves::full(), true)] {
        let (limits, format) = (Limits::read(&leaves, 36), Format::read(&leaves, xsave, 0));
        let mut state = reset::state(&format);
        (state.control.cr0, state.control.cr4, state.control.efer) = (0x8000_0031, 0x20, 0x500);
        state.init();
        assert_eq!(limits.check(&state, &format), Ok(()));
        state.start_up(0xff);
        assert_eq!(limits.check(&state, &format), Ok(()));
        assert_eq!(state.fpu, reset::state(&format).fpu);
    }
}

#[test]
fn addresses_are_canonical_or_not() {
    for address in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
        assert!(is_canonical(address), "{address:#x}");
    }
    for address in [0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 1 << 63] {
        assert!(!is_canonical(address), "{address:#x}");
    }
}
