//! Processors as CPUID describes them, and the state that each takes.

mod extended_state;
mod limits;

use std::collections::HashMap;

use raw_cpuid::CpuIdResult;

use crate::features::Processor;

/// A processor made of the leaves that a test names; the rest is zero.
#[derive(Default)]
pub(crate) struct Leaves {
    leaves: HashMap<(u32, u32), [u32; 4]>,
    msrs: HashMap<u32, u64>,
}

impl Leaves {
    /// EAX, EBX, ECX, EDX of a leaf.
    pub(crate) fn leaf(mut self, leaf: u32, subleaf: u32, registers: [u32; 4]) -> Self {
        self.leaves.insert((leaf, subleaf), registers);
        self
    }

    /// The value of a model-specific register.
    pub(crate) fn msr(mut self, msr: u32, value: u64) -> Self {
        self.msrs.insert(msr, value);
        self
    }

    /// A processor with all that guests can be given, and more.
    pub(crate) fn full() -> Self {
        let [all, offsets] = [u32::MAX, 0];
        Self::default()
            .leaf(0, 0, [0x16, 0, 0, 0])
            .leaf(1, 0, [0, 0, all, all])
            .leaf(7, 0, [0, all, all, all])
            .leaf(0xd, 0, [0x2e7, offsets, 0x2_0000, 0])
            .leaf(0xd, 2, [256, 576, 0, 0])
            .leaf(0xd, 5, [64, 1088, 0, 0])
            .leaf(0xd, 6, [512, 1152, 0, 0])
            .leaf(0xd, 7, [1024, 1664, 0, 0])
            .leaf(0xd, 9, [8, 2688, 0, 0])
            .leaf(0x8000_0001, 0, [0, 0, all, all])
    }
}

impl Processor for Leaves {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        let [eax, ebx, ecx, edx] = self.leaves.get(&(leaf, subleaf)).copied().unwrap_or_default();
        CpuIdResult { eax, ebx, ecx, edx }
    }

    fn read_msr(&self, msr: u32) -> Option<u64> {
        self.msrs.get(&msr).copied()
    }
}
