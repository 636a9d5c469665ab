//! Every mode of the processor: exits, device registers and paging behave the same in each.

use crate::{
    apic,
    asked::Asked,
    environment::cpuid,
    mode_switch::{MODES, Steps, round_trip},
    trial::{Outcome, Trial, check},
};

pub(super) const TRIALS: &[Trial] = &[Trial::new("every-mode-exits-and-pages-alike", run)];

fn run(_: &Asked<'_>) -> Outcome {
    apic::start(false);
    // SAFETY: the APIC base register exists on every 64-bit processor.
    let apic_base = unsafe { x86_64::registers::model_specific::Msr::new(0x1b).read() } as u32;
    let expected =
        Steps { vendor: cpuid(0, 0).ebx, apic_base, scratch: 0, apic_version: apic::read(apic::VERSION) };
    let word = 0x1234_5600;
    let report = round_trip(word);
    for (place, (name, found)) in MODES.iter().zip(report.steps).enumerate() {
        // Real mode's last byte came by REP OUTSB.
        let scratch = if place == 5 { 0xc5 } else { 0xc0 + place as u32 };
        let expected = Steps { scratch, ..expected };
        check!(found == expected, "in {name} mode: {found:x?}, not {expected:x?}");
    }
    check!(report.legacy == [word, word + 1], "32-bit paging shows {:x?} for {word:#x}", report.legacy);
    check!(report.pae == [word + 2, word + 3], "PAE paging shows {:x?} for {:#x}", report.pae, word + 2);
    check!(report.real_interrupts == 2, "the real-mode handler ran {} times, not 2", report.real_interrupts);
    Ok(())
}
