//! Port I/O: every size, the immediate forms, ports where nothing is.

use core::arch::asm;

use x86_64::instructions::port::Port;

use crate::{
    asked::Asked,
    console::COM1,
    trial::{Outcome, Trial, check},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("port-bytes-read-back", bytes),
    Trial::new("port-sizes-keep-the-rest-of-rax", absent),
    Trial::new("port-of-every-form-of-address", forms),
];

/// COM1's scratch register keeps what is written.
const SCRATCH: u16 = COM1 + 7;
/// Nothing is at these ports, on any machine this runs on.
const ABSENT: u16 = 0x1e8;

fn bytes(_: &Asked<'_>) -> Outcome {
    let mut port = Port::<u8>::new(SCRATCH);
    for value in [0, 0x55, 0xaa, 0xff] {
        // SAFETY: the scratch register does nothing.
        let found = unsafe {
            port.write(value);
            port.read()
        };
        check!(found == value, "the scratch register reads {found:#x}, {value:#x} was written");
    }
    // The immediate forms: reading port 0x61 is harmless.
    let (low, rest): (u8, u64);
    // SAFETY: as said; RAX is an output.
    unsafe {
        asm!("mov rax, -1", "in al, 0x61", "mov {rest}, rax", "mov {low}, al",
            rest = out(reg) rest, low = out(reg_byte) low, out("rax") _);
    }
    check!(rest | 0xff == u64::MAX && rest as u8 == low, "IN AL changed RAX to {rest:#x}");
    Ok(())
}

fn absent(_: &Asked<'_>) -> Outcome {
    let (byte, word, long): (u64, u64, u64);
    // SAFETY: nothing is there to be upset.
    unsafe {
        asm!("mov rax, 0x1122334455667700", "in al, dx", out("rax") byte, in("dx") ABSENT);
        asm!("mov rax, 0x1122334455660000", "in ax, dx", out("rax") word, in("dx") ABSENT);
        asm!("mov rax, 0x1122334400000000", "in eax, dx", out("rax") long, in("dx") ABSENT);
        asm!("out dx, al", "out dx, ax", "out dx, eax", in("dx") ABSENT, in("eax") 0x5a5a_5a5a_u32);
    }
    check!(byte == 0x1122_3344_5566_77ff, "IN AL from an absent port leaves RAX at {byte:#x}");
    check!(word == 0x1122_3344_5566_ffff, "IN AX from an absent port leaves RAX at {word:#x}");
    // A 32-bit result clears the rest.
    check!(long == 0xffff_ffff, "IN EAX from an absent port leaves RAX at {long:#x}");
    Ok(())
}

/// The port in DX or in the instruction, with prefixes that mean nothing here.
fn forms(_: &Asked<'_>) -> Outcome {
    let (plain, prefixed, imm_16): (u64, u64, u64);
    // SAFETY: the scratch register does nothing; reading ports 0x61 and 0x62 is harmless.
    unsafe {
        asm!("out dx, al", "xor eax, eax", "in al, dx", in("dx") SCRATCH, inout("rax") 0x5c_u64 => plain);
        // REX.W and a segment prefix before IN AL, DX; the upper half of EDX is not the port's.
        asm!("out dx, al", "xor eax, eax", ".byte 0x2e, 0x48, 0xec", in("edx") 0xdead_0000 | u32::from(SCRATCH),
            inout("rax") 0x5d_u64 => prefixed);
        // IN AX, 61h.
        asm!("mov rax, -1", ".byte 0x66, 0xe5, 0x61", out("rax") imm_16);
    }
    check!(plain == 0x5c && prefixed == 0x5d, "IN AL, DX reads {plain:#x}, with prefixes {prefixed:#x}");
    check!(imm_16 >> 16 == 0xffff_ffff_ffff, "IN AX, 61h left RAX at {imm_16:#x}");
    Ok(())
}
