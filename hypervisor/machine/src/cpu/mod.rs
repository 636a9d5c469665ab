//! Processors: their tables, stacks, state, and how they are started.

/// Processors that one host runs; more are named in the banner and left alone.
pub const MAX_CPUS: usize = 64;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "control registers and model-specific registers")]
pub mod control;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "descriptor tables that the processor reads")]
pub mod descriptors;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "the GS base and what it points to")]
pub mod local;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "reads model-specific registers that may not exist")]
pub mod processor;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "instructions that CPUID may not report")]
pub mod random;
#[cfg(feature = "kernel")]
pub mod stacks;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "a start-up page in low memory that another processor runs")]
pub mod start;
