//! What AMD's SVM offers here (APM volume 2, 15.4; volume 3, CPUID Fn8000_000A).

use alloc::vec::Vec;

use godwit_host::{
    description::{Feature, Virtualization},
    svm_without::SvmWithout,
};
use raw_cpuid::{CpuId, CpuIdReader, SvmFeatures};

use super::{Processor, VirtualizationReport};

/// VM_CR: whether the firmware allows SVM (APM volume 2, 15.30.1).
const VM_CR: u32 = 0xc001_0114;
/// VM_CR.SVMDIS: EFER.SVME cannot be set.
const SVMDIS: u64 = 1 << 4;

/// Asks one bit of the feature leaf.
type Bit = fn(&SvmFeatures) -> bool;

// Those that can be left unused.
const NEXT_RIP: &str = "nRIP save";
const DECODE_ASSISTS: &str = "decode assists";
const FLUSH_BY_ASID: &str = "flush by ASID";
const CLEAN_BITS: &str = "VMCB clean bits";

/// Features by their standard names, in the order of the banner.
const FEATURES: [(&str, Bit); 12] = [
    ("NPT", SvmFeatures::has_nested_paging),
    (NEXT_RIP, SvmFeatures::has_nrip),
    (DECODE_ASSISTS, SvmFeatures::has_decode_assists),
    (FLUSH_BY_ASID, SvmFeatures::has_flush_by_asid),
    (CLEAN_BITS, SvmFeatures::has_vmcb_clean_bits),
    ("vGIF", SvmFeatures::has_gif),
    ("virtual VMSAVE/VMLOAD", SvmFeatures::has_vmsave_virtualization),
    ("AVIC", SvmFeatures::has_avic),
    ("pause filter", SvmFeatures::has_pause_filter),
    ("pause filter threshold", SvmFeatures::has_pause_filter_threshold),
    ("TSC rate MSR", SvmFeatures::has_tsc_rate_msr),
    ("LBR virtualization", SvmFeatures::has_lbr_virtualization),
];

/// The report of a processor that has SVM.
pub(super) fn report<R: CpuIdReader>(processor: &impl Processor, cpuid: &CpuId<R>) -> VirtualizationReport {
    let svm = cpuid.get_svm_info();
    let features = FEATURES.map(|(name, has)| Feature { name, present: svm.as_ref().is_some_and(has) });
    VirtualizationReport {
        virtualization: usable(processor, svm.as_ref()),
        features: Vec::from(features),
        address_spaces: svm.as_ref().map_or(1, |svm| svm.supported_asids().max(1)),
    }
}

/// Whether each feature that can be left unused is to be, by its name in the banner.
pub(super) const fn unused(without: SvmWithout) -> [(bool, &'static str); 4] {
    [
        (without.next_rip, NEXT_RIP),
        (without.decode_assists, DECODE_ASSISTS),
        (without.flush_by_asid, FLUSH_BY_ASID),
        (without.clean_bits, CLEAN_BITS),
    ]
}

/// Whether the firmware disabled SVM. Some emulators have SVM but not this register: then nothing disables it.
pub fn is_svm_disabled(processor: &impl Processor) -> bool {
    processor.read_msr(VM_CR).is_some_and(|value| value & SVMDIS != 0)
}

/// The test of 15.4, "Enabling SVM", and what Godwit asks beyond it.
fn usable(processor: &impl Processor, svm: Option<&SvmFeatures>) -> Virtualization {
    let disabled = is_svm_disabled(processor);
    let locked = svm.is_some_and(SvmFeatures::has_svm_lock);
    match (disabled, locked) {
        (true, false) => Virtualization::Missing(
            "the firmware disabled SVM: enable it (SVM, AMD-V) in the firmware's setup",
        ),
        (true, true) => Virtualization::Missing(
            "the firmware disabled SVM and locked it with a key: enable it (SVM, AMD-V) in the firmware's setup",
        ),
        (false, _) if !svm.is_some_and(SvmFeatures::has_nested_paging) => Virtualization::Missing(
            "SVM is here without nested paging (NPT), which guests need: use a processor or CPU model that has it",
        ),
        (false, _) => Virtualization::Svm,
    }
}
