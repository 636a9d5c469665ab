//! The FPU's state: its areas in memory, and which bytes from outside may become one.
//!
//! A virtual CPU keeps its state in an area of one frame, in the standard format of XSAVE (APM vol. 2, 11.5), or of FXSAVE
//! where the processor has no XSAVE: that is the first 512 bytes of the former. Where a component lies is the processor's own
//! affair, and a guest sees it; guests whose baselines agree see the same.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use godwit_guest::vcpu::StateError;

use crate::{
    features::Processor,
    fields::{u32_at, u64_at},
};

/// Bytes of an area; components that would not fit are not offered to guests.
pub const AREA_BYTES: usize = 4096;
/// Bytes of the legacy region and the header.
const HEADER_END: usize = 576;
const LEGACY_BYTES: usize = 512;
const XSTATE_BV: core::ops::Range<usize> = 512..520;
/// XCOMP_BV and the reserved rest of the header: zero in the standard format.
const HEADER_RESERVED: core::ops::Range<usize> = 520..HEADER_END;
const MXCSR: core::ops::Range<usize> = 24..28;
const MXCSR_MASK: core::ops::Range<usize> = 28..32;
/// Where x87 and SSE registers lie in the legacy region.
const X87_REGISTERS: core::ops::Range<usize> = 32..160;
const XMM_REGISTERS: core::ops::Range<usize> = 160..416;

/// XCR0.x87, which is always set.
pub const X87: u64 = 1 << 0;
/// XCR0.SSE.
pub const SSE: u64 = 1 << 1;
/// XCR0.AVX: the upper halves of YMM.
pub const AVX: u64 = 1 << 2;
/// XCR0: opmask, upper halves of ZMM0 to 15, ZMM16 to 31; all or none.
pub const AVX512: u64 = 0b111 << 5;
/// XCR0.PKRU.
pub const PKRU: u64 = 1 << 9;
/// What guests can be given: neither MPX, which is gone, nor AMX, whose tiles take two frames more.
const OFFERED: u64 = X87 | SSE | AVX | AVX512 | PKRU;

/// MXCSR in an area, or `None` where that is too short.
pub fn mxcsr(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, MXCSR.start)
}

/// MXCSR at reset.
const MXCSR_AT_RESET: u32 = 0x1f80;
/// MXCSR bits of a processor that names none (APM vol. 2, 11.4.4).
const MXCSR_MASK_DEFAULT: u32 = 0xffbf;
/// The x87 control word at reset, and after FNINIT.
const FCW_AT_RESET: u16 = 0x0040;
const FCW_INITIAL: u16 = 0x037f;

/// The extended state that this processor saves for guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    components: u64,
    xsave: bool,
    mxcsr_mask: u32,
    /// First byte beyond each component in the standard format, by number; 0 for one that is not there.
    ends: [usize; 10],
}

impl Format {
    /// Asks the processor. `mxcsr_mask` is what FXSAVE stores as MXCSR_MASK, 0 from old processors.
    pub fn read(processor: &impl Processor, xsave: bool, mxcsr_mask: u32) -> Self {
        let mxcsr_mask = if mxcsr_mask == 0 { MXCSR_MASK_DEFAULT } else { mxcsr_mask };
        let mut format = Self { components: X87 | SSE, xsave, mxcsr_mask, ends: [0; 10] };
        if !xsave {
            return format;
        }
        // CPUID Fn0000_000D: leaf 0 names the components in EDX:EAX, leaf n a component's size in EAX, offset in EBX.
        let all = processor.cpuid(0xd, 0);
        let supported = (u64::from(all.edx) << 32 | u64::from(all.eax)) & OFFERED;
        for (number, end) in format.ends.iter_mut().enumerate().skip(2) {
            if supported & 1 << number == 0 {
                continue;
            }
            let leaf = processor.cpuid(0xd, number as u32);
            let beyond = (leaf.ebx as usize).saturating_add(leaf.eax as usize);
            if leaf.ebx as usize >= HEADER_END && beyond <= AREA_BYTES {
                *end = beyond;
                format.components |= 1 << number;
            }
        }
        if format.components & AVX512 != AVX512 || format.components & AVX == 0 {
            format.components &= !AVX512;
        }
        format
    }

    /// The components that a guest's XCR0 can enable.
    pub const fn components(&self) -> u64 {
        self.components
    }

    /// Whether the processor has XSAVE, not only FXSAVE.
    pub const fn has_xsave(&self) -> bool {
        self.xsave
    }

    /// The bits that MXCSR can have.
    pub const fn mxcsr_mask(&self) -> u32 {
        self.mxcsr_mask
    }

    /// Whether the processor takes `xcr0` (APM vol. 2, 11.5.2).
    pub const fn takes_xcr0(&self, xcr0: u64) -> bool {
        let avx512 = xcr0 & AVX512;
        xcr0 & !self.components == 0
            && xcr0 & X87 != 0
            && (xcr0 & AVX == 0 || xcr0 & SSE != 0)
            && (avx512 == 0 || (avx512 == AVX512 && xcr0 & AVX != 0))
    }

    /// Bytes of an area that holds `components`.
    fn bytes(&self, components: u64) -> usize {
        let ends = self.ends.iter().enumerate().filter(|(number, _)| components & 1 << number != 0);
        ends.map(|(_, &end)| end).max().unwrap_or(0).max(HEADER_END)
    }

    /// Whether `bytes` are an area that restoring takes without a fault, and in which nothing lies beyond its components.
    ///
    /// # Errors
    /// [`StateError`] says what is wrong.
    pub fn check(&self, bytes: &[u8]) -> Result<(), StateError> {
        if bytes.len() < HEADER_END || bytes.len() > AREA_BYTES {
            return Err(StateError("the FPU area is not 576 to 4096 bytes long"));
        }
        let present = u64_at(bytes, XSTATE_BV.start).unwrap_or(u64::MAX);
        if present & !self.components != 0 {
            return Err(StateError("the FPU area has components that this processor does not save"));
        }
        if bytes.get(HEADER_RESERVED).is_none_or(|rest| rest.iter().any(|&byte| byte != 0)) {
            return Err(StateError("the FPU area is not in the standard format"));
        }
        if self.bytes(present) > bytes.len() {
            return Err(StateError("the FPU area is shorter than its components"));
        }
        if mxcsr(bytes).unwrap_or(u32::MAX) & !self.mxcsr_mask != 0 {
            return Err(StateError("MXCSR has bits that this processor does not"));
        }
        Ok(())
    }
}

/// One virtual CPU's FPU state while it does not run; the processor saves and restores it.
#[repr(C, align(4096))]
#[derive(Clone, Debug)]
pub struct Area([u8; AREA_BYTES]);

impl Area {
    /// The state at reset.
    pub const fn at_reset() -> Self {
        Self([0; AREA_BYTES]).reset()
    }

    const fn reset(mut self) -> Self {
        let fcw = FCW_AT_RESET.to_le_bytes();
        self.0[0] = fcw[0];
        self.0[1] = fcw[1];
        // Every register is in use, as the abridged tag word has it.
        self.0[4] = 0xff;
        let mxcsr = MXCSR_AT_RESET.to_le_bytes();
        self.0[MXCSR.start] = mxcsr[0];
        self.0[MXCSR.start + 1] = mxcsr[1];
        self.0[XSTATE_BV.start] = (X87 | SSE) as u8;
        self
    }

    /// Where the area lies, for the instructions that save and restore it.
    pub const fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    /// The state in the neutral form. `xcr0` is what the guest has enabled; what it had enabled earlier is kept too.
    pub fn to_bytes(&self, format: &Format, xcr0: u64) -> Vec<u8> {
        let present = u64_at(&self.0, XSTATE_BV.start).unwrap_or(0);
        let mut bytes = Vec::from(self.0.get(..format.bytes(present | xcr0)).unwrap_or(&self.0));
        if !format.xsave {
            // FXSAVE leaves the header alone; its state is all there.
            bytes.resize(HEADER_END, 0);
            if let Some(header) = bytes.get_mut(LEGACY_BYTES..) {
                header.fill(0);
            }
            set(&mut bytes, XSTATE_BV, &(X87 | SSE).to_le_bytes());
        }
        // How many bits MXCSR has is the processor's, not the guest's.
        set(&mut bytes, MXCSR_MASK, &0u32.to_le_bytes());
        bytes
    }

    /// Takes a state in the neutral form, which [`Format::check`] accepted.
    pub fn set_bytes(&mut self, format: &Format, bytes: &[u8]) {
        self.0.fill(0);
        set(&mut self.0, 0..bytes.len(), bytes);
        let present = u64_at(bytes, XSTATE_BV.start).unwrap_or(0);
        if !format.xsave {
            // FXRSTOR knows no components in their initial state: they are written out.
            if present & X87 == 0 {
                set(&mut self.0, 0..MXCSR.start, &[0; 24]);
                set(&mut self.0, 0..2, &FCW_INITIAL.to_le_bytes());
                set(&mut self.0, X87_REGISTERS, &[0; 128]);
            }
            if present & SSE == 0 {
                set(&mut self.0, XMM_REGISTERS, &[0; 256]);
            }
        }
    }
}

fn set(bytes: &mut [u8], at: core::ops::Range<usize>, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at).filter(|place| place.len() == value.len()) {
        place.copy_from_slice(value);
    }
}
