//! Port I/O: all sizes, string instructions, ports where nothing is.

use core::arch::asm;

use x86_64::instructions::port::Port;

use crate::{
    acpi,
    asked::Asked,
    console::COM1,
    faults::mend_with,
    interrupts::Frame,
    single::Single,
    trial::{Outcome, check},
    window::{self, PRESENT, Size, WRITABLE},
};

/// COM1's scratch register keeps what is written.
const SCRATCH: u16 = COM1 + 7;
/// Nothing is at these ports, on any machine this runs on.
const ABSENT: u16 = 0x1e8;
/// More than the host does in one go.
const MANY: usize = 1000;

static BUFFER: Single<[u8; 8192]> = Single::new([0; 8192]);

pub(super) fn run(_: &Asked<'_>) -> Outcome {
    bytes()?;
    absent()?;
    timer()?;
    strings()?;
    across_a_fault()
}

fn bytes() -> Outcome {
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

fn absent() -> Outcome {
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

fn timer() -> Outcome {
    let Some(port) = acpi::timer_port() else { return Ok(()) };
    let mut port = Port::<u32>::new(port);
    // SAFETY: reading the ACPI timer changes nothing.
    let read = || unsafe { Port::<u32>::read(&mut port) };
    let mut read = read;
    let first = read();
    let moved = (0..100_000).any(|_| read() != first);
    check!(moved, "the ACPI timer stands still at {first:#x}");
    Ok(())
}

fn strings() -> Outcome {
    let buffer = BUFFER.get().cast::<u8>();
    let line = b"micro ports found: this line came by REP OUTSB, in one instruction\r\n";
    // SAFETY: the instructions read and write inside the buffer, or the line; COM1 takes text.
    unsafe {
        asm!("rep outsb", inout("rsi") line.as_ptr() => _, inout("rcx") line.len() => _, in("dx") COM1);
        Port::<u8>::new(SCRATCH).write(0x7e);
        buffer.write_bytes(0, 8192);
        let (end, left): (*mut u8, u64);
        asm!("rep insb", inout("rdi") buffer => end, inout("rcx") MANY => left, in("dx") SCRATCH);
        check!(left == 0 && end == buffer.add(MANY), "REP INSB stopped {left} short at {end:?}");
        let filled = (0..8192).take_while(|at| buffer.add(*at).read() == 0x7e).count();
        check!(filled == MANY, "REP INSB filled {filled} of {MANY} bytes");

        // Downwards, by words, from nowhere: all ones.
        let end: *mut u8;
        asm!("std", "rep insw", "cld", inout("rdi") buffer.add(4000) => end, inout("rcx") 100 => _, in("dx") ABSENT);
        check!(end == buffer.add(3800), "REP INSW downwards ended at {end:?}, {buffer:?} is the start");
        let ones = (3802..4002).all(|at| buffer.add(at).read() == 0xff);
        check!(
            ones && buffer.add(3801).read() == 0 && buffer.add(4002).read() == 0,
            "REP INSW filled other bytes"
        );

        // 32-bit addresses, and a count of nothing.
        let at: u64;
        asm!("addr32 rep insd", inout("rdi") buffer.add(5000) => at, inout("rcx") 1u64 << 32 => _, in("dx") ABSENT);
        check!(at == buffer.addr() as u64 + 5000, "REP INSD with ECX = 0 moved EDI to {at:#x}");

        // The last byte that OUTS sends stays in the scratch register; GS gives the source another base.
        buffer.add(100).copy_from_nonoverlapping([1, 2, 3, 0x39].as_ptr(), 4);
        x86_64::registers::model_specific::GsBase::write(x86_64::VirtAddr::new(100));
        asm!("rep outs dx, byte ptr gs:[rsi]", inout("rsi") buffer => _, inout("rcx") 4 => _, in("dx") SCRATCH);
        x86_64::registers::model_specific::GsBase::write(x86_64::VirtAddr::new(0));
        let found = Port::<u8>::new(SCRATCH).read();
        check!(found == 0x39, "OUTSB through GS left {found:#x} in the scratch register");
    }
    Ok(())
}

/// Maps the second page when it is missed.
fn map_second_page(frame: &mut Frame, address: u64) -> bool {
    let missed = frame.vector == 14 && frame.error_code == 2 && address == window::WINDOW + 4096;
    if missed {
        window::map_second(BUFFER.address() + 4096, PRESENT | WRITABLE);
    }
    missed
}

/// INS meets a page that is not there in the middle of its work, and goes on when it is.
fn across_a_fault() -> Outcome {
    let start = window::map(Size::Page4K, BUFFER.address(), PRESENT | WRITABLE) + 4096 - 40;
    window::map_second(0, 0);
    let (end, left): (u64, u64);
    mend_with(Some(map_second_page));
    // SAFETY: the window leads to the buffer, its second page once the fault was mended.
    unsafe {
        BUFFER.get().cast::<u8>().write_bytes(0, 8192);
        Port::<u8>::new(SCRATCH).write(0x6b);
        asm!("rep insb", inout("rdi") start => end, inout("rcx") 100u64 => left, in("dx") SCRATCH);
    }
    mend_with(None);
    check!((end, left) == (start + 100, 0), "REP INSB across a fault ended at {end:#x}, {left} left");
    // SAFETY: inside the buffer.
    let wrong = (0..8192).find(|at| unsafe {
        let expected = if (4056..4156).contains(at) { 0x6b } else { 0 };
        BUFFER.get().cast::<u8>().add(*at).read() != expected
    });
    check!(wrong.is_none(), "REP INSB across a fault got byte {wrong:?} wrong");
    Ok(())
}
