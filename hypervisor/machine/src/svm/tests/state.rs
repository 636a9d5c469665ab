//! The neutral state goes into the control block and comes out as it was.

use godwit_guest::cpu::{Attributes, CpuState, Segment, Table};
use proptest::prelude::*;

use crate::svm::{
    state::{load, store},
    vmcb::{Clean, Vmcb},
};

prop_compose! {
    fn segment()(selector: u16, attributes: u16, limit: u32, base: u64) -> Segment {
        Segment { selector, attributes: Attributes::from_bits_truncate(attributes), limit, base }
    }
}

prop_compose! {
    fn table()(limit: u16, base: u64) -> Table {
        Table { limit, base }
    }
}

prop_compose! {
    /// What lies in the block, whatever a processor would say to it.
    fn state()(
        segments in prop::array::uniform8(segment()),
        tables in prop::array::uniform2(table()),
        words: [u64; 17],
        cr8 in 0..16u8,
        shadow: bool,
    ) -> CpuState {
        let mut state = CpuState::default();
        let [es, cs, ss, ds, fs, gs, ldtr, tr] = segments;
        state.segments = godwit_guest::cpu::Segments { es, cs, ss, ds, fs, gs, ldtr, tr };
        [state.gdtr, state.idtr] = tables;
        let msrs = &mut state.msrs;
        let control = &mut state.control;
        [
            msrs.star, msrs.lstar, msrs.cstar, msrs.sfmask, msrs.kernel_gs_base,
            msrs.sysenter_cs, msrs.sysenter_esp, msrs.sysenter_eip, msrs.pat,
            control.cr0, control.cr2, control.cr3, control.cr4, control.efer,
            state.debug.dr6, state.debug.dr7, _,
        ] = words;
        // SVME is the host's: a guest never has it.
        control.efer &= !(1 << 12);
        // Caching stays on.
        control.cr0 &= !(0b11 << 29);
        control.cr8 = cr8;
        state.interrupt_shadow = shadow;
        state
    }
}

proptest! {
    #[test]
    fn states_survive_the_block(state in state()) {
        let mut vmcb = Vmcb::zero();
        load(&mut vmcb, &state);
        prop_assert_eq!(store(&vmcb), state);
    }

    #[test]
    fn the_block_has_svme_and_the_guest_does_not(state in state()) {
        let mut vmcb = Vmcb::zero();
        load(&mut vmcb, &state);
        prop_assert!(vmcb.save().efer & 1 << 12 != 0);
        prop_assert_eq!(vmcb.control().clean, Clean::empty());
    }
}

#[test]
fn the_privilege_level_is_the_dpl_of_ss() {
    let mut state = CpuState::default();
    state.segments.ss.attributes = Attributes(0xf3);
    let mut vmcb = Vmcb::zero();
    load(&mut vmcb, &state);
    assert_eq!(vmcb.save().cpl, 3);
    // SYSRET leaves SS as it was; the processor's own word counts.
    vmcb.save_mut(Clean::empty()).cpl = 0;
    assert_eq!(store(&vmcb).segments.ss.attributes, Attributes(0x93));
}

#[test]
fn no_guest_runs_uncached() {
    let mut state = CpuState::default();
    state.control.cr0 = 0x6000_0010;
    let mut vmcb = Vmcb::zero();
    load(&mut vmcb, &state);
    assert_eq!(vmcb.save().cr0, 0x10);
}
