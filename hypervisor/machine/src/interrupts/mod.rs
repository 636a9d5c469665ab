//! Interrupts and exceptions: from the vector to the code that serves it.

pub mod dispatch;
#[expect(unsafe_code, reason = "assembly that the processor enters by itself")]
pub mod stubs;
pub mod vectors;
