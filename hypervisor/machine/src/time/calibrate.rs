//! How fast the counters run, measured against a timer whose frequency is fixed by its specification.

use x86_64::instructions::port::{Port, PortWriteOnly};

use super::tsc;
use crate::{acpi, apic::local as local_apic, features::PLAUSIBLE_HZ, register::Reachable};

/// The ACPI power management timer's frequency.
const PM_TIMER_HZ: u64 = acpi::PmTimer::FREQUENCY_HZ;
/// The programmable interval timer's frequency.
const PIT_HZ: u64 = 1_193_182;
/// How long the reference timer is watched: about 50 ms.
const PM_TICKS: u64 = PM_TIMER_HZ / 20;
const PIT_TICKS: u16 = (PIT_HZ / 20) as u16;
/// Readings taken at each end, of which the tightest counts: whoever runs this processor may interrupt any of them.
const READINGS: usize = 16;
/// Counter ticks after which a reference that does not move is given up.
const PATIENCE_TICKS: u64 = 1 << 34;

/// The ACPI power management timer.
#[derive(Clone, Copy, Debug)]
pub struct PmTimer {
    /// Its register; reading it has no side effect (ACPI 6.5, 4.8.3.3).
    pub register: Reachable,
    /// Whether it counts 32 bits, else 24.
    pub is_32_bit: bool,
}

impl PmTimer {
    fn read(self) -> u32 {
        self.register.read_32()
    }

    fn passed(self, from: u32, to: u32) -> u64 {
        let mask = if self.is_32_bit { u32::MAX } else { 0x00ff_ffff };
        u64::from(to.wrapping_sub(from) & mask)
    }

    /// A reading with the counter's value in the middle of it.
    fn bracketed(self) -> (u32, u64) {
        let mut best = (0, 0, u64::MAX);
        for _ in 0..READINGS {
            let before = tsc::read();
            let value = self.read();
            let width = tsc::read().wrapping_sub(before);
            if width < best.2 {
                best = (value, before.wrapping_add(width / 2), width);
            }
        }
        (best.0, best.1)
    }
}

/// The time stamp counter's frequency in Hz by the power management timer, or `None` where that does not move.
pub fn tsc_by_pm_timer(timer: PmTimer) -> Option<u64> {
    let (from, start) = timer.bracketed();
    while timer.passed(from, timer.read()) < PM_TICKS {
        if tsc::read().wrapping_sub(start) > PATIENCE_TICKS {
            return None;
        }
        core::hint::spin_loop();
    }
    let (to, end) = timer.bracketed();
    let ticks = u128::from(end.wrapping_sub(start));
    plausible(ticks * u128::from(PM_TIMER_HZ) / u128::from(timer.passed(from, to)))
}

/// The time stamp counter's frequency in Hz by the interval timer's channel 2, or `None` where that does not end.
pub fn tsc_by_pit() -> Option<u64> {
    let mut gate = Port::<u8>::new(0x61);
    let mut command = PortWriteOnly::<u8>::new(0x43);
    let mut channel_2 = PortWriteOnly::<u8>::new(0x42);
    // SAFETY: ports 0x42, 0x43 and 0x61 are the interval timer and its gate on every PC. Channel 2 drives the speaker, which
    // is kept off (bit 1); nobody else uses it.
    let start = unsafe {
        let quiet = gate.read() & !0b11;
        gate.write(quiet);
        command.write(0b1011_0000); // channel 2, both bytes, mode 0: output rises when the count ends
        let [low, high] = PIT_TICKS.to_le_bytes();
        channel_2.write(low);
        channel_2.write(high);
        gate.write(quiet | 1);
        tsc::read()
    };
    const OUTPUT: u8 = 1 << 5;
    // SAFETY: reading the gate port has no side effect.
    if unsafe { gate.read() } & OUTPUT != 0 {
        // In mode 0 the output is low until the count ends: there is no such timer, and the port reads all ones.
        return None;
    }
    loop {
        let passed = tsc::read().wrapping_sub(start);
        // SAFETY: reading the gate port has no side effect.
        if unsafe { gate.read() } & OUTPUT != 0 {
            return plausible(u128::from(passed) * u128::from(PIT_HZ) / u128::from(PIT_TICKS));
        }
        if passed > PATIENCE_TICKS {
            return None;
        }
        core::hint::spin_loop();
    }
}

/// A frequency that a time stamp counter can have.
fn plausible(hz: u128) -> Option<u64> {
    u64::try_from(hz).ok().filter(|hz| PLAUSIBLE_HZ.contains(hz))
}

/// The calling processor's local APIC timer in counts per second, measured over 10 ms of a counter at `tsc_hz`.
pub fn local_apic_timer(tsc_hz: u64) -> u64 {
    let wanted = tsc_hz / 100;
    local_apic::start_silent_timer(u32::MAX);
    let start = tsc::read();
    let first = local_apic::timer_count();
    let mut end = start;
    while end.wrapping_sub(start) < wanted {
        core::hint::spin_loop();
        end = tsc::read();
    }
    let counted = u128::from(first.wrapping_sub(local_apic::timer_count()));
    local_apic::stop_timer();
    let ticks = u128::from(end.wrapping_sub(start)).max(1);
    u64::try_from(counted * u128::from(tsc_hz) / ticks).unwrap_or(0)
}
