//! CPUID baselines: named, versioned processors that guests see, whatever host runs them.
//!
//! A guest that moves must find the processor that it left. So nothing of the host shows through: every answer follows from
//! the baseline and from the virtual CPU's own state, and a host either [satisfies](Baseline::satisfied_by) the baseline or
//! does not run its guests. A baseline never changes once it was released; better processors get a new one.

mod amd64;
mod features;
mod host;

use core::fmt;

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

pub use host::{HostCpuid, Missing, Shortcoming};

/// What CPUID answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct CpuidResult {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// What CPUID's answers depend on beside the baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuidContext {
    /// The virtual CPU's APIC id.
    pub apic_id: u32,
    /// How many virtual CPUs the guest has, at least 1.
    pub cpus: u32,
    /// CR4: OSXSAVE shows in leaf 1.
    pub cr4: u64,
    /// XCR0: leaf 0xD says how much room it takes.
    pub xcr0: u64,
}

/// A baseline by name and version, as hosts tell each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Baseline {
    /// `amd64-v1`: AMD Zen 2 as far as QEMU's emulation has it: x86-64-v2, AVX with XSAVE, AES, 1 GiB pages, x2APIC; 40 bits
    /// of physical addresses.
    Amd64V1,
}

bitflags! {
    /// XCR0's components (APM vol. 2, 11.5.2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Xcr0: u64 {
        /// x87; always set.
        const X87 = 1 << 0;
        /// XMM registers and MXCSR.
        const SSE = 1 << 1;
        /// The upper halves of YMM registers.
        const AVX = 1 << 2;
    }
}

bitflags! {
    /// CR4's bits that a baseline offers (APM vol. 2, 3.1.3).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Cr4: u64 {
        /// Reading the time stamp counter takes privilege.
        const TSD = 1 << 2;
        /// Debugging extensions.
        const DE = 1 << 3;
        /// Large pages of 4 MiB.
        const PSE = 1 << 4;
        /// Physical addresses beyond 32 bits.
        const PAE = 1 << 5;
        /// Machine checks.
        const MCE = 1 << 6;
        /// Global pages.
        const PGE = 1 << 7;
        /// RDPMC without privilege.
        const PCE = 1 << 8;
        /// FXSAVE and SSE.
        const OSFXSR = 1 << 9;
        /// SSE exceptions by #XF.
        const OSXMMEXCPT = 1 << 10;
        /// RDFSBASE and its family.
        const FSGSBASE = 1 << 16;
        /// XSAVE and XCR0.
        const OSXSAVE = 1 << 18;
        /// Supervisor-mode execution prevention.
        const SMEP = 1 << 20;
        /// Supervisor-mode access prevention.
        const SMAP = 1 << 21;
    }
}

impl Baseline {
    /// The baseline that new guests get.
    pub const DEFAULT: Self = Self::Amd64V1;

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64V1 => "amd64-v1",
        }
    }

    /// The baseline called `name`, as [`name`](Self::name) has it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Amd64V1].into_iter().find(|baseline| baseline.name() == name)
    }

    /// What CPUID answers for `leaf` in EAX and `subleaf` in ECX. Leaves that do not exist answer zeros, as AMD's do.
    pub fn answer(self, leaf: u32, subleaf: u32, cpu: &CpuidContext) -> CpuidResult {
        match self {
            Self::Amd64V1 => amd64::answer(leaf, subleaf, cpu),
        }
    }

    /// Whether a host can run guests of this baseline.
    ///
    /// # Errors
    /// [`Missing`] names all that it lacks.
    pub fn satisfied_by(self, host: &dyn HostCpuid) -> Result<(), Missing> {
        match self {
            Self::Amd64V1 => host::check(host),
        }
    }

    /// The width of guest-physical addresses.
    pub const fn physical_address_bits(self) -> u8 {
        amd64::PHYSICAL_ADDRESS_BITS
    }

    /// The XCR0 components that a guest can enable.
    pub const fn xcr0_mask(self) -> Xcr0 {
        amd64::XCR0
    }

    /// Whether the guest may set XCR0 to `value`; else XSETBV raises #GP.
    pub const fn check_xcr0(self, value: u64) -> bool {
        let Some(components) = Xcr0::from_bits(value) else { return false };
        // AVX's halves are of registers that SSE saves.
        let pairs = !components.contains(Xcr0::AVX) || components.contains(Xcr0::SSE);
        self.xcr0_mask().contains(components) && components.contains(Xcr0::X87) && pairs
    }

    /// MXCSR bits that a guest can set: those that every host has.
    pub const fn mxcsr_mask(self) -> u32 {
        // Bit 17 (misaligned SSE) is AMD's alone and not emulated everywhere.
        0xffff
    }

    /// Bytes of an XSAVE area in the standard format with all components that a guest can enable.
    pub const fn fpu_bytes(self) -> usize {
        amd64::xsave_bytes(amd64::XCR0.bits()) as usize
    }

    /// CR4 bits that a guest can set; all others are reserved.
    pub const fn cr4_mask(self) -> Cr4 {
        Cr4::all()
    }

    /// EFER bits that a guest can set (APM vol. 2, 3.1.7): SCE, LME, LMA, NXE. Not SVME.
    pub const fn efer_mask(self) -> u64 {
        1 << 0 | 1 << 8 | 1 << 10 | 1 << 11
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
