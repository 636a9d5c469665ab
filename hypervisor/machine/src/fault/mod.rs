//! The last words of a host: an exception, a panic or an interrupt that cannot be served stops every processor and says
//! where and why.
//!
//! ```text
//! godwit fault: page fault (vector 14) on cpu0
//!   error code 0x0000000000000002 (not present, write)
//!   rip 0x… rsp 0x… rflags 0x… cr2 0x…
//!   …
//! backtrace:
//!   #0 0xffffffff80212345 godwit_machine::provoke::page_fault+0x12
//! stopped: cpu1 at 0xffffffff80211111 godwit_machine::hardware::idle+0x40
//! godwit halted
//! ```

#[expect(unsafe_code, reason = "follows frame pointers")]
mod backtrace;
mod report;
#[expect(unsafe_code, reason = "takes the console from whoever holds it")]
mod stop;

use core::panic::PanicInfo;

use crate::interrupts::{stubs::InterruptFrame, vectors};

/// Reports a Rust panic and stops the host.
pub fn report_panic(info: &PanicInfo<'_>) -> ! {
    stop::claim((report_panic as fn(&PanicInfo<'_>) -> !) as usize as u64);
    report::panic(info);
    stop::halt()
}

/// Reports an exception and stops the host.
pub(crate) fn report_exception(frame: &InterruptFrame) -> ! {
    stop::claim(frame.rip);
    report::exception(frame);
    stop::halt()
}

/// A non-maskable interrupt: another processor is reporting and wants this one to stop, or something is wrong.
pub(crate) fn non_maskable(frame: &InterruptFrame) {
    stop::park_if_reporting(frame.rip);
    debug_assert_eq!(frame.vector, u64::from(vectors::NMI));
    report_exception(frame)
}
