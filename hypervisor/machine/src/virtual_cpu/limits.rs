//! Which architectural state this processor takes: state from outside is checked here before it is loaded.
#![forbid(unsafe_code)]

use godwit_guest::{
    baseline::Baseline,
    cpu::{Control, CpuState, Debug, Msrs, Registers, Segments},
    vcpu::{Event, StateError},
};

use super::extended_state::{self, Format};
use crate::{features::Processor, interrupts::vectors};

/// CR0 (APM vol. 2, 3.1.1).
pub mod cr0 {
    /// Protection enable.
    pub const PE: u64 = 1 << 0;
    /// Not write-through.
    pub const NW: u64 = 1 << 29;
    /// Cache disable.
    pub const CD: u64 = 1 << 30;
    /// Paging.
    pub const PG: u64 = 1 << 31;
    /// Every bit that is defined.
    pub const DEFINED: u64 = 0xe005_003f;
}

/// CR4 (APM vol. 2, 3.1.3).
pub mod cr4 {
    /// Page size extensions.
    pub const PSE: u64 = 1 << 4;
    /// Physical address extensions.
    pub const PAE: u64 = 1 << 5;
    /// Machine checks.
    pub const MCE: u64 = 1 << 6;
    /// Global pages.
    pub const PGE: u64 = 1 << 7;
    /// Supervisor-mode execution prevention.
    pub const SMEP: u64 = 1 << 20;
    /// Supervisor-mode access prevention.
    pub const SMAP: u64 = 1 << 21;
    /// What translations depend on.
    pub const FLUSHING: u64 = PSE | PAE | PGE | SMEP | SMAP;
}

/// EFER (APM vol. 2, 3.1.7).
pub mod efer {
    /// System call extensions.
    pub const SCE: u64 = 1 << 0;
    /// Long mode enable.
    pub const LME: u64 = 1 << 8;
    /// Long mode active.
    pub const LMA: u64 = 1 << 10;
    /// No-execute pages.
    pub const NXE: u64 = 1 << 11;
    /// Secure virtual machine: the host's alone.
    pub const SVME: u64 = 1 << 12;
    /// Fast FXSAVE and FXRSTOR.
    pub const FFXSR: u64 = 1 << 14;
}

/// RFLAGS (APM vol. 2, 3.1.6).
pub mod rflags {
    /// Always one.
    pub const ONE: u64 = 1 << 1;
    /// Single step.
    pub const TF: u64 = 1 << 8;
    /// Interrupts enabled.
    pub const IF: u64 = 1 << 9;
    /// Resume: instruction breakpoints are passed over once.
    pub const RF: u64 = 1 << 16;
    /// Virtual-8086 mode.
    pub const VM: u64 = 1 << 17;
    /// Every bit that is defined.
    pub const DEFINED: u64 = 0x003f_7fd7;
}

/// DR6.BS: a single step.
pub const DR6_SINGLE_STEP: u64 = 1 << 14;

/// DebugCtl bits that are kept for a guest: last-branch recording and single-stepping by branch. They have no effect.
pub const DEBUG_CONTROL_KEPT: u64 = 0b11;

/// What this processor takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Width of physical addresses in bits.
    pub physical_address_bits: u8,
    /// CR4 bits that a guest may set.
    pub cr4: u64,
    /// EFER bits that a guest may set, LMA counted.
    pub efer: u64,
    /// Whether there is a TSC_AUX register (RDTSCP or RDPID).
    pub tsc_aux: bool,
}

/// CR4 bits that every 64-bit processor has: VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT.
const CR4_ALWAYS: u64 = 0x7ff;
/// Further ones: CPUID leaf, register (EBX 1, ECX 2), bit there, bit in CR4. Neither 57-bit addresses nor shadow stacks: no
/// guest is offered them, and their state is not saved.
const CR4_BY_FEATURE: [(u32, usize, u32, u32); 7] = [
    (7, 2, 2, 11),  // UMIP
    (7, 1, 0, 16),  // FSGSBASE
    (1, 2, 17, 17), // PCIDE
    (1, 2, 26, 18), // OSXSAVE
    (7, 1, 7, 20),  // SMEP
    (7, 1, 20, 21), // SMAP
    (7, 2, 3, 22),  // PKE
];

impl Limits {
    /// Asks the processor, which is a 64-bit one.
    pub fn read(processor: &impl Processor, physical_address_bits: u8) -> Self {
        let last = processor.cpuid(0, 0).eax;
        let has = |leaf: u32, register: usize, bit: u32| {
            let answer = processor.cpuid(leaf, 0);
            let words = [answer.eax, answer.ebx, answer.ecx, answer.edx];
            (leaf >= 0x8000_0000 || leaf <= last)
                && words.get(register).is_some_and(|word| word & 1 << bit != 0)
        };
        let mut cr4 = CR4_ALWAYS;
        for (leaf, register, bit, place) in CR4_BY_FEATURE {
            cr4 |= u64::from(has(leaf, register, bit)) << place;
        }
        let mut efer = efer::SCE | efer::LME | efer::LMA;
        if has(0x8000_0001, 3, 20) {
            efer |= efer::NXE;
        }
        if has(0x8000_0001, 3, 25) {
            efer |= efer::FFXSR;
        }
        let tsc_aux = has(0x8000_0001, 3, 27) || has(7, 2, 22);
        Self { physical_address_bits, cr4, efer, tsc_aux }
    }

    /// Whether state from outside can be loaded without a fault of the host's and entered without the processor's refusal.
    ///
    /// # Errors
    /// [`StateError`] names the first thing that is wrong.
    pub fn check(&self, state: &CpuState, format: &Format) -> Result<(), StateError> {
        let error = self
            .control_error(&state.control)
            .or_else(|| mode_error(&state.control, &state.segments))
            .or_else(|| registers_error(&state.registers, &state.control))
            .or_else(|| debug_error(&state.debug))
            .or_else(|| address_error(state))
            .or_else(|| msr_error(&state.msrs, self))
            .or_else(|| {
                (!format.takes_xcr0(state.control.xcr0)).then_some("XCR0 is not one this processor takes")
            })
            .or_else(|| privilege_error(state))
            .or_else(|| state.pending.and_then(|event| event_error(event, state.control.cr0 & cr0::PE != 0)));
        error.map_or_else(|| format.check(&state.fpu), |why| Err(StateError(why)))
    }

    /// What is wrong with control registers by themselves (APM vol. 2, 15.5.1, "Canonicalization and Consistency Checks").
    pub fn control_error(&self, control: &Control) -> Option<&'static str> {
        let Control { cr0, cr3, cr4, cr8, efer, .. } = *control;
        let long_paging = efer & efer::LME != 0 && cr0 & cr0::PG != 0;
        first_of(&[
            (cr0 & !cr0::DEFINED != 0, "CR0 has reserved bits"),
            (cr0 & (cr0::CD | cr0::NW) == cr0::NW, "CR0.NW is set without CR0.CD"),
            (cr0 & (cr0::PG | cr0::PE) == cr0::PG, "CR0.PG is set without CR0.PE"),
            (cr3 >> self.physical_address_bits != 0, "CR3 is beyond the physical address width"),
            (cr4 & !self.cr4 != 0, "CR4 has bits that this processor has not"),
            (cr8 > 0xf, "CR8 is larger than 15"),
            (efer & !self.efer != 0, "EFER has bits that this processor has not"),
            (long_paging && cr4 & cr4::PAE == 0, "long mode is on without CR4.PAE"),
            ((efer & efer::LMA != 0) != long_paging, "EFER.LMA does not agree with EFER.LME and CR0.PG"),
        ])
    }

    /// The EFER that a guest's write of `value` leaves, or `None` where it raises #GP. LMA is the processor's to change.
    pub fn efer_after_write(&self, now: &Control, value: u64) -> Option<u64> {
        let changes_mode_while_paging = now.cr0 & cr0::PG != 0 && (value ^ now.efer) & efer::LME != 0;
        if value & !self.efer != 0 || changes_mode_while_paging {
            return None;
        }
        Some(value & !efer::LMA | now.efer & efer::LMA)
    }
}

/// Whether a guest of `baseline` can have come to `state`. Its host's processor may have more than the baseline offers: a guest that
/// uses that could not go on to the next host.
///
/// # Errors
/// [`StateError`] names the first thing that is not offered.
pub fn check_baseline(baseline: Baseline, state: &CpuState) -> Result<(), StateError> {
    let Control { cr4, efer, xcr0, .. } = state.control;
    let mxcsr = extended_state::mxcsr(&state.fpu);
    let error = first_of(&[
        (cr4 & !baseline.cr4_mask().bits() != 0, "CR4 has bits that the guest is not offered"),
        (efer & !baseline.efer_mask() != 0, "EFER has bits that the guest is not offered"),
        (!baseline.check_xcr0(xcr0), "XCR0 has components that the guest is not offered"),
        (
            mxcsr.is_none_or(|mxcsr| mxcsr & !baseline.mxcsr_mask() != 0),
            "MXCSR has bits that the guest is not offered",
        ),
    ]);
    error.map_or(Ok(()), |why| Err(StateError(why)))
}

/// Whether every byte of `pat` is a memory type (APM vol. 2, 7.8.1).
pub fn is_pat(pat: u64) -> bool {
    pat.to_le_bytes().iter().all(|entry| matches!(entry, 0 | 1 | 4..=7))
}

/// Whether bits 63 to 47 of `address` are all equal.
pub const fn is_canonical(address: u64) -> bool {
    (address << 16) as i64 >> 16 == address as i64
}

/// What is wrong with an event to be injected. Exceptions have error codes in `protected` mode only (APM vol. 2, 8.4): elsewhere one that was
/// injected with its code comes back without.
pub fn event_error(event: Event, protected: bool) -> Option<&'static str> {
    match event {
        Event::Exception { vector, .. } if !vectors::is_guest_exception(vector) => {
            Some("the pending exception's vector is none of an exception")
        }
        Event::Exception { vector, error_code: None } if protected && vectors::has_error_code(vector) => {
            Some("the pending exception lacks its error code")
        }
        Event::Exception { vector, error_code: Some(_) } if !vectors::has_error_code(vector) => {
            Some("the pending exception has an error code that it never has")
        }
        _ => None,
    }
}

fn first_of(checks: &[(bool, &'static str)]) -> Option<&'static str> {
    checks.iter().find(|(wrong, _)| *wrong).map(|&(_, why)| why)
}

/// What is wrong between mode and code segment.
pub fn mode_error(control: &Control, segments: &Segments) -> Option<&'static str> {
    use godwit_guest::cpu::Attributes;
    let code = segments.cs.attributes;
    let both = Attributes::LONG | Attributes::DEFAULT_32;
    (control.efer & efer::LMA != 0 && code.contains(both)).then_some("CS has both L and D set in long mode")
}

/// What is wrong between mode and privilege level, which is the DPL of SS.
fn privilege_error(state: &CpuState) -> Option<&'static str> {
    use godwit_guest::cpu::Attributes;
    let level = state.segments.ss.attributes & Attributes::DPL;
    let is_real = state.control.cr0 & cr0::PE == 0;
    let is_virtual_8086 = state.registers.rflags & rflags::VM != 0;
    first_of(&[
        (is_real && !level.is_empty(), "the privilege level in real mode is not 0"),
        (is_virtual_8086 && level != Attributes::DPL, "the privilege level in virtual-8086 mode is not 3"),
    ])
}

fn registers_error(registers: &Registers, control: &Control) -> Option<&'static str> {
    let flags = registers.rflags;
    first_of(&[
        (flags & !rflags::DEFINED != 0, "RFLAGS has reserved bits"),
        (flags & rflags::ONE == 0, "bit 1 of RFLAGS is clear"),
        (flags & rflags::VM != 0 && control.efer & efer::LMA != 0, "RFLAGS.VM is set in long mode"),
        (!is_canonical(registers.rip), "RIP is not canonical"),
    ])
}

fn debug_error(debug: &Debug) -> Option<&'static str> {
    first_of(&[
        (debug.dr6 >> 32 != 0, "DR6 has reserved bits"),
        (debug.dr7 >> 32 != 0, "DR7 has reserved bits"),
    ])
}

fn address_error(state: &CpuState) -> Option<&'static str> {
    let Segments { es, cs, ss, ds, fs, gs, ldtr, tr } = &state.segments;
    let segments = [es, cs, ss, ds, fs, gs, ldtr, tr].map(|segment| segment.base);
    let tables = [state.gdtr.base, state.idtr.base];
    let msrs = &state.msrs;
    let entries = [msrs.lstar, msrs.cstar, msrs.kernel_gs_base, msrs.sysenter_esp, msrs.sysenter_eip];
    let canonical = |addresses: &[u64]| addresses.iter().all(|&address| is_canonical(address));
    first_of(&[
        (!canonical(&segments), "a segment's base is not canonical"),
        (!canonical(&tables), "a descriptor table's base is not canonical"),
        (!canonical(&entries), "an address in a model-specific register is not canonical"),
    ])
}

fn msr_error(msrs: &Msrs, limits: &Limits) -> Option<&'static str> {
    first_of(&[
        (!is_pat(msrs.pat), "PAT names a memory type that is none"),
        (msrs.tsc_aux >> 32 != 0, "TSC_AUX has reserved bits"),
        (msrs.tsc_aux != 0 && !limits.tsc_aux, "TSC_AUX is set on a processor that has none"),
        (msrs.debug_control & !DEBUG_CONTROL_KEPT != 0, "DebugCtl has bits that are not kept"),
    ])
}
