//! Which code serves a vector.

use super::{stubs::InterruptFrame, vectors};
use crate::{apic::local as local_apic, cpu::processor, fault};

/// Serves one interrupt. Those that only wake an idle CPU have nothing to do here: its loop looks at mail, console, network and
/// time.
pub(super) fn dispatch(frame: &mut InterruptFrame) {
    if let Some(rip) = processor::recover(frame) {
        frame.rip = rip;
        return;
    }
    match u8::try_from(frame.vector).unwrap_or(vectors::SPURIOUS) {
        vectors::NMI => fault::non_maskable(frame),
        0..=31 => fault::report_exception(frame),
        vectors::CONSOLE | vectors::NETWORK | vectors::TIMER | vectors::KICK => {
            local_apic::end_of_interrupt();
        }
        vectors::SPURIOUS | vectors::LEGACY..=0x2f => {}
        // Nobody asked for it: every other input is masked.
        _ => local_apic::end_of_interrupt(),
    }
}
