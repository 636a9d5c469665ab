//! Where the image's own sections lie: addresses that the linker script names.

use godwit_frames::{FrameRange, HostFrame};

use super::address_space::IMAGE;

// SAFETY: the image's linker script defines these symbols; only their addresses are used.
unsafe extern "C" {
    static __image_start_physical: u8;
    static __image_end_physical: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __data_start: u8;
    static __data_end: u8;
    static __symbols_start: u8;
    static __symbols_end: u8;
    static __boot_stack_start: u8;
    static __boot_stack_end: u8;
}

/// A span of virtual addresses, `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// First address beyond it.
    pub end: u64,
}

impl Span {
    fn between(start: *const u8, end: *const u8) -> Self {
        Self { start: start.addr() as u64, end: end.addr() as u64 }
    }

    /// Whether `address` lies in the span.
    pub const fn contains(self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Length in bytes.
    pub const fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// The image address `address` as a physical one.
    pub const fn physical_start(self) -> u64 {
        self.start - IMAGE
    }
}

/// Code.
pub fn text() -> Span {
    Span::between(&raw const __text_start, &raw const __text_end)
}

/// Constants.
pub fn rodata() -> Span {
    Span::between(&raw const __rodata_start, &raw const __rodata_end)
}

/// Variables.
pub fn data() -> Span {
    Span::between(&raw const __data_start, &raw const __data_end)
}

/// The stack that the boot path starts on.
pub fn boot_stack() -> Span {
    Span::between(&raw const __boot_stack_start, &raw const __boot_stack_end)
}

/// Bytes of the boot stack that were ever written, by its zeroes that are left. The processor must have left it.
pub fn boot_stack_used() -> u64 {
    let stack = boot_stack();
    let untouched = (stack.start..stack.end).step_by(8).take_while(|&at| {
        // SAFETY: the stack is part of the image's data, mapped and aligned; nobody runs on it any more.
        unsafe { (at as *const u64).read_volatile() == 0 }
    });
    stack.bytes() - 8 * untouched.count() as u64
}

/// The names of the image's functions, as `cargo xtask build` wrote them (all zero bytes where it did not).
pub fn symbol_bytes() -> &'static [u8] {
    let span = Span::between(&raw const __symbols_start, &raw const __symbols_end);
    // SAFETY: the linker script places both symbols around one read-only section of the image, which lives for ever and
    // is never written after the file was made. Going through the linker's addresses keeps the compiler from
    // assuming the zeroes it saw when it compiled the section.
    unsafe { core::slice::from_raw_parts(&raw const __symbols_start, span.bytes() as usize) }
}

/// All frames the image was loaded to, boot tables and stack included.
pub fn frames() -> FrameRange {
    let span = Span::between(&raw const __image_start_physical, &raw const __image_end_physical);
    FrameRange::new(HostFrame::containing(span.start), span.bytes().div_ceil(4096))
}
