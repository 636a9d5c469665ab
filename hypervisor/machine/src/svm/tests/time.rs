//! The guest's time stamp counter where it is not the processor's, and PAUSE.

use godwit_guest::vcpu::{Reason, VirtualCpu};

use super::{ALL, fake::Guest};
use crate::svm::{
    capabilities::Capabilities,
    exit,
    intercepts::{First, Second},
    tsc_ratio::TscRatio,
};

#[test]
fn both_instructions_that_read_the_counter_are_intercepted_or_neither() {
    let mut guest = Guest::new(ALL);
    for wanted in [false, true, false] {
        guest.vcpu.intercept_tsc(wanted);
        guest.run();
        let control = guest.entered().vmcb.control().clone();
        assert_eq!(control.intercept_first.contains(First::RDTSC), wanted);
        assert_eq!(control.intercept_second.contains(Second::RDTSCP), wanted);
    }
    assert_eq!(guest.exit(exit::RDTSC).reason, Reason::ReadTsc);
    assert_eq!(guest.exit(exit::RDTSCP).reason, Reason::ReadTscp);
}

#[test]
fn a_scaled_counter_goes_on_from_its_offset() {
    let mut guest = Guest::new(ALL);
    assert!(guest.vcpu.has_tsc_scaling());
    assert!(guest.vcpu.set_tsc_rate(3_000_000_000, 2_000_000_000));
    guest.vcpu.set_tsc_offset(7);
    guest.cpu.0.lock().unwrap().tsc = 2_000;
    assert_eq!(guest.vcpu.state().tsc, 3_007);
    assert_eq!(guest.vcpu.write_msr(0x10, 100), Some(true));
    guest.cpu.0.lock().unwrap().tsc += 20;
    assert_eq!(guest.vcpu.read_msr(0x10), Some(130));
    // A state from elsewhere goes on at the same rate.
    let state = guest.vcpu.state();
    guest.vcpu.set_state(&state).expect("its own state");
    guest.cpu.0.lock().unwrap().tsc += 20;
    assert_eq!(guest.vcpu.read_msr(0x10), Some(160));
}

#[test]
fn the_processor_scales_its_own_counter_which_lags() {
    let mut guest = Guest::new(ALL);
    assert!(guest.vcpu.set_tsc_rate(1, 2));
    guest.vcpu.set_tsc_offset(1_000);
    guest.cpu.0.lock().unwrap().tsc_ahead = 30;
    guest.run();
    let entered = guest.entered();
    assert_eq!(entered.crossing.tsc_ratio.bits(), 1 << 31);
    assert_eq!(entered.vmcb.control().tsc_offset, 1_015);
}

#[test]
fn a_new_guest_has_the_processors_rate() {
    let cpu = {
        let mut guest = Guest::new(ALL);
        assert!(guest.vcpu.set_tsc_rate(1, 2));
        guest.run();
        guest.cpu
    };
    let mut next = Guest::on(&cpu, ALL);
    next.run();
    assert_eq!(next.entered().crossing.tsc_ratio, TscRatio::ONE);
}

#[test]
fn a_processor_that_cannot_scale_changes_nothing() {
    let mut guest = Guest::new(Capabilities { tsc_scaling: false, ..ALL });
    assert!(!guest.vcpu.has_tsc_scaling());
    assert!(!guest.vcpu.set_tsc_rate(1, 2));
    assert!(!Guest::new(ALL).vcpu.set_tsc_rate(1, 0));
    guest.run();
    assert_eq!(guest.entered().crossing.tsc_ratio, TscRatio::ONE);
}

#[test]
fn pauses_end_a_run_where_that_is_wanted_and_the_processor_counts_them() {
    for (pause_filter, pause_threshold, expected) in
        [(false, false, (false, 0, 0)), (true, false, (true, 3000, 0)), (true, true, (true, 3000, 128))]
    {
        let mut guest = Guest::new(Capabilities { pause_filter, pause_threshold, ..ALL });
        guest.run();
        assert!(!guest.entered().vmcb.control().intercept_first.contains(First::PAUSE));
        guest.vcpu.stop_at_pause(true);
        guest.run();
        let control = guest.entered().vmcb.control().clone();
        let found = (
            control.intercept_first.contains(First::PAUSE),
            control.pause_filter_count,
            control.pause_filter_threshold,
        );
        assert_eq!(found, expected);
    }
    assert_eq!(Guest::new(ALL).exit(exit::PAUSE).reason, Reason::Pause);
}
