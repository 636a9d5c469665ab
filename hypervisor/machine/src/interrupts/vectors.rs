//! Vector numbers (APM vol. 2, table 8-1) and those that this host chose for itself.

/// #DB.
pub const DEBUG: u8 = 1;
/// Non-maskable interrupt.
pub const NMI: u8 = 2;
/// #BP.
pub const BREAKPOINT: u8 = 3;
/// #DF.
pub const DOUBLE_FAULT: u8 = 8;
/// #PF.
pub const PAGE_FAULT: u8 = 14;
/// #AC.
pub const ALIGNMENT_CHECK: u8 = 17;
/// #MC.
pub const MACHINE_CHECK: u8 = 18;

/// The legacy interrupt controllers' inputs, all masked: only a spurious one can arrive.
pub const LEGACY: u8 = 0x20;
/// A byte arrived at the console.
pub const CONSOLE: u8 = 0x40;
/// The network adapter has received or sent something.
pub const NETWORK: u8 = 0x41;
/// This CPU's local APIC timer.
pub const TIMER: u8 = 0xe0;
/// Another CPU put mail into this one's mailbox.
pub const KICK: u8 = 0xe1;
/// The local APIC has nothing to deliver after all (SDM vol. 3, 12.9); takes no end of interrupt.
pub const SPURIOUS: u8 = 0xff;

/// The name of an exception, as the manuals write it.
pub const fn exception_name(vector: u8) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => "unexpected vector",
    }
}

/// Whether a guest can have this exception: those that every processor has (APM vol. 2, table 8-1). The later ones belong to
/// features that no guest is offered.
pub const fn is_guest_exception(vector: u8) -> bool {
    matches!(vector, 0..=1 | 3..=8 | 10..=14 | 16..=19)
}

/// Whether the processor pushes an error code for this exception (APM vol. 2, table 8-1).
pub const fn has_error_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
}
