//! Interrupts and exceptions: from the vector to the code that serves it.

#[cfg(feature = "kernel")]
pub mod dispatch;
pub mod error_code;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "assembly that the processor enters by itself")]
pub mod stubs;
pub mod vectors;
