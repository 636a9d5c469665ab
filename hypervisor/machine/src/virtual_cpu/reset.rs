//! The state of a processor at reset (APM vol. 2, 14.1.3).
#![forbid(unsafe_code)]

use godwit_guest::cpu::CpuState;

use super::extended_state::{Area, Format, X87};

/// The state at reset.
pub fn state(format: &Format) -> CpuState {
    CpuState { fpu: Area::at_reset().to_bytes(format, X87), ..CpuState::at_reset() }
}
