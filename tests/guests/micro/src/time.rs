//! Time: the ACPI timer as the clock that the others are held against.

use core::{arch::x86_64::_rdtsc, hint::spin_loop};

use x86_64::instructions::port::Port;

use crate::acpi;

/// Ticks of the ACPI timer in a second (ACPI 6.5, 4.8.2.1).
const TIMER_HZ: u64 = 3_579_545;
/// The timer counts in 24 bits at least.
const TIMER_MASK: u32 = 0xff_ffff;

/// The time stamp counter.
pub(crate) fn tsc() -> u64 {
    // SAFETY: the counter is there on every x86-64 processor, and CR4.TSD is clear.
    unsafe { _rdtsc() }
}

/// Time that has passed, in ACPI timer ticks; look at it more than once in 4 seconds.
pub(crate) struct Stopwatch {
    last: u32,
    ticks: u64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { last: timer(), ticks: 0 }
    }

    /// Microseconds since the start.
    pub(crate) fn microseconds(&mut self) -> u64 {
        let now = timer();
        self.ticks += u64::from(now.wrapping_sub(self.last) & TIMER_MASK);
        self.last = now;
        self.ticks * 1_000_000 / TIMER_HZ
    }
}

/// The ACPI timer's count.
pub(crate) fn ticks() -> u32 {
    timer()
}

fn timer() -> u32 {
    let Some(port) = acpi::timer_port() else { return 0 };
    // SAFETY: the FADT says that this is the timer; reading it changes nothing.
    unsafe { Port::<u32>::new(port).read() }
}

/// TSC ticks between two looks at the ACPI timer.
const LOOKS_TICKS: u64 = 50_000;

/// Waits until `is_so`, `milliseconds` at most; says whether it came.
pub(crate) fn wait(milliseconds: u64, mut is_so: impl FnMut() -> bool) -> bool {
    let mut watch = Stopwatch::start();
    loop {
        // Most looks need no exit, so that interrupts arrive in guest code as well. Where PAUSE makes way for another CPU there are few
        // looks in a while.
        let begin = tsc();
        while tsc().wrapping_sub(begin) < LOOKS_TICKS {
            if is_so() {
                return true;
            }
            spin_loop();
        }
        if watch.microseconds() > milliseconds * 1000 {
            return is_so();
        }
    }
}

/// How often two clocks are held against each other: the machine under this one may have stood still between looking at the one and at
/// the other.
const TRIES: usize = 8;

/// What a clock counted, what it should have, and how far apart the two may be.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) found: u64,
    pub(crate) expected: u64,
    pub(crate) apart: u64,
}

impl Measured {
    /// Whether the two agree.
    pub(crate) fn agrees(&self) -> bool {
        self.found.abs_diff(self.expected) <= self.apart
    }
}

/// Measures until the two agree, a few times at most; answers what was measured last.
pub(crate) fn steadily(mut measure: impl FnMut() -> Measured) -> Measured {
    let mut last = measure();
    for _ in 1..TRIES {
        if last.agrees() {
            break;
        }
        last = measure();
    }
    last
}

/// TSC ticks in a second, measured over `milliseconds`.
pub(crate) fn tsc_hz(milliseconds: u64) -> u64 {
    let mut watch = Stopwatch::start();
    let start = tsc();
    wait(milliseconds, || false);
    let ticks = tsc() - start;
    ticks * 1_000_000 / watch.microseconds().max(1)
}
