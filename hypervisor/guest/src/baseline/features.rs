//! The features of `amd64-v1`, each once: what CPUID says and what a host must have follow from the same table.

use super::CpuidResult;

/// A register of CPUID's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// Who makes a feature work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Provider {
    /// The host's processor: without it the baseline is not satisfied.
    Processor,
    /// The host's software, on any processor.
    Host,
}

/// One bit of CPUID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) leaf: u32,
    pub(super) register: Register,
    pub(super) bit: u8,
    pub(super) provider: Provider,
}

impl CpuidResult {
    /// One of its registers.
    pub(super) const fn register(self, register: Register) -> u32 {
        match register {
            Register::Eax => self.eax,
            Register::Ebx => self.ebx,
            Register::Ecx => self.ecx,
            Register::Edx => self.edx,
        }
    }
}

/// The feature bits of `register` of `leaf`.
pub(super) fn word(leaf: u32, register: Register) -> u32 {
    let matching = FEATURES.iter().filter(|feature| feature.leaf == leaf && feature.register == register);
    matching.fold(0, |word, feature| word | 1 << feature.bit)
}

const fn cpu(name: &'static str, leaf: u32, register: Register, bit: u8) -> Feature {
    Feature { name, leaf, register, bit, provider: Provider::Processor }
}

const fn host(name: &'static str, leaf: u32, register: Register, bit: u8) -> Feature {
    Feature { name, leaf, register, bit, provider: Provider::Host }
}

use Register::{Eax, Ebx, Ecx, Edx};

const BASIC: u32 = 1;
const POWER: u32 = 6;
const STRUCTURED: u32 = 7;
const EXTENDED: u32 = 0x8000_0001;

/// All of them, by leaf, register and bit (APM vol. 3, appendix E).
///
/// Left out on purpose: SVM and MONITOR (a guest cannot use them here), PCID (no emulator of SVM has it), performance counters,
/// thermal and power controls, and whatever needs registers that a guest's saved state does not have (XSS, PKRU, AVX-512).
pub(super) const FEATURES: &[Feature] = &[
    cpu("SSE3", BASIC, Ecx, 0),
    cpu("PCLMULQDQ", BASIC, Ecx, 1),
    cpu("SSSE3", BASIC, Ecx, 9),
    cpu("CMPXCHG16B", BASIC, Ecx, 13),
    cpu("SSE4.1", BASIC, Ecx, 19),
    cpu("SSE4.2", BASIC, Ecx, 20),
    // The guest's local APIC is the host's software.
    host("x2APIC", BASIC, Ecx, 21),
    cpu("MOVBE", BASIC, Ecx, 22),
    cpu("POPCNT", BASIC, Ecx, 23),
    host("TSC deadline", BASIC, Ecx, 24),
    cpu("AES", BASIC, Ecx, 25),
    cpu("XSAVE", BASIC, Ecx, 26),
    cpu("AVX", BASIC, Ecx, 28),
    cpu("RDRAND", BASIC, Ecx, 30),
    host("hypervisor", BASIC, Ecx, 31),
    cpu("FPU", BASIC, Edx, 0),
    cpu("DE", BASIC, Edx, 2),
    cpu("PSE", BASIC, Edx, 3),
    cpu("TSC", BASIC, Edx, 4),
    cpu("MSR", BASIC, Edx, 5),
    cpu("PAE", BASIC, Edx, 6),
    // Machine checks, of which a guest has no bank: see the MSR policy.
    cpu("MCE", BASIC, Edx, 7),
    cpu("CMPXCHG8B", BASIC, Edx, 8),
    host("APIC", BASIC, Edx, 9),
    cpu("SYSENTER", BASIC, Edx, 11),
    // Without MTRRs Linux does not use the PAT either. Nested paging ignores a guest's MTRRs.
    host("MTRR", BASIC, Edx, 12),
    cpu("PGE", BASIC, Edx, 13),
    host("MCA", BASIC, Edx, 14),
    cpu("CMOV", BASIC, Edx, 15),
    cpu("PAT", BASIC, Edx, 16),
    cpu("PSE-36", BASIC, Edx, 17),
    cpu("CLFLUSH", BASIC, Edx, 19),
    cpu("MMX", BASIC, Edx, 23),
    cpu("FXSR", BASIC, Edx, 24),
    cpu("SSE", BASIC, Edx, 25),
    cpu("SSE2", BASIC, Edx, 26),
    // The guest's local APIC timer runs whatever the guest's processor does.
    host("ARAT", POWER, Eax, 2),
    cpu("FSGSBASE", STRUCTURED, Ebx, 0),
    cpu("SMEP", STRUCTURED, Ebx, 7),
    cpu("SMAP", STRUCTURED, Ebx, 20),
    cpu("LAHF in 64-bit mode", EXTENDED, Ecx, 0),
    cpu("CR8 by LOCK MOV CR0", EXTENDED, Ecx, 4),
    cpu("SYSCALL", EXTENDED, Edx, 11),
    cpu("NX", EXTENDED, Edx, 20),
    cpu("MMX extensions", EXTENDED, Edx, 22),
    cpu("1 GiB pages", EXTENDED, Edx, 26),
    cpu("RDTSCP", EXTENDED, Edx, 27),
    cpu("long mode", EXTENDED, Edx, 29),
    // A host's clock stands on a constant counter, and a guest's counter is the host's with an offset.
    // It is not offered: a guest that sees it takes the counter for its clock, and a host that it moves to may count
    // otherwise. kvmclock follows the move.
];
