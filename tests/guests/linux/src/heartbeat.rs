//! A beat in every period: `beat SEQ NS`. What lies between two beats is what the guest did not run.

use std::{io, time::Duration};

use rustix::{
    thread::clock_nanosleep_absolute,
    time::{ClockId, Timespec},
};

use crate::{clock::Clock, console::say};

/// Above all ordinary threads: a beat tells of the machine, not of the guest's scheduler.
const PRIORITY: i32 = 10;

/// Beats for ever.
pub(crate) fn run(period: Duration) {
    if let Err(error) = become_real_time() {
        say!("BAD PRIORITY {error}");
    }
    let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
    let mut clock = Clock::new();
    let mut due_ns = clock.now_ns();
    for number in 0u64.. {
        let now_ns = clock.now_ns();
        say!("beat {number} {now_ns}");
        due_ns = next(due_ns, now_ns, period_ns);
        let due = Duration::from_nanos(due_ns);
        let due = Timespec { tv_sec: due.as_secs().cast_signed(), tv_nsec: due.subsec_nanos().into() };
        // A signal ends a sleep early, and nobody sends one.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &due);
    }
}

/// When the beat after the one due at `due_ns` is due. Beats that were missed are left out, not made up for.
fn next(due_ns: u64, now_ns: u64, period_ns: u64) -> u64 {
    let regular = due_ns.saturating_add(period_ns);
    if regular > now_ns { regular } else { now_ns.saturating_add(period_ns) }
}

#[expect(unsafe_code, reason = "no crate offers a safe sched_setscheduler")]
fn become_real_time() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the kernel reads `parameter`, which lives until the call returns; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_keep_their_rhythm_and_are_not_made_up_for() {
        assert_eq!(next(100, 103, 10), 110);
        assert_eq!(next(100, 110, 10), 120);
        assert_eq!(next(100, 175, 10), 185);
    }
}
