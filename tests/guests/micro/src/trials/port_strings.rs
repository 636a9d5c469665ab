//! INS and OUTS: counts, directions, address sizes, segments, page ends, faults.

use core::arch::asm;

use x86_64::{VirtAddr, instructions::port::Port, registers::model_specific::GsBase};

use super::exceptions::expect;
use crate::{
    asked::Asked,
    compatibility,
    console::COM1,
    faults::{Shown, catch, mend_with},
    interrupts::{Frame, SMALL_DATA_SELECTOR},
    single::Single,
    trial::{Outcome, Trial, check},
    window::{self, PRESENT, Size, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("rep-outs-sends-a-whole-line", line),
    Trial::new("rep-ins-fills-as-much-as-it-counts", many),
    Trial::new("rep-ins-goes-downwards-with-df", downwards),
    Trial::new("rep-ins-with-count-zero-does-nothing", nothing),
    Trial::new("rep-ins-with-32-bit-addresses-clears-upper-halves", addresses_32),
    Trial::new("rep-ins-with-16-bit-addresses-wraps-at-64k", addresses_16),
    Trial::new("rep-ins-stops-at-the-segments-end-with-gp", segment_end),
    Trial::new("outs-takes-its-segment-prefix", segment),
    Trial::new("rep-ins-goes-on-behind-a-page-fault", across_a_fault),
    Trial::new("rep-ins-element-over-a-page-end-is-whole", element_over_end),
    Trial::new("rep-outs-from-a-missing-page-faults-there", from_missing),
    Trial::new("rep-ins-into-a-read-only-page-faults-there", into_read_only),
];

/// COM1's scratch register keeps what is written.
const SCRATCH: u16 = COM1 + 7;
/// Nothing is at these ports, on any machine this runs on.
const ABSENT: u16 = 0x1e8;
/// More than the host does in one go.
const MANY: usize = 1000;

static BUFFER: Single<[u8; 8192]> = Single::new([0; 8192]);

fn set_scratch(value: u8) {
    // SAFETY: the scratch register does nothing.
    unsafe { Port::<u8>::new(SCRATCH).write(value) };
}

fn scratch() -> u8 {
    // SAFETY: as above.
    unsafe { Port::<u8>::new(SCRATCH).read() }
}

/// The buffer, all zeroes.
fn cleared() -> *mut u8 {
    let buffer = BUFFER.get().cast::<u8>();
    // SAFETY: this module's static.
    unsafe { buffer.write_bytes(0, 8192) };
    buffer
}

/// The first byte of the buffer that is not `value` where `range` has it, and 0 elsewhere.
fn wrong(range: core::ops::Range<usize>, value: u8) -> Option<usize> {
    // SAFETY: inside the static.
    let byte = |at: usize| unsafe { BUFFER.get().cast::<u8>().add(at).read_volatile() };
    (0..8192).find(|at| byte(*at) != if range.contains(at) { value } else { 0 })
}

fn line(_: &Asked<'_>) -> Outcome {
    let line =
        b"micro rep-outs-sends-a-whole-line found: this line came by REP OUTSB, in one instruction\r\n";
    let (end, left): (*const u8, u64);
    // SAFETY: COM1 takes text.
    unsafe {
        asm!("rep outsb", inout("rsi") line.as_ptr() => end, inout("rcx") line.len() as u64 => left, in("dx") COM1);
    }
    let expected = line.as_ptr_range().end;
    check!(end == expected && left == 0, "REP OUTSB ended at {end:?}, not {expected:?}, {left} left");
    Ok(())
}

fn many(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    set_scratch(0x7e);
    let (end, left): (*mut u8, u64);
    // SAFETY: inside the buffer.
    unsafe {
        asm!("rep insb", inout("rdi") buffer => end, inout("rcx") MANY => left, in("dx") SCRATCH);
        check!(left == 0 && end == buffer.add(MANY), "REP INSB stopped {left} short at {end:?}");
    }
    let wrong = wrong(0..MANY, 0x7e);
    check!(wrong.is_none(), "REP INSB got byte {wrong:?} of {MANY} wrong");
    Ok(())
}

/// By words, from nowhere: all ones.
fn downwards(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    let end: *mut u8;
    // SAFETY: inside the buffer.
    unsafe {
        asm!("std", "rep insw", "cld", inout("rdi") buffer.add(4000) => end, inout("rcx") 100 => _, in("dx") ABSENT);
        check!(end == buffer.add(3800), "REP INSW downwards ended at {end:?}, {buffer:?} is the start");
    }
    let wrong = wrong(3802..4002, 0xff);
    check!(wrong.is_none(), "REP INSW got byte {wrong:?} wrong");
    Ok(())
}

fn nothing(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    // The address is not even canonical.
    for at in [buffer.addr() as u64, 0x8000_0000_0000] {
        let (end, left): (u64, u64);
        // SAFETY: nothing is moved.
        unsafe {
            asm!("rep insb", inout("rdi") at => end, inout("rcx") 0u64 => left, in("dx") SCRATCH);
            asm!("rep outsd", inout("rsi") at => _, inout("rcx") 0u64 => _, in("dx") ABSENT);
        }
        check!((end, left) == (at, 0), "REP INSB of nothing moved RDI from {at:#x} to {end:#x}, {left} left");
    }
    check!(wrong(0..0, 0).is_none(), "REP INSB of nothing wrote");
    Ok(())
}

fn addresses_32(_: &Asked<'_>) -> Outcome {
    let buffer = cleared().addr() as u64;
    set_scratch(0x31);
    let (at, end, left): (u64, u64, u64);
    // SAFETY: inside the buffer, whose address has 32 bits.
    unsafe {
        // ECX is 0: nothing but that.
        asm!("addr32 rep insd", inout("rdi") buffer + 5000 => at, inout("rcx") 1u64 << 32 => _, in("dx") ABSENT);
        asm!("addr32 rep insb", inout("rdi") buffer | 0xabc << 32 => end, inout("rcx") 7u64 << 32 | 3 => left,
            in("dx") SCRATCH);
    }
    check!(at == buffer + 5000, "REP INSD with ECX = 0 moved EDI to {at:#x}");
    check!((end, left) == (buffer + 3, 0), "REP INSB with 32-bit addresses left RDI {end:#x}, RCX {left:#x}");
    let wrong = wrong(0..3, 0x31);
    check!(wrong.is_none(), "REP INSB with 32-bit addresses got byte {wrong:?} wrong");
    Ok(())
}

/// The lowest page is real mode's, and free here.
fn addresses_16(_: &Asked<'_>) -> Outcome {
    let byte = |at: u64| at as *mut u8;
    // SAFETY: usable RAM below 64 KiB that nothing else of this guest uses now; page 0 is mapped.
    unsafe {
        byte(0xfff0).write_bytes(0, 16);
        byte(0x10).write_volatile(0);
    }
    set_scratch(0x47);
    let (left, caught) =
        compatibility::run(compatibility::ins_16(), 0x7777_fff8, 0, SCRATCH.into(), 0x5555_0010);
    check!(caught.is_none(), "REP INSB with 16-bit addresses gave {}", Shown(caught));
    check!(
        left.edi == 0x7777_0008 && left.ecx == 0x5555_0000,
        "16-bit addresses left EDI {:#x}, ECX {:#x}",
        left.edi,
        left.ecx
    );
    // SAFETY: as above. Address 0 is reached by assembly, as no pointer of Rust leads there.
    let (top, zero, seven, eight) = unsafe {
        let zero: u8;
        asm!("mov {0}, [{1}]", out(reg_byte) zero, in(reg) 0u64);
        (byte(0xffff).read_volatile(), zero, byte(7).read_volatile(), byte(0x10).read_volatile())
    };
    check!(
        (top, zero, seven, eight) == (0x47, 0x47, 0x47, 0),
        "bytes 0xffff, 0, 7, 0x10 are {top:#x}, {zero:#x}, {seven:#x}, {eight:#x}"
    );
    Ok(())
}

/// 32-bit addresses in a segment of 64 KiB.
fn segment_end(_: &Asked<'_>) -> Outcome {
    set_scratch(0x48);
    let (left, caught) = compatibility::run(
        compatibility::ins_segment(),
        0xfff8,
        SMALL_DATA_SELECTOR.into(),
        SCRATCH.into(),
        0x10,
    );
    // QEMU 7.2 does not check limits, also not for guests of its guests: the host does, for what it carries out.
    if caught.is_none() && !crate::environment::get().is_strict() {
        return Ok(());
    }
    expect("REP INSB over its segment's end", caught, 13, 0)?;
    check!((left.edi, left.ecx) == (0x1_0000, 8), "it stopped with EDI {:#x}, ECX {:#x}", left.edi, left.ecx);
    Ok(())
}

/// The last byte that OUTS sends stays in the scratch register.
fn segment(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    GsBase::write(VirtAddr::new(100));
    // SAFETY: inside the buffer.
    unsafe {
        buffer.add(100).copy_from_nonoverlapping([1, 2, 3, 0x39].as_ptr(), 4);
        asm!("rep outs dx, byte ptr gs:[rsi]", inout("rsi") buffer => _, inout("rcx") 4 => _, in("dx") SCRATCH);
    }
    GsBase::write(VirtAddr::new(0));
    let found = scratch();
    check!(found == 0x39, "OUTSB through GS left {found:#x} in the scratch register");
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
fn across_a_fault(_: &Asked<'_>) -> Outcome {
    cleared();
    let start = window::map(Size::Page4K, BUFFER.address(), PRESENT | WRITABLE) + 4096 - 40;
    window::map_second(0, 0);
    set_scratch(0x6b);
    let (end, left): (u64, u64);
    mend_with(Some(map_second_page));
    // SAFETY: the window leads to the buffer, its second page once the fault was mended.
    unsafe { asm!("rep insb", inout("rdi") start => end, inout("rcx") 100u64 => left, in("dx") SCRATCH) };
    mend_with(None);
    unmap();
    check!((end, left) == (start + 100, 0), "REP INSB across a fault ended at {end:#x}, {left} left");
    let wrong = wrong(4056..4156, 0x6b);
    check!(wrong.is_none(), "REP INSB across a fault got byte {wrong:?} wrong");
    Ok(())
}

fn unmap() {
    window::map(Size::Page4K, 0, 0);
    window::map_second(0, 0);
}

/// The two pages are no neighbours in memory: the window shows the second one first.
fn element_over_end(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    let start = window::map(Size::Page4K, BUFFER.address() + 4096, PRESENT | WRITABLE) + 4094;
    window::map_second(BUFFER.address(), PRESENT | WRITABLE);
    // SAFETY: the window leads to the buffer.
    unsafe { asm!("rep insd", inout("rdi") start => _, inout("rcx") 2u64 => _, in("dx") ABSENT) };
    // SAFETY: inside the buffer.
    let ends = unsafe { [8189, 8190, 8191, 0, 5, 6].map(|at| buffer.add(at).read_volatile()) };
    // Half of it is missing: no byte is written.
    window::map_second(0, 0);
    cleared();
    let caught = catch!("insd"; inout("rdi") start => _, in("dx") ABSENT);
    unmap();
    check!(ends == [0, 0xff, 0xff, 0xff, 0xff, 0], "INSD over a page's end left {ends:x?}");
    expect("INSD half into a missing page", caught, 14, 2)?;
    let address = caught.map_or(0, |caught| caught.address);
    check!(address == window::WINDOW + 4096, "CR2 is {address:#x}");
    check!(wrong(0..0, 0).is_none(), "INSD half into a missing page wrote byte {:?}", wrong(0..0, 0));
    Ok(())
}

fn from_missing(_: &Asked<'_>) -> Outcome {
    let buffer = cleared();
    window::map(Size::Page4K, BUFFER.address(), PRESENT);
    window::map_second(0, 0);
    // SAFETY: inside the buffer.
    unsafe { buffer.add(4092).copy_from_nonoverlapping([1, 2, 3, 0x77].as_ptr(), 4) };
    let (end, left): (u64, u64);
    let caught = catch!("rep outsb"; inout("rsi") window::WINDOW + 4092 => end, inout("rcx") 9u64 => left, in("dx") SCRATCH);
    let sent = scratch();
    unmap();
    expect("REP OUTSB from a missing page", caught, 14, 0)?;
    check!(
        (end, left, sent) == (window::WINDOW + 4096, 5, 0x77),
        "it stopped at {end:#x}, {left} left, {sent:#x} sent"
    );
    Ok(())
}

fn into_read_only(_: &Asked<'_>) -> Outcome {
    cleared();
    window::map(Size::Page4K, BUFFER.address(), PRESENT);
    let (end, left): (u64, u64);
    let caught = catch!("rep insb"; inout("rdi") window::WINDOW + 8 => end, inout("rcx") 9u64 => left, in("dx") SCRATCH);
    unmap();
    expect("REP INSB into a read-only page", caught, 14, 3)?;
    check!((end, left) == (window::WINDOW + 8, 9), "it moved to {end:#x}, {left} left");
    check!(wrong(0..0, 0).is_none(), "REP INSB into a read-only page wrote");
    Ok(())
}
