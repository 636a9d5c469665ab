//! What Intel's VMX offers here (SDM volume 3, 24.6, 24.7 and appendix A).

use alloc::vec::Vec;

use godwit_host::description::{Feature, Virtualization};

use super::{Processor, VirtualizationReport};

/// Capability and control registers (SDM volume 4, table 2-2).
mod msr {
    pub(super) const IA32_FEATURE_CONTROL: u32 = 0x3a;
    pub(super) const IA32_VMX_PINBASED_CTLS: u32 = 0x481;
    pub(super) const IA32_VMX_PROCBASED_CTLS: u32 = 0x482;
    pub(super) const IA32_VMX_PROCBASED_CTLS2: u32 = 0x48b;
    pub(super) const IA32_VMX_EPT_VPID_CAP: u32 = 0x48c;
}

/// Bits of IA32_FEATURE_CONTROL (SDM volume 3, 24.7).
const LOCKED: u64 = 1 << 0;
const VMX_OUTSIDE_SMX: u64 = 1 << 2;

/// Pin-based controls (table 25-5).
const PREEMPTION_TIMER: u32 = 6;
const POSTED_INTERRUPTS: u32 = 7;
/// Primary processor-based controls (table 25-6).
const TPR_SHADOW: u32 = 21;
const MSR_BITMAPS: u32 = 28;
const SECONDARY_CONTROLS: u32 = 31;
/// Secondary processor-based controls (table 25-7).
const EPT: u32 = 1;
const VPID: u32 = 5;
const UNRESTRICTED_GUEST: u32 = 7;
const APIC_REGISTERS: u32 = 8;
const VIRTUAL_INTERRUPTS: u32 = 9;
const PAUSE_LOOP_EXITING: u32 = 10;
const VMFUNC: u32 = 13;
const PML: u32 = 17;
const TSC_SCALING: u32 = 25;
/// EPT and VPID capabilities (A.10).
const EPT_4_LEVELS: u32 = 6;
const EPT_WRITE_BACK: u32 = 14;
const EPT_2_MIB: u32 = 16;
const EPT_1_GIB: u32 = 17;
const INVEPT: u32 = 20;
const EPT_ACCESSED_DIRTY: u32 = 21;
const INVVPID: u32 = 32;

/// VPIDs are 16 bits wide (25.6.1.9, "virtual-processor identifier").
const VPID_COUNT: u32 = 1 << 16;

/// What the capability registers allow; a register that is not announced counts as all zero.
struct Capabilities {
    pin: u64,
    primary: u64,
    secondary: u64,
    ept_vpid: u64,
}

impl Capabilities {
    fn read(processor: &impl Processor) -> Self {
        // The upper half of a control's register has a bit set where the control may be 1 (A.3).
        let allowed = |register| processor.read_msr(register).unwrap_or(0) >> 32;
        let pin = allowed(msr::IA32_VMX_PINBASED_CTLS);
        let primary = allowed(msr::IA32_VMX_PROCBASED_CTLS);
        // A.3.3 and A.10: each of these exists only where the one before announces it.
        let secondary =
            if has(primary, SECONDARY_CONTROLS) { allowed(msr::IA32_VMX_PROCBASED_CTLS2) } else { 0 };
        let announced = has(secondary, EPT) || has(secondary, VPID);
        let ept_vpid =
            if announced { processor.read_msr(msr::IA32_VMX_EPT_VPID_CAP).unwrap_or(0) } else { 0 };
        Self { pin, primary, secondary, ept_vpid }
    }

    /// Features by their standard names, in the order of the banner.
    fn features(&self) -> Vec<Feature> {
        let Self { pin, primary, secondary, ept_vpid } = *self;
        [
            ("EPT", has(secondary, EPT)),
            ("EPT 4-level walk", has(ept_vpid, EPT_4_LEVELS)),
            ("EPT write-back tables", has(ept_vpid, EPT_WRITE_BACK)),
            ("EPT 2 MiB leaves", has(ept_vpid, EPT_2_MIB)),
            ("EPT 1 GiB leaves", has(ept_vpid, EPT_1_GIB)),
            ("EPT A/D bits", has(ept_vpid, EPT_ACCESSED_DIRTY)),
            ("PML", has(secondary, PML)),
            ("INVEPT", has(ept_vpid, INVEPT)),
            ("VPID", has(secondary, VPID)),
            ("INVVPID", has(ept_vpid, INVVPID)),
            ("unrestricted guest", has(secondary, UNRESTRICTED_GUEST)),
            ("preemption timer", has(pin, PREEMPTION_TIMER)),
            ("MSR bitmaps", has(primary, MSR_BITMAPS)),
            ("TPR shadow", has(primary, TPR_SHADOW)),
            ("APICv", has(secondary, APIC_REGISTERS) && has(secondary, VIRTUAL_INTERRUPTS)),
            ("posted interrupts", has(pin, POSTED_INTERRUPTS)),
            ("PAUSE-loop exiting", has(secondary, PAUSE_LOOP_EXITING)),
            ("TSC scaling", has(secondary, TSC_SCALING)),
            ("VMFUNC", has(secondary, VMFUNC)),
        ]
        .into_iter()
        .map(|(name, present)| Feature { name, present })
        .collect()
    }
}

/// The report of a processor that has VMX.
pub(super) fn report(processor: &impl Processor) -> VirtualizationReport {
    let capabilities = Capabilities::read(processor);
    VirtualizationReport {
        virtualization: usable(processor, &capabilities),
        features: capabilities.features(),
        address_spaces: if has(capabilities.secondary, VPID) { VPID_COUNT } else { 1 },
    }
}

/// The test of 24.7, "Enabling and entering VMX operation", and what Godwit asks beyond it. Where the
/// firmware left the control register unlocked, VMX is ours to enable.
fn usable(processor: &impl Processor, capabilities: &Capabilities) -> Virtualization {
    let Some(control) = processor.read_msr(msr::IA32_FEATURE_CONTROL) else {
        return Virtualization::Missing(
            "VMX is here without IA32_FEATURE_CONTROL, which cannot be: use another CPU model",
        );
    };
    if control & LOCKED != 0 && control & VMX_OUTSIDE_SMX == 0 {
        return Virtualization::Missing(
            "the firmware locked VMX off: enable it (VT-x, Intel Virtualization Technology) in the firmware's setup",
        );
    }
    if !has(capabilities.secondary, EPT) {
        return Virtualization::Missing(
            "VMX is here without nested paging (EPT), which guests need: use a processor or CPU model that has it",
        );
    }
    Virtualization::Vmx
}

const fn has(word: u64, bit: u32) -> bool {
    word >> bit & 1 != 0
}
