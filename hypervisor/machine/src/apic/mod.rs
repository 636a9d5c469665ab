//! Interrupt controllers: local APIC, IO-APIC, and the legacy pair that is put to sleep.

#[expect(unsafe_code, reason = "memory-mapped registers of the IO-APIC")]
pub mod io;
#[expect(unsafe_code, reason = "I/O ports of the legacy interrupt controllers")]
pub mod legacy;
#[expect(unsafe_code, reason = "registers of the local APIC, memory-mapped or model-specific")]
pub mod local;
