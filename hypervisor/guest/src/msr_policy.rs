//! Model-specific registers that are neither part of the CPU's state nor a device's: constants, and writes without effect.
//!
//! Everything else raises #GP in the guest, is counted, and is worth one line of log. The policy has no state that a guest can
//! change, so nothing of it is saved; the counters start anew where a guest arrives.

use arrayvec::ArrayVec;

/// Unknown registers that are counted one by one; a guest that tries more of them is counted in one sum.
pub const MAX_COUNTED: usize = 64;

/// The register does not exist here, or refuses the value: #GP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no such model-specific register, or not with this value")]
pub struct Refused {
    /// Whether this is the first access of its kind to this register: log it.
    pub first: bool,
}

/// How often a guest tried a register in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MsrCounter {
    /// The register.
    pub msr: u32,
    /// Reads that were refused.
    pub reads: u64,
    /// Writes that were refused.
    pub writes: u64,
}

/// Answers RDMSR and WRMSR where nobody else does, and counts what it refuses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MsrPolicy {
    counters: ArrayVec<MsrCounter, MAX_COUNTED>,
    beyond: u64,
}

impl MsrPolicy {
    /// A policy that has refused nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// RDMSR.
    ///
    /// # Errors
    /// [`Refused`]: inject #GP.
    pub fn read(&mut self, msr: u32) -> Result<u64, Refused> {
        match find(msr).and_then(|known| known.value) {
            Some(value) => Ok(value),
            None => Err(Refused { first: self.count(msr, |counter| &mut counter.reads) }),
        }
    }

    /// WRMSR. What is accepted has no effect.
    ///
    /// # Errors
    /// [`Refused`]: inject #GP.
    pub fn write(&mut self, msr: u32, value: u64) -> Result<(), Refused> {
        match find(msr) {
            Some(known) if value & !known.writable == 0 => Ok(()),
            _ => Err(Refused { first: self.count(msr, |counter| &mut counter.writes) }),
        }
    }

    /// What was refused so far, by register, in the order in which they were first tried.
    pub fn counters(&self) -> &[MsrCounter] {
        &self.counters
    }

    /// Accesses that were refused beyond the [`MAX_COUNTED`] registers that are counted one by one.
    pub const fn refused_beyond(&self) -> u64 {
        self.beyond
    }

    /// Counts a refusal, and says whether it is the first of this kind. The registers that have no counter of their own share
    /// one line of log.
    fn count(&mut self, msr: u32, side: impl Fn(&mut MsrCounter) -> &mut u64) -> bool {
        let at = self.counters.iter().position(|counter| counter.msr == msr);
        let at = at.or_else(|| {
            self.counters.try_push(MsrCounter { msr, reads: 0, writes: 0 }).ok()?;
            self.counters.len().checked_sub(1)
        });
        let count = match at.and_then(|at| self.counters.get_mut(at)) {
            Some(counter) => side(counter),
            None => &mut self.beyond,
        };
        *count = count.saturating_add(1);
        *count == 1
    }
}

/// A register with a fixed value.
struct Known {
    msr: u32,
    /// What is read, or `None` where it can only be written.
    value: Option<u64>,
    /// Bits that a write may set, to no effect; with any other bit set it is refused.
    writable: u64,
}

const fn constant(msr: u32, value: u64) -> Known {
    Known { msr, value: Some(value), writable: 0 }
}

const fn ignored(msr: u32, value: u64) -> Known {
    Known { msr, value: Some(value), writable: u64::MAX }
}

fn find(msr: u32) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.msr == msr)
}

/// HWCR: the time stamp counter runs at the frequency of P-state 0, whatever the P-state is.
const HWCR_TSC_AT_P0: u64 = 1 << 24;
/// DE_CFG: LFENCE waits for all instructions before it.
const DE_CFG_LFENCE_SERIALIZES: u64 = 1 << 1;
/// MTRRdefType: MTRRs are on, and the default type is write-back.
const MTRR_ON_WRITE_BACK: u64 = 1 << 11 | 6;
/// MTRRdefType: what is not reserved.
const MTRR_DEFAULT_TYPE_BITS: u64 = 1 << 11 | 1 << 10 | 0xff;

/// The registers, by number (APM vol. 2, appendix A; BIOS and Kernel Developer's Guide for family 17h).
const KNOWN: &[Known] = &[
    // IA32_PLATFORM_ID: no platform in particular.
    constant(0x17, 0),
    // EBL_CR_POWERON: written by old BIOS code, read by old kernels.
    ignored(0x2a, 0),
    // IA32_BIOS_UPDT_TRIG: microcode is the host's affair.
    Known { msr: 0x79, value: None, writable: u64::MAX },
    // PATCH_LEVEL: the version that KVM shows on AMD; writing 0 before reading it is Intel's habit.
    ignored(0x8b, 0x0100_0065),
    // MSR_PLATFORM_INFO: nothing can be changed.
    constant(0xce, 0),
    // MTRRcap: no variable and no fixed ranges.
    constant(0xfe, 0),
    // MCG_CAP and MCG_STATUS: no banks and no machine check in progress.
    constant(0x179, 0),
    ignored(0x17a, 0),
    // MISC_ENABLE: fast strings, and nothing to switch.
    ignored(0x1a0, 1),
    // LastBranchFromIP to LastExceptionToIP: never recorded.
    constant(0x1db, 0),
    constant(0x1dc, 0),
    constant(0x1dd, 0),
    constant(0x1de, 0),
    // MTRRdefType. Linux switches MTRRs off and on while it sets them.
    Known { msr: 0x2ff, value: Some(MTRR_ON_WRITE_BACK), writable: MTRR_DEFAULT_TYPE_BITS },
    // SYSCFG: no memory encryption, no extended fixed MTRRs.
    ignored(0xc001_0010, 0),
    // HWCR.
    ignored(0xc001_0015, HWCR_TSC_AT_P0),
    // TOP_MEM and TOP_MEM2: there is no AMD north bridge.
    constant(0xc001_001a, 0),
    constant(0xc001_001d, 0),
    // NB_CFG: Linux switches extended PCI configuration on.
    ignored(0xc001_001f, 0),
    // PATCH_LOADER.
    Known { msr: 0xc001_0020, value: None, writable: u64::MAX },
    // Interrupt-pending message: C1E is off.
    ignored(0xc001_0055, 0),
    // MMIO configuration base: off.
    constant(0xc001_0058, 0),
    // SMM's base, TSEG's address and mask: there is no system management mode.
    constant(0xc001_0112, 0),
    constant(0xc001_0113, 0),
    // DC_CFG, DE_CFG, BU_CFG2: workarounds for errata that no guest has to apply.
    ignored(0xc001_1022, 0),
    ignored(0xc001_1029, DE_CFG_LFENCE_SERIALIZES),
    ignored(0xc001_102a, 0),
];

#[cfg(test)]
mod tests;
