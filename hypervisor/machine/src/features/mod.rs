//! What the processor can do, as CPUID and the capability MSRs say it.
//!
//! Read through [`Processor`], so that host tests can show processors that no emulator makes. Nothing here
//! allocates but [`virtualization`], which is for the banner.
#![forbid(unsafe_code)]

use arrayvec::ArrayString;
use raw_cpuid::{CpuId, CpuIdReader, CpuIdResult};

pub use self::{
    report::{VirtualizationReport, virtualization},
    svm::is_svm_disabled,
};

mod report;
mod svm;
#[cfg(test)]
mod tests;
mod vmx;

/// The processor's own words.
pub trait Processor {
    /// CPUID with `leaf` in EAX and `subleaf` in ECX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult;

    /// RDMSR, or `None` where the processor has no such register. Asked only for registers whose presence
    /// CPUID or another capability register announces.
    fn read_msr(&self, msr: u32) -> Option<u64>;
}

/// Features that bring-up uses or that the banner names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Vendor, such as `AuthenticAMD`.
    pub vendor: ArrayString<12>,
    /// Brand string, trimmed; empty where there is none.
    pub brand: ArrayString<48>,
    /// Width of physical addresses in bits, 32 to 52.
    pub physical_address_bits: u8,
    /// No-execute pages.
    pub nx: bool,
    /// 1 GiB pages.
    pub gigabyte_pages: bool,
    /// Supervisor-mode execution prevention.
    pub smep: bool,
    /// Supervisor-mode access prevention.
    pub smap: bool,
    /// User-mode instruction prevention.
    pub umip: bool,
    /// Machine checks are reported by exception and by banks of registers (MCE and MCA).
    pub machine_check: bool,
    /// Memory types by range (MTRRs).
    pub mtrr: bool,
    /// Memory types by page (IA32_PAT).
    pub pat: bool,
    /// x2APIC mode.
    pub x2apic: bool,
    /// TSC-deadline mode of the local APIC timer.
    pub tsc_deadline: bool,
    /// The time stamp counter runs at one rate whatever the processor does.
    pub invariant_tsc: bool,
    /// The RDRAND instruction.
    pub rdrand: bool,
    /// The RDSEED instruction.
    pub rdseed: bool,
    /// XSAVE and its family.
    pub xsave: bool,
    /// Runs under another hypervisor.
    pub hypervisor: bool,
    /// The time stamp counter's frequency, where the processor or its hypervisor names it.
    pub tsc: Option<TscFrequency>,
}

/// The time stamp counter's frequency as CPUID names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TscFrequency {
    /// In Hz.
    pub hz: u64,
    /// Which leaf says so.
    pub source: &'static str,
    /// Whether it is the counter's own rate; else it is rounded to MHz and good for a check at most.
    pub exact: bool,
}

/// Frequencies that a time stamp counter can have: an emulator's slowest to ten times the fastest processor.
pub const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 1_000_000..=100_000_000_000;
/// Physical address bits of a processor that does not say (SDM volume 3, 4.1.4).
const DEFAULT_PHYSICAL_ADDRESS_BITS: u8 = 36;

impl Features {
    /// Asks the processor.
    pub fn read(processor: &impl Processor) -> Self {
        let cpuid = CpuId::with_cpuid_reader(Reader(processor));
        // Leaves 1, 7, 8000_0001h, 8000_0007h and 8000_0008h (SDM volume 2, CPUID; APM volume 3, appendix E).
        let basic = cpuid.get_feature_info();
        let structured = cpuid.get_extended_feature_info();
        let extended = cpuid.get_extended_processor_and_feature_identifiers();
        let power = cpuid.get_advanced_power_mgmt_info();
        let capacity = cpuid.get_processor_capacity_feature_info();
        Self {
            vendor: cpuid.get_vendor_info().map(|vendor| printable(vendor.as_str())).unwrap_or_default(),
            brand: cpuid
                .get_processor_brand_string()
                .map(|brand| printable(brand.as_str()))
                .unwrap_or_default(),
            physical_address_bits: capacity
                .map(|capacity| capacity.physical_address_bits())
                .filter(|bits| (32..=52).contains(bits))
                .unwrap_or(DEFAULT_PHYSICAL_ADDRESS_BITS),
            nx: extended.as_ref().is_some_and(|leaf| leaf.has_execute_disable()),
            gigabyte_pages: extended.as_ref().is_some_and(|leaf| leaf.has_1gib_pages()),
            smep: structured.as_ref().is_some_and(|leaf| leaf.has_smep()),
            smap: structured.as_ref().is_some_and(|leaf| leaf.has_smap()),
            umip: structured.as_ref().is_some_and(|leaf| leaf.has_umip()),
            machine_check: basic.as_ref().is_some_and(|leaf| leaf.has_mce() && leaf.has_mca()),
            mtrr: basic.as_ref().is_some_and(|leaf| leaf.has_mtrr()),
            pat: basic.as_ref().is_some_and(|leaf| leaf.has_pat()),
            x2apic: basic.as_ref().is_some_and(|leaf| leaf.has_x2apic()),
            tsc_deadline: basic.as_ref().is_some_and(|leaf| leaf.has_tsc_deadline()),
            invariant_tsc: power.is_some_and(|leaf| leaf.has_invariant_tsc()),
            rdrand: basic.as_ref().is_some_and(|leaf| leaf.has_rdrand()),
            rdseed: structured.as_ref().is_some_and(|leaf| leaf.has_rdseed()),
            xsave: basic.as_ref().is_some_and(|leaf| leaf.has_xsave()),
            hypervisor: basic.as_ref().is_some_and(|leaf| leaf.has_hypervisor()),
            tsc: tsc_frequency(&cpuid),
        }
    }
}

/// The best frequency that CPUID names: the processor's own, the hypervisor's, then the rounded one.
fn tsc_frequency<R: CpuIdReader>(cpuid: &CpuId<R>) -> Option<TscFrequency> {
    // Leaf 15h: crystal frequency times a ratio (SDM volume 3, 18.7.3).
    let crystal = cpuid.get_tsc_info().and_then(|leaf| leaf.tsc_frequency());
    // Leaf 4000_0010h, in kHz: first VMware's, by now everyone's.
    let hypervisor = cpuid.get_hypervisor_info().and_then(|info| info.tsc_frequency());
    // Leaf 16h: the base frequency in MHz, which the counter runs at give or take the rounding.
    let base = cpuid.get_processor_frequency_info().map(|leaf| leaf.processor_base_frequency());
    [
        (crystal, "CPUID leaf 15h", true),
        (hypervisor.map(|khz| u64::from(khz) * 1_000), "the hypervisor's CPUID leaf 40000010h", true),
        (base.map(|mhz| u64::from(mhz) * 1_000_000), "CPUID leaf 16h", false),
    ]
    .into_iter()
    .filter_map(|(hz, source, exact)| Some(TscFrequency { hz: hz?, source, exact }))
    .find(|frequency| PLAUSIBLE_HZ.contains(&frequency.hz))
}

/// `text` without what would move a terminal's cursor, cut at `N` bytes.
fn printable<const N: usize>(text: &str) -> ArrayString<N> {
    let mut kept = ArrayString::new();
    for character in text.chars() {
        let shown = if character == ' ' || character.is_ascii_graphic() { character } else { '?' };
        if kept.try_push(shown).is_err() {
            break;
        }
    }
    kept
}

/// A [`Processor`] as `raw_cpuid` wants it.
struct Reader<'a, P>(&'a P);

impl<P> Clone for Reader<'_, P> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<P: Processor> CpuIdReader for Reader<'_, P> {
    fn cpuid2(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        self.0.cpuid(leaf, subleaf)
    }
}
