//! Whether a host has what a baseline takes.

use alloc::vec::Vec;
use core::fmt;

use super::{
    CpuidResult,
    amd64::{AVX_AT, AVX_BYTES, PHYSICAL_ADDRESS_BITS, VENDOR, XCR0},
    features::{FEATURES, Provider},
};

/// The host's own CPUID.
pub trait HostCpuid {
    /// CPUID with `leaf` in EAX and `subleaf` in ECX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult;
}

/// One thing that a host lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortcoming {
    /// A feature of its processor.
    Feature(&'static str),
    /// Its processor is of another vendor.
    Vendor,
    /// Its physical addresses are too narrow.
    PhysicalAddresses {
        /// Their width in bits.
        bits: u8,
    },
    /// Its XSAVE has other components, or at other places.
    ExtendedState,
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(name) => f.pad(name),
            Self::Vendor => f.pad("AMD's instruction set"),
            Self::PhysicalAddresses { bits } => {
                write!(f, "physical addresses of {PHYSICAL_ADDRESS_BITS} bits (it has {bits})")
            }
            Self::ExtendedState => f.pad("AVX state in the standard XSAVE layout"),
        }
    }
}

/// What a host lacks of a baseline, at least one thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// All of it, in the order of CPUID.
    pub what: Vec<Shortcoming>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the processor lacks ")?;
        for (index, one) in self.what.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            one.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Missing {}

pub(super) fn check(host: &dyn HostCpuid) -> Result<(), Missing> {
    let mut what = Vec::new();
    let [ebx, edx, ecx] = VENDOR;
    let basic = host.cpuid(0, 0);
    if (basic.ebx, basic.edx, basic.ecx) != (ebx, edx, ecx) {
        what.push(Shortcoming::Vendor);
    }
    let max_extended = host.cpuid(0x8000_0000, 0).eax;
    // A leaf beyond the highest answers anything on some processors: it counts as zeros.
    let ask = |leaf: u32, subleaf| {
        let max = if leaf >= 0x8000_0000 { max_extended } else { basic.eax };
        if leaf <= max { host.cpuid(leaf, subleaf) } else { CpuidResult::default() }
    };
    let needed = FEATURES.iter().filter(|feature| feature.provider == Provider::Processor);
    let lacked =
        needed.filter(|feature| ask(feature.leaf, 0).register(feature.register) >> feature.bit & 1 == 0);
    what.extend(lacked.map(|feature| Shortcoming::Feature(feature.name)));

    let state = ask(0xd, 0);
    let avx = ask(0xd, 2);
    let components = u64::from(state.edx) << 32 | u64::from(state.eax);
    if components & XCR0.bits() != XCR0.bits() || (avx.eax, avx.ebx) != (AVX_BYTES, AVX_AT) {
        what.push(Shortcoming::ExtendedState);
    }
    let bits = ask(0x8000_0008, 0).eax as u8;
    if bits < PHYSICAL_ADDRESS_BITS {
        what.push(Shortcoming::PhysicalAddresses { bits });
    }
    if what.is_empty() { Ok(()) } else { Err(Missing { what }) }
}
