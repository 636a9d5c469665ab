//! Segmentation: from a segment and an offset to a linear address (APM vol. 2, 4.7 and 4.12).

use iced_x86::Register;

use super::{
    Fault,
    bits::{CR0_PROTECTED, EFER_LONG, VIRTUAL_8086},
};
use crate::{
    cpu::{Attributes, Control, Segment, Segments},
    vcpu::SystemState,
};

/// How wide code is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CodeSize {
    /// Real mode, virtual-8086 mode, or a 16-bit segment.
    Bits16,
    /// A 32-bit segment.
    Bits32,
    /// 64-bit mode.
    Bits64,
}

impl CodeSize {
    pub(super) fn of(system: &SystemState) -> Self {
        Self::of_segment(&system.control, &system.segments.cs)
    }

    /// The width of code in segment `code`.
    pub(super) fn of_segment(control: &Control, code: &Segment) -> Self {
        let attributes = code.attributes;
        if control.efer & EFER_LONG != 0 && attributes.contains(Attributes::LONG) {
            Self::Bits64
        } else if attributes.contains(Attributes::DEFAULT_32) {
            Self::Bits32
        } else {
            Self::Bits16
        }
    }

    /// As the decoder counts.
    pub(super) const fn bits(self) -> u32 {
        match self {
            Self::Bits16 => 16,
            Self::Bits32 => 32,
            Self::Bits64 => 64,
        }
    }

    /// The address behind an instruction of `length` bytes at `rip`.
    pub(super) const fn behind(self, rip: u64, length: u64) -> u64 {
        let next = rip.wrapping_add(length);
        if matches!(self, Self::Bits64) { next } else { next & 0xffff_ffff }
    }
}

/// The current privilege level.
pub(super) fn privilege_level(system: &SystemState, rflags: u64) -> u8 {
    if system.control.cr0 & CR0_PROTECTED == 0 {
        0
    } else if rflags & VIRTUAL_8086 != 0 {
        3
    } else {
        let level = (system.segments.ss.attributes & Attributes::DPL).bits() >> 5;
        level as u8
    }
}

/// What is done with the bytes that a segment leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Read,
    Write,
    Fetch,
}

/// The linear address of `bytes` bytes at `offset` in a segment.
pub(super) fn linear(
    system: &SystemState,
    rflags: u64,
    register: Register,
    offset: u64,
    bytes: u64,
    access: Use,
) -> Result<u64, Fault> {
    let fault = if register == Register::SS { Fault::STACK } else { Fault::GENERAL_PROTECTION };
    let last = offset.wrapping_add(bytes.saturating_sub(1));
    let segment = select(&system.segments, register);
    if CodeSize::of(system) == CodeSize::Bits64 {
        // Only FS and GS have a base there, and nothing a limit.
        let base = if matches!(register, Register::FS | Register::GS) { segment.base } else { 0 };
        let (first, last) = (base.wrapping_add(offset), base.wrapping_add(last));
        return if is_canonical(first) && is_canonical(last) { Ok(first) } else { Err(fault) };
    }
    let protected = system.control.cr0 & CR0_PROTECTED != 0 && rflags & VIRTUAL_8086 == 0;
    let inside = offset <= last && within_limit(segment, offset, last);
    if !inside || (protected && !permits(segment, access)) {
        return Err(fault);
    }
    Ok(segment.base.wrapping_add(offset) & 0xffff_ffff)
}

/// A segment register by its name in the instruction.
pub(super) fn select(segments: &Segments, register: Register) -> &Segment {
    match register {
        Register::ES => &segments.es,
        Register::CS => &segments.cs,
        Register::SS => &segments.ss,
        Register::FS => &segments.fs,
        Register::GS => &segments.gs,
        _ => &segments.ds,
    }
}

/// Whether bits 47 to 63 are equal.
pub(super) const fn is_canonical(address: u64) -> bool {
    let high = (address as i64) >> 47;
    high == 0 || high == -1
}

fn within_limit(segment: &Segment, first: u64, last: u64) -> bool {
    let limit = u64::from(segment.limit);
    let code = segment.attributes.bits() & 0b1000 != 0;
    let expands_down = segment.attributes.contains(Attributes::CODE_OR_DATA)
        && !code
        && segment.attributes.bits() & 0b100 != 0;
    if expands_down {
        let top = if segment.attributes.contains(Attributes::DEFAULT_32) { 0xffff_ffff } else { 0xffff };
        first > limit && last <= top
    } else {
        last <= limit
    }
}

/// Whether the descriptor's type allows the access (APM vol. 2, 4.7.1).
fn permits(segment: &Segment, access: Use) -> bool {
    let kind = segment.attributes.bits();
    let (code, writable_or_readable) = (kind & 0b1000 != 0, kind & 0b10 != 0);
    segment.attributes.contains(Attributes::PRESENT)
        && match access {
            Use::Read => !code || writable_or_readable,
            Use::Write => !code && writable_or_readable,
            Use::Fetch => code,
        }
}
