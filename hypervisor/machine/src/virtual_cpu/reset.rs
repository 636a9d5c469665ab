//! The state of a processor at reset (APM vol. 2, 14.1.3).
#![forbid(unsafe_code)]

use godwit_guest::cpu::{
    Attributes, Control, CpuState, Debug, General, Msrs, Registers, Segment, Segments, Table,
};

use super::{
    extended_state::{Area, Format, X87},
    limits::rflags,
};

/// The processor signature that EDX holds: family 6 and nothing more, until CPUID says better.
const SIGNATURE: u64 = 0x600;

/// The state at reset.
pub fn state(format: &Format) -> CpuState {
    let mut registers = Registers { general: [0; 16], rip: 0xfff0, rflags: rflags::ONE };
    registers.set(General::Rdx, SIGNATURE);
    let data = Segment { selector: 0, attributes: Attributes(0x93), limit: 0xffff, base: 0 };
    let code = Segment { selector: 0xf000, attributes: Attributes(0x9b), base: 0xffff_0000, ..data };
    let table = Table { limit: 0xffff, base: 0 };
    CpuState {
        registers,
        segments: Segments {
            es: data,
            cs: code,
            ss: data,
            ds: data,
            fs: data,
            gs: data,
            ldtr: Segment { attributes: Attributes(0x82), ..data },
            tr: Segment { attributes: Attributes(0x8b), ..data },
        },
        gdtr: table,
        idtr: table,
        control: Control { cr0: 0x6000_0010, xcr0: X87, ..Control::default() },
        debug: Debug { addresses: [0; 4], dr6: 0xffff_0ff0, dr7: 0x400 },
        msrs: Msrs { pat: 0x0007_0406_0007_0406, ..Msrs::default() },
        fpu: Area::at_reset().to_bytes(format, X87),
        ..CpuState::default()
    }
}
