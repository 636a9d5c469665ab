//! Time: the time stamp counter as the host's monotonic clock, and what it is measured against.

pub mod calendar;
pub mod clock;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "I/O ports of the reference timers")]
pub mod calibrate;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "reads the time stamp counter")]
pub mod tsc;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "I/O ports of the real-time clock")]
pub mod wall_clock;
