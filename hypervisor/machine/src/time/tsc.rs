//! The time stamp counter and the host's clock over it.

use core::{
    arch::x86_64::{_mm_lfence, _rdtsc},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use godwit_host::machine::Instant;
use spin::Once;

use super::clock::Scale;
use crate::cpu::local;

struct Clock {
    base: u64,
    scale: Scale,
}

static CLOCK: Once<Clock> = Once::new();
/// Set when a processor's counter was seen to lag: readings are then corrected, and held to the latest that anyone had.
static HOLD: AtomicBool = AtomicBool::new(false);
static LATEST: AtomicU64 = AtomicU64::new(0);
/// The largest counter value that any processor read while counters were compared.
static NEWEST: AtomicU64 = AtomicU64::new(0);
static HZ: AtomicU64 = AtomicU64::new(0);
/// Readings by which a started processor compares its counter.
const COMPARISONS: usize = 2_000;

/// The calling processor's counter, read after all earlier loads.
pub fn read() -> u64 {
    // SAFETY: LFENCE and RDTSC have no effect on memory; CR4.TSD is clear in the host.
    unsafe {
        _mm_lfence();
        _rdtsc()
    }
}

/// The counter as all processors agree on it: the calling processor's, with what it lags added.
pub fn counter() -> u64 {
    read().wrapping_add(local::this().tsc_offset())
}

/// Starts the clock at zero now, with the counter at `hz`.
pub fn start(hz: u64) {
    CLOCK.call_once(|| Clock { base: read(), scale: Scale::from_hz(hz) });
}

/// The host's monotonic clock, zero before [`start`].
pub fn now() -> Instant {
    let Some(clock) = CLOCK.get() else { return Instant::default() };
    let ticks = |counter: u64| clock.scale.nanoseconds(counter.saturating_sub(clock.base));
    if HOLD.load(Ordering::Relaxed) {
        // What the comparison left of the difference, the latest reading of anyone covers.
        let nanoseconds = ticks(counter());
        let latest = LATEST.fetch_max(nanoseconds, Ordering::Relaxed);
        return Instant::from_nanoseconds(nanoseconds.max(latest));
    }
    Instant::from_nanoseconds(ticks(read()))
}

/// Notes the counter's frequency, for processors that start later.
pub fn note_frequency(hz: u64) {
    HZ.store(hz, Ordering::Relaxed);
}

/// The counter's frequency in Hz, 0 before [`note_frequency`].
pub fn frequency() -> u64 {
    HZ.load(Ordering::Relaxed)
}

/// One look at whether this processor's counter lags behind the others': whoever reads less than somebody had read before
/// does, and adds the difference from then on.
pub fn observe() {
    let cpu = local::this();
    let newest = NEWEST.load(Ordering::Acquire);
    let own = read().wrapping_add(cpu.tsc_offset());
    if own < newest {
        cpu.advance_tsc(newest - own);
        HOLD.store(true, Ordering::Relaxed);
    }
    NEWEST.fetch_max(own, Ordering::AcqRel);
}

/// Looks often, while the boot processor does the same.
pub fn compare_with_others() {
    for _ in 0..COMPARISONS {
        observe();
    }
}

/// Whether readings are held to the latest that any processor had, because the counters differ.
pub fn is_held() -> bool {
    HOLD.load(Ordering::Relaxed)
}
