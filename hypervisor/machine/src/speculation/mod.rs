//! What keeps speculation from carrying one guest's secrets to another, or the host's to a guest: chosen from CPUID, pure.
//!
//! `apply` carries it out, and the vendor's world switch what belongs to entries and exits. What has no remedy here is in
//! `docs/THREAT-MODEL.md`.

use alloc::vec::Vec;

use crate::features::Processor;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "model-specific registers and VERW")]
pub mod apply;
#[cfg(test)]
mod tests;

/// SPEC_CTRL's bits (APM vol. 2, 3.2.9).
pub mod spec_ctrl {
    /// IBRS: indirect branches do not use what less privileged code taught the predictor.
    pub const IBRS: u64 = 1 << 0;
    /// STIBP: nor what the sibling thread taught it.
    pub const STIBP: u64 = 1 << 1;
}

/// Who made the processor, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Vendor {
    Amd,
    Intel,
    Other,
}

/// What is done on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mitigations {
    /// EFER.AIBRSE is set in the host: indirect branches of the host are kept from what guests taught the predictor, and the
    /// return stack is emptied at each exit (APM vol. 2, 3.1.7).
    pub automatic_ibrs: bool,
    /// What SPEC_CTRL holds from bring-up on, in host and guests; `None` where there is no such register.
    pub spec_ctrl: Option<u64>,
    /// An indirect branch prediction barrier where a CPU goes from one trust domain to another.
    pub branch_barrier: bool,
    /// The L1 data cache is flushed there.
    pub flush_l1_data: bool,
    /// VERW before each entry clears what buffers hold of the host and of other guests.
    pub clear_buffers: bool,
    /// The return stack is filled after each exit with entries that lead nowhere.
    pub fill_return_stack: bool,
}

impl Mitigations {
    /// Chooses by what the processor says that it has and is open to.
    pub fn choose(processor: &impl Processor) -> Self {
        match vendor(processor) {
            Vendor::Amd => Self::for_amd(processor),
            Vendor::Intel => Self::for_intel(processor),
            Vendor::Other => Self { fill_return_stack: true, ..Self::default() },
        }
    }

    /// CPUID Fn8000_0008_EBX and Fn8000_0021 (APM vol. 3, E.4.7 and E.4.17).
    fn for_amd(processor: &impl Processor) -> Self {
        let last = processor.cpuid(0x8000_0000, 0).eax;
        let leaf = |leaf: u32| (leaf <= last).then(|| processor.cpuid(leaf, 0));
        let controls = leaf(0x8000_0008).map_or(0, |leaf| leaf.ebx);
        let more = leaf(0x8000_0021);
        let (more, immunities) = more.map_or((0, 0), |leaf| (leaf.eax, leaf.ecx));
        let has = |word: u32, bit: u32| word & 1 << bit != 0;

        let automatic_ibrs = has(more, 8);
        // IBRS that is not meant to stay on works only if it is written at every exit, which costs more than all the rest of one.
        let always_on_ibrs = has(controls, 14) && has(controls, 16);
        let mut value = 0;
        if always_on_ibrs && !automatic_ibrs {
            value |= spec_ctrl::IBRS;
        }
        if has(controls, 15) {
            value |= spec_ctrl::STIBP;
        }
        // IBRS, STIBP or SSBD: each means that the register is there.
        let has_spec_ctrl = [14, 15, 24].iter().any(|&bit| has(controls, bit));
        // TSA_SQ_NO and TSA_L1_NO: nothing of these two buffers is forwarded.
        let is_immune = has(immunities, 1) && has(immunities, 2);
        Self {
            automatic_ibrs,
            spec_ctrl: has_spec_ctrl.then_some(value),
            branch_barrier: has(controls, 12),
            flush_l1_data: false,
            clear_buffers: has(more, 5) && !is_immune,
            fill_return_stack: !automatic_ibrs,
        }
    }

    /// CPUID leaf 7 EDX and IA32_ARCH_CAPABILITIES (SDM vol. 4, table 2-2).
    fn for_intel(processor: &impl Processor) -> Self {
        const ARCH_CAPABILITIES: u32 = 0x10a;
        let controls = if processor.cpuid(0, 0).eax >= 7 { processor.cpuid(7, 0).edx } else { 0 };
        let has = |bit: u32| controls & 1 << bit != 0;
        let capabilities = if has(29) { processor.read_msr(ARCH_CAPABILITIES).unwrap_or(0) } else { 0 };
        let capable = |bit: u32| capabilities & 1 << bit != 0;

        let mut value = 0;
        // IBRS_ALL: set once, it holds at every exit by itself.
        if has(26) && capable(1) {
            value |= spec_ctrl::IBRS;
        }
        if has(27) {
            value |= spec_ctrl::STIBP;
        }
        Self {
            automatic_ibrs: false,
            spec_ctrl: [26, 27, 31].iter().any(|&bit| has(bit)).then_some(value),
            branch_barrier: has(26),
            // RDCL_NO: no L1TF; SKIP_L1DFL_VMENTRY: a hypervisor underneath flushes.
            flush_l1_data: has(28) && !capable(0) && !capable(3),
            // MD_CLEAR is left on by processors that need it no more; VERW is cheap there.
            clear_buffers: has(10),
            fill_return_stack: true,
        }
    }

    /// What is done, in words for a person; empty where nothing is.
    pub fn names(&self) -> Vec<&'static str> {
        let spec_ctrl = self.spec_ctrl.unwrap_or(0);
        let all = [
            (self.automatic_ibrs, "automatic IBRS"),
            (spec_ctrl & spec_ctrl::IBRS != 0, "IBRS"),
            (spec_ctrl & spec_ctrl::STIBP != 0, "STIBP"),
            (self.branch_barrier, "IBPB between guests"),
            (self.flush_l1_data, "L1D flush between guests"),
            (self.clear_buffers, "VERW at entries"),
            (self.fill_return_stack, "return stack fill at exits"),
        ];
        all.into_iter().filter_map(|(done, name)| done.then_some(name)).collect()
    }
}

fn vendor(processor: &impl Processor) -> Vendor {
    let leaf = processor.cpuid(0, 0);
    let mut name = [0; 12];
    for (place, word) in name.chunks_exact_mut(4).zip([leaf.ebx, leaf.edx, leaf.ecx]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    match &name {
        b"AuthenticAMD" | b"HygonGenuine" => Vendor::Amd,
        b"GenuineIntel" => Vendor::Intel,
        _ => Vendor::Other,
    }
}
