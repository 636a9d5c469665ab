//! Model-specific registers that the host reads and writes for a guest.

use godwit_guest::vcpu::VirtualCpu;

use super::{ALL, fake::Guest};
use crate::svm::vmcb::TlbControl;

const TSC: u32 = 0x10;
const DEBUG_CONTROL: u32 = 0x1d9;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
const STAR: u32 = 0xc000_0081;
const TSC_AUX: u32 = 0xc000_0103;

#[test]
fn efer_is_the_guests_own() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.vcpu.read_msr(EFER), Some(0), "SVME is the host's");
    // SCE, LME, NXE.
    assert_eq!(guest.vcpu.write_msr(EFER, 0x901), Some(true));
    assert_eq!(guest.vcpu.read_msr(EFER), Some(0x901));
    // The processor has FFXSR (14); the guest is not offered it.
    for refused in [1 << 12, 1 << 1, 1 << 13, 1 << 14, 1 << 63] {
        assert_eq!(guest.vcpu.write_msr(EFER, refused), Some(false), "{refused:#x}");
    }
    assert_eq!(guest.vcpu.read_msr(EFER), Some(0x901), "a refused write changes nothing");
    guest.run();
    assert_eq!(guest.entered().vmcb.save().efer, 0x1901);
}

#[test]
fn the_mode_does_not_change_while_paging_is_on() {
    let mut guest = Guest::new(ALL);
    let mut state = guest.vcpu.state();
    state.control.cr0 = 0x8000_0011;
    state.control.cr4 = 1 << 5;
    state.control.efer = 0x500;
    guest.vcpu.set_state(&state).expect("long mode");
    assert_eq!(guest.vcpu.write_msr(EFER, 0x400), Some(false), "LME cannot be cleared");
    // LMA cannot be written, one way or the other.
    assert_eq!(guest.vcpu.write_msr(EFER, 0x900), Some(true));
    assert_eq!(guest.vcpu.read_msr(EFER), Some(0xd00));
}

#[test]
fn pat_takes_memory_types_only() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.vcpu.write_msr(PAT, 0x0706_0504_0100_0607), Some(true));
    for refused in [2, 3, 8, 0xff00_0000_0000_0000] {
        assert_eq!(guest.vcpu.write_msr(PAT, refused), Some(false), "{refused:#x}");
    }
    assert_eq!(guest.vcpu.read_msr(PAT), Some(0x0706_0504_0100_0607));
    guest.run();
    assert_eq!(guest.entered().vmcb.save().g_pat, 0x0706_0504_0100_0607);
}

#[test]
fn translations_go_with_the_memory_types_and_the_right_to_execute() {
    let reset = 0x0007_0406_0007_0406;
    for (msr, value, flush) in
        [(PAT, 0, true), (PAT, reset, false), (EFER, 0x800, true), (EFER, 1, false), (EFER, 0, false)]
    {
        let mut guest = Guest::new(ALL);
        guest.run();
        assert_eq!(guest.vcpu.write_msr(msr, value), Some(true));
        guest.run();
        let expected = if flush { TlbControl::FlushThis } else { TlbControl::Keep };
        assert_eq!(guest.entered().vmcb.control().tlb_control, expected as u8, "{msr:#x} = {value:#x}");
    }
}

#[test]
fn the_time_stamp_counter_goes_on_from_what_was_written() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.vcpu.read_msr(TSC), Some(0), "zero at reset");
    guest.cpu.0.lock().unwrap().tsc += 500;
    assert_eq!(guest.vcpu.read_msr(TSC), Some(500));
    assert_eq!(guest.vcpu.write_msr(TSC, 77), Some(true));
    guest.cpu.0.lock().unwrap().tsc += 3;
    assert_eq!(guest.vcpu.read_msr(TSC), Some(80));
    assert_eq!(guest.vcpu.state().tsc, 80);
}

#[test]
fn the_offset_counts_what_the_processor_lags() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.set_tsc_offset(1_000);
    guest.cpu.0.lock().unwrap().tsc_ahead = 30;
    guest.run();
    assert_eq!(guest.entered().vmcb.control().tsc_offset, 1_030);
    assert_eq!(guest.vcpu.tsc_offset(), 1_000);
}

#[test]
fn tsc_aux_has_32_bits() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.vcpu.write_msr(TSC_AUX, 0xffff_ffff), Some(true));
    assert_eq!(guest.vcpu.write_msr(TSC_AUX, 1 << 32), Some(false));
    assert_eq!(guest.vcpu.read_msr(TSC_AUX), Some(0xffff_ffff));
    guest.run();
    assert_eq!(guest.entered().crossing.tsc_aux, 0xffff_ffff);
}

#[test]
fn debug_control_keeps_two_bits() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.vcpu.write_msr(DEBUG_CONTROL, 3), Some(true));
    assert_eq!(guest.vcpu.write_msr(DEBUG_CONTROL, 4), Some(false));
    assert_eq!(guest.vcpu.read_msr(DEBUG_CONTROL), Some(3));
}

#[test]
fn others_are_somebody_elses() {
    let mut guest = Guest::new(ALL);
    for msr in [STAR, 0xc000_0102, 0x1b, 0x4b56_4d00] {
        assert_eq!(guest.vcpu.read_msr(msr), None, "{msr:#x}");
        assert_eq!(guest.vcpu.write_msr(msr, 0), None, "{msr:#x}");
    }
}
