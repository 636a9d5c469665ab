//! Why the processor left the guest: from its codes to the neutral reasons (APM vol. 2, appendix C).

use arrayvec::ArrayVec;
use godwit_guest::vcpu::{Exit, MAX_INSTRUCTION_BYTES, NestedFault, Reason};

use super::{capabilities::Capabilities, vmcb::Control};

/// A write of CR8.
pub const WRITE_CR8: u64 = 0x18;
/// A read of CR4.
pub const READ_CR4: u64 = 0x04;
/// A write of CR4.
pub const WRITE_CR4: u64 = 0x14;
/// #DB.
pub const DEBUG: u64 = 0x41;
/// #AC.
pub const ALIGNMENT_CHECK: u64 = 0x51;
/// #MC.
pub const MACHINE_CHECK: u64 = 0x52;
/// A physical interrupt.
pub const INTR: u64 = 0x60;
/// A physical NMI.
pub const NMI: u64 = 0x61;
/// A physical INIT.
pub const INIT: u64 = 0x63;
/// The virtual interrupt would be taken now.
pub const VINTR: u64 = 0x64;
/// RDTSC.
pub const RDTSC: u64 = 0x6e;
/// RDPMC.
pub const RDPMC: u64 = 0x6f;
/// CPUID.
pub const CPUID: u64 = 0x72;
/// IRET.
pub const IRET: u64 = 0x74;
/// INVD.
pub const INVD: u64 = 0x76;
/// PAUSE.
pub const PAUSE: u64 = 0x77;
/// HLT.
pub const HLT: u64 = 0x78;
/// INVLPGA.
pub const INVLPGA: u64 = 0x7a;
/// A port.
pub const IOIO: u64 = 0x7b;
/// RDMSR or WRMSR.
pub const MSR: u64 = 0x7c;
/// Shutdown.
pub const SHUTDOWN: u64 = 0x7f;
/// VMRUN.
pub const VMRUN: u64 = 0x80;
/// VMMCALL.
pub const VMMCALL: u64 = 0x81;
/// SKINIT; from VMLOAD (0x82) on the codes are SVM's own instructions.
pub const SKINIT: u64 = 0x86;
/// RDTSCP.
pub const RDTSCP: u64 = 0x87;
/// INT1.
pub const ICEBP: u64 = 0x88;
/// WBINVD.
pub const WBINVD: u64 = 0x89;
/// MONITOR.
pub const MONITOR: u64 = 0x8a;
/// MWAIT with the monitor armed; before it MWAIT.
pub const MWAIT_ARMED: u64 = 0x8c;
/// XSETBV.
pub const XSETBV: u64 = 0x8d;
/// RDPRU.
pub const RDPRU: u64 = 0x8e;
/// The nested tables do not allow an access.
pub const NESTED_FAULT: u64 = 0x400;
/// The processor refuses the guest's state. All 64 bits are ones on processors, the low 32 in QEMU.
pub const INVALID: u32 = u32::MAX;

/// Whether the processor refused the guest's state, so that the guest did not run.
pub const fn is_refused(control: &Control) -> bool {
    control.exit_code as u32 == INVALID
}

/// The neutral exit. What the world switch serves itself ([`Reason::Host`]) is told apart by its code before; `refused` says
/// what the processor refused, where it did.
pub fn decode(control: &Control, capabilities: &Capabilities, refused: &'static str) -> Exit {
    let reason = if is_refused(control) { Reason::Refused { detail: refused } } else { reason(control) };
    Exit {
        reason,
        next_rip: next_rip(control, capabilities),
        instruction: instruction(control, capabilities),
    }
}

fn reason(control: &Control) -> Reason {
    match control.exit_code {
        INTR | NMI | INIT | IRET | MACHINE_CHECK | DEBUG | ALIGNMENT_CHECK | RDPMC => Reason::Host,
        READ_CR4 => Reason::ReadCr4,
        WRITE_CR4 => Reason::WriteCr4,
        VINTR => Reason::InterruptWindow,
        WRITE_CR8 => Reason::WriteTaskPriority,
        CPUID => Reason::Cpuid,
        HLT => Reason::Halt,
        IOIO => port(control.exit_info_1),
        MSR if control.exit_info_1 & 1 == 0 => Reason::ReadMsr,
        MSR => Reason::WriteMsr,
        NESTED_FAULT => Reason::NestedFault(nested_fault(control)),
        VMMCALL => Reason::Hypercall,
        XSETBV => Reason::SetExtendedControl,
        ICEBP => Reason::DebugTrap,
        INVD | WBINVD => Reason::CacheFlush,
        PAUSE => Reason::Pause,
        RDTSC => Reason::ReadTsc,
        RDTSCP => Reason::ReadTscp,
        INVLPGA | VMRUN..=SKINIT | MONITOR..=MWAIT_ARMED | RDPRU => Reason::NotOffered,
        SHUTDOWN => Reason::Shutdown,
        code => Reason::Unexpected { code },
    }
}

/// EXITINFO1 of a port access (APM vol. 2, 15.10.2).
fn port(info: u64) -> Reason {
    Reason::Port {
        port: (info >> 16) as u16,
        // One of three bits says 1, 2 or 4 bytes.
        bytes: (info >> 4 & 0b111) as u8,
        input: info & 1 != 0,
        string: info & 1 << 2 != 0,
    }
}

/// EXITINFO1 and 2 of a nested fault (APM vol. 2, 15.25.6).
fn nested_fault(control: &Control) -> NestedFault {
    let bit = |number: u32| control.exit_info_1 & 1 << number != 0;
    NestedFault {
        address: control.exit_info_2,
        present: bit(0),
        write: bit(1),
        reserved: bit(3),
        fetch: bit(4),
        in_walk: bit(33),
    }
}

fn next_rip(control: &Control, capabilities: &Capabilities) -> Option<u64> {
    match control.exit_code {
        IOIO => Some(control.exit_info_2),
        // Saved for instructions only, else zero (APM vol. 2, 15.7.1).
        _ => Some(control.next_rip).filter(|&rip| capabilities.next_rip && rip != 0),
    }
}

/// The bytes that the processor fetched, which it saves for faults (APM vol. 2, 15.8.4).
fn instruction(
    control: &Control,
    capabilities: &Capabilities,
) -> Option<ArrayVec<u8, MAX_INSTRUCTION_BYTES>> {
    if !capabilities.decode_assists || control.exit_code != NESTED_FAULT {
        return None;
    }
    let fetched = control.instruction.get(..usize::from(control.fetched_bytes & 0xf))?;
    let bytes: ArrayVec<u8, MAX_INSTRUCTION_BYTES> = fetched.iter().copied().collect();
    (!bytes.is_empty()).then_some(bytes)
}
