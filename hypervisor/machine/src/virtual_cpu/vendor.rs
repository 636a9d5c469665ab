//! The vendor's half that makes virtual CPUs here, picked once at boot.

use alloc::boxed::Box;

use godwit_frames::Frames;
use godwit_guest::{
    baseline::Baseline,
    vcpu::{VcpuError, VirtualCpu},
};
use godwit_host::{description::Virtualization, svm_without::SvmWithout};
use spin::Once;

use super::{extended_state::Format, limits::Limits};
use crate::{
    cpu::{control, local, processor::ThisProcessor},
    features::Features,
    speculation::{self, Mitigations},
    svm,
};

/// What a vendor's half is given.
pub struct Ground {
    /// Where frames come from, and go back to.
    pub frames: &'static Frames<'static>,
    /// Which state this processor takes.
    pub limits: Limits,
    /// Which extended state it saves.
    pub format: Format,
    /// What is done against speculation.
    pub mitigations: Mitigations,
    /// Features of SVM that are left unused.
    pub svm_without: SvmWithout,
}

/// The vendor's half, or why there is none.
static VENDOR: Once<Result<svm::host::Host, &'static str>> = Once::new();

/// Picks the vendor's half and enables it on the calling processor, the first. Others follow by [`enable_this_cpu`].
pub fn start(
    virtualization: Virtualization,
    features: &Features,
    frames: &'static Frames<'static>,
    svm_without: SvmWithout,
) {
    VENDOR.call_once(|| match virtualization {
        Virtualization::Svm => {
            let limits = Limits::read(&ThisProcessor, features.physical_address_bits);
            let format = Format::read(&ThisProcessor, features.xsave, control::mxcsr_mask());
            let mitigations = *speculation::apply::chosen();
            svm::host::Host::new(Ground { frames, limits, format, mitigations, svm_without })
        }
        Virtualization::Vmx => Err("this build runs guests by SVM only, and this processor has VMX"),
        Virtualization::Missing(why) => Err(why),
    });
    enable_this_cpu();
}

/// Makes the calling processor ready to run virtual CPUs, where there can be any.
pub fn enable_this_cpu() {
    let Some(Ok(vendor)) = VENDOR.get() else { return };
    speculation::apply::protect_this_cpu();
    if let Err(why) = vendor.enable_this_cpu() {
        log::warn!("{} runs no guests: {why}", local::this().number());
    }
}

/// A new virtual CPU in its reset state, held to `baseline`.
///
/// # Errors
/// [`VcpuError`] with the reason: the processor cannot, or memory is short.
pub fn create(baseline: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError> {
    match VENDOR.get() {
        Some(Ok(vendor)) => vendor.create(baseline),
        Some(Err(why)) => Err(VcpuError(why)),
        None => Err(VcpuError("the processor was not asked yet what it has")),
    }
}
