//! The virtualization features of either vendor, found or missing, for the banner.

use alloc::{format, string::String, vec::Vec};

use godwit_host::{
    description::{Feature, Virtualization},
    svm_without::SvmWithout,
};
use raw_cpuid::CpuId;

use super::{Processor, Reader, svm, vmx};

/// How this machine can run guests, and what it has for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualizationReport {
    /// How guests can run here.
    pub virtualization: Virtualization,
    /// Each feature that this vendor could have, found or missing; empty where the processor has neither SVM
    /// nor VMX.
    pub features: Vec<Feature>,
    /// Address space identifiers for nested TLB entries: SVM's count, 65,536 with VMX's VPID, else 1 (all
    /// share one).
    pub address_spaces: u32,
}

impl VirtualizationReport {
    /// Counts features that are left unused as missing; answers a note that says so, and of each whether it was found.
    pub fn leave_unused(&mut self, without: SvmWithout) -> Option<String> {
        let mut said = String::new();
        for (asked, name) in svm::unused(without) {
            let feature = self.features.iter_mut().find(|feature| feature.name == name);
            if asked {
                let found = feature.is_some_and(|feature| core::mem::replace(&mut feature.present, false));
                let gap = if said.is_empty() { "" } else { ", " };
                said += &format!("{gap}{name} ({})", if found { "found" } else { "not there anyway" });
            }
        }
        (!said.is_empty()).then(|| format!("left unused, as godwit.svm_without asks: {said}"))
    }
}

/// Asks the processor, whichever vendor made it.
pub fn virtualization(processor: &impl Processor) -> VirtualizationReport {
    let cpuid = CpuId::with_cpuid_reader(Reader(processor));
    let extended = cpuid.get_extended_processor_and_feature_identifiers();
    if extended.is_some_and(|leaf| leaf.has_svm()) {
        svm::report(processor, &cpuid)
    } else if cpuid.get_feature_info().is_some_and(|leaf| leaf.has_vmx()) {
        vmx::report(processor)
    } else {
        VirtualizationReport {
            virtualization: Virtualization::Missing(
                "the processor has neither SVM nor VMX: use one that has, or give the emulator such a CPU model",
            ),
            features: Vec::new(),
            address_spaces: 1,
        }
    }
}
