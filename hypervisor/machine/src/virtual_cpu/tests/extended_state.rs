//! FPU areas in and out, with XSAVE and without.

use godwit_guest::vcpu::StateError;
use proptest::prelude::*;

use super::Leaves;
use crate::virtual_cpu::extended_state::{Area, Format};

fn full() -> Format {
    Format::read(&Leaves::full(), true, 0x2_ffff)
}

fn without_xsave() -> Format {
    Format::read(&Leaves::default(), false, 0)
}

/// An area of `length` bytes with these components present, MXCSR as at reset, and 0xa5 elsewhere.
fn area(length: usize, present: u16) -> Vec<u8> {
    let mut bytes = vec![0xa5; length];
    bytes[24..32].copy_from_slice(&[0x80, 0x1f, 0, 0, 0, 0, 0, 0]);
    bytes[512..576].fill(0);
    bytes[512..514].copy_from_slice(&present.to_le_bytes());
    bytes
}

#[test]
fn components_are_those_that_guests_can_be_given() {
    assert_eq!(full().components(), 0x2e7, "neither MPX nor AMX");
    assert_eq!(without_xsave().components(), 3);
    // AVX-512 in part is none.
    let leaves = Leaves::full().leaf(0xd, 6, [0; 4]);
    assert_eq!(Format::read(&leaves, true, 0).components(), 0x207);
    // What does not fit a frame is none.
    let leaves = Leaves::full().leaf(0xd, 9, [8, 4089, 0, 0]);
    assert_eq!(Format::read(&leaves, true, 0).components(), 0xe7);
    let leaves = Leaves::full().leaf(0xd, 9, [u32::MAX, u32::MAX, 0, 0]);
    assert_eq!(Format::read(&leaves, true, 0).components(), 0xe7);
}

#[test]
fn xcr0_follows_the_rules() {
    for (xcr0, taken) in [
        (1, true),
        (3, true),
        (7, true),
        (0xe7, true),
        (0x2e7, true),
        (0x203, true),
        (0, false),
        (2, false),
        (5, false),
        (0x67, false),
        (0xe3, false),
        (0x1f, false),
        (1 << 63 | 3, false),
    ] {
        assert_eq!(full().takes_xcr0(xcr0), taken, "{xcr0:#x}");
    }
    assert!(!without_xsave().takes_xcr0(7));
}

#[test]
fn an_area_is_as_long_as_its_components() {
    let at_reset = Area::at_reset();
    for (xcr0, bytes) in [(1, 576), (3, 576), (7, 832), (0xe7, 2688), (0x207, 2696)] {
        assert_eq!(at_reset.to_bytes(&full(), xcr0).len(), bytes, "{xcr0:#x}");
    }
    // What was enabled earlier is kept.
    let mut area_in = Area::at_reset();
    area_in.set_bytes(&full(), &area(832, 7));
    assert_eq!(area_in.to_bytes(&full(), 1).len(), 832);
}

#[test]
fn mxcsr_bits_are_the_processors() {
    let mut bytes = area(576, 3);
    bytes[24] |= 1 << 6;
    assert_eq!(full().check(&bytes), Ok(()));
    let denormals = Err(StateError("MXCSR has bits that this processor does not"));
    assert_eq!(without_xsave().check(&bytes), denormals, "a processor that names no mask");
    // MXCSR is loaded whatever components are present.
    bytes[512] = 0;
    bytes[27] = 0x80;
    assert_eq!(full().check(&bytes), denormals);
}

#[test]
fn fxrstor_finds_initial_state_written_out() {
    let format = without_xsave();
    let mut state = Area::at_reset();
    state.set_bytes(&format, &area(576, 2));
    let bytes = state.to_bytes(&format, 3);
    assert_eq!(bytes[..2], [0x7f, 0x03], "FCW");
    assert!(bytes[2..24].iter().chain(&bytes[32..160]).all(|&byte| byte == 0), "x87");
    assert!(bytes[160..416].iter().all(|&byte| byte == 0xa5), "XMM");
    assert_eq!((bytes[512], bytes[24], bytes[25]), (3, 0x80, 0x1f));

    state.set_bytes(&format, &area(576, 1));
    let bytes = state.to_bytes(&format, 3);
    assert_eq!(bytes[0], 0xa5, "x87");
    assert!(bytes[160..416].iter().all(|&byte| byte == 0), "XMM");
}

#[test]
fn nothing_of_the_state_before_is_left() {
    let mut state = Area::at_reset();
    state.set_bytes(&full(), &area(2696, 0xe7));
    state.set_bytes(&full(), &area(576, 3));
    let bytes = state.to_bytes(&full(), 0x2e7);
    assert!(bytes[576..].iter().all(|&byte| byte == 0));
}

proptest! {
    /// What is accepted comes back byte by byte, and can be taken again.
    #[test]
    fn accepted_areas_survive(
        content in prop::collection::vec(any::<u8>(), 576..2800),
        present in prop::sample::select(vec![0u16, 1, 2, 3, 7, 0xe7, 0x2e7, 0x207, 8]),
        header in prop::option::weighted(0.1, 520..576usize),
    ) {
        let mut bytes = content;
        bytes[26..32].fill(0);
        bytes[512..576].fill(0);
        bytes[512..514].copy_from_slice(&present.to_le_bytes());
        if let Some(at) = header {
            bytes[at] = 1;
        }
        let format = full();
        let accepted = format.check(&bytes).is_ok();
        let ends = [(4, 832), (0xe0, 2688), (0x200, 2696)];
        let needed = ends.iter().filter(|(bit, _)| present & bit != 0).map(|&(_, end)| end).max();
        prop_assert_eq!(accepted, present != 8 && header.is_none() && bytes.len() >= needed.unwrap_or(576));
        if accepted {
            let mut state = Area::at_reset();
            state.set_bytes(&format, &bytes);
            let saved = state.to_bytes(&format, 3);
            prop_assert_eq!(&saved[..], &bytes[..saved.len()]);
            prop_assert_eq!(saved.len(), needed.unwrap_or(576));
            prop_assert_eq!(format.check(&saved), Ok(()));
        }
    }
}
