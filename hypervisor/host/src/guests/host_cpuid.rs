//! The host processor's CPUID, for baselines.

use godwit_guest::baseline::{CpuidResult, HostCpuid};

use crate::machine::Machine;

/// The leaves of the processor that asks.
pub(crate) struct HostLeaves<'a>(pub(crate) &'a dyn Machine);

impl HostCpuid for HostLeaves<'_> {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let [eax, ebx, ecx, edx] = self.0.cpuid(leaf, subleaf);
        CpuidResult { eax, ebx, ecx, edx }
    }
}
