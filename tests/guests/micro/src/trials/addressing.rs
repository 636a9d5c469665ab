//! Where an instruction finds a device register: every form of address, every width, page ends, remapped pages.

use core::arch::asm;

use x86_64::{
    VirtAddr,
    registers::model_specific::{FsBase, GsBase},
};

use super::exceptions::expect;
use crate::{
    apic,
    asked::Asked,
    compatibility,
    faults::{Shown, catch, mend_with},
    interrupts::Frame,
    single::Single,
    trial::{Outcome, Trial, check, check_strictly},
    window::{self, PRESENT, Size, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("mmio-by-every-form-of-address", forms),
    Trial::new("mmio-by-fs-and-gs", segments),
    Trial::new("mmio-relative-to-rip", relative),
    Trial::new("mmio-in-32-bit-code", compatibility_mode),
    Trial::new("mmio-of-every-width", widths),
    Trial::new("mmio-by-an-instruction-over-a-page-end", over_page_end),
    Trial::new("mmio-over-the-end-of-a-device-page", over_device_end),
    Trial::new("mmio-pushes-and-pops", stack),
    Trial::new("mmio-to-a-missing-page-faults-there", missing),
    Trial::new("mmio-to-a-read-only-page-faults-there", read_only),
    Trial::new("mmio-instruction-on-an-exchanged-page", exchanged),
    Trial::new("mmio-string-goes-on-behind-a-fault", string_fault),
    Trial::new("mmio-takes-port-strings", port_strings),
];

/// With its timer masked the initial count is a plain 32-bit register.
const DEVICE: u64 = apic::LOCAL + apic::INITIAL_COUNT;

static PAGES: Single<[u8; 8192]> = Single::new([0; 8192]);

fn prepare(word: u32) {
    apic::start(false);
    apic::write(apic::INITIAL_COUNT, word);
}

/// Executes one load into EAX and checks it.
macro_rules! load {
    ($line:literal ; $($operands:tt)*) => {{
        let found: u32;
        // SAFETY: the address is the device's.
        unsafe { asm!($line, out("eax") found, $($operands)*) };
        check!(found == 0x600d_cafe, "`{}` loaded {found:#x}", $line);
    }};
}

fn forms(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    load!("mov eax, [rdi]"; in("rdi") DEVICE);
    load!("mov eax, [rdi + 0x7f]"; in("rdi") DEVICE - 0x7f);
    load!("mov eax, [rdi - 0x80]"; in("rdi") DEVICE + 0x80);
    load!("mov eax, [rdi + 0x12345678]"; in("rdi") DEVICE - 0x1234_5678);
    load!("mov eax, [rdi - 0x12345678]"; in("rdi") DEVICE + 0x1234_5678);
    load!("mov eax, [rdi + rcx]"; in("rdi") DEVICE - 0x1000, in("rcx") 0x1000_u64);
    load!("mov eax, [rdi + rcx * 2 - 4]"; in("rdi") DEVICE + 4 - 0x2000, in("rcx") 0x1000_u64);
    load!("mov eax, [rdi + rcx * 4]"; in("rdi") DEVICE + 0x40, in("rcx") -0x10_i64);
    load!("mov eax, [rdi + rcx * 8 + 0x10000]"; in("rdi") DEVICE - 0x1_0008, in("rcx") 1_u64);
    load!("mov eax, [rcx * 8 + 0x100]"; in("rcx") (DEVICE - 0x100) / 8);
    load!("mov eax, [r13]"; in("r13") DEVICE);
    load!("mov eax, [r12]"; in("r12") DEVICE);
    load!("mov eax, [r13 + r12 * 4]"; in("r13") DEVICE - 8, in("r12") 2_u64);
    load!("mov eax, [edi]"; in("rdi") DEVICE | (0xdead << 32));
    load!("mov eax, [edi + ecx * 4]"; in("rdi") (DEVICE + 0x10) | (0xdead << 32), in("rcx") 0x1_ffff_fffc_u64);
    // MOV EAX, moffs, of 64 and of 32 bits.
    load!(".byte 0xa1, 0x80, 0x03, 0xe0, 0xfe, 0, 0, 0, 0";);
    load!(".byte 0x67, 0xa1, 0x80, 0x03, 0xe0, 0xfe";);
    // A displacement alone, sign-extended: only with 32-bit addresses does it reach the device.
    load!(".byte 0x67, 0x8b, 0x04, 0x25, 0x80, 0x03, 0xe0, 0xfe";);
    // RSP and RBP as bases.
    load!("mov r8, rsp\nmov rsp, rdi\nmov eax, [rsp + 8]\nmov rsp, r8"; in("rdi") DEVICE - 8, out("r8") _);
    load!("mov r8, rbp\nmov rbp, rdi\nmov eax, [rbp + 8]\nmov rbp, r8"; in("rdi") DEVICE - 8, out("r8") _);
    apic::write(apic::INITIAL_COUNT, 0);
    Ok(())
}

fn segments(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    FsBase::write(VirtAddr::new(DEVICE - 0x100));
    GsBase::write(VirtAddr::new(DEVICE + 0x100));
    load!("mov eax, fs:[rdi]"; in("rdi") 0x100_u64);
    load!("mov eax, gs:[rdi]"; in("rdi") -0x100_i64);
    load!("mov eax, fs:[0x100]";);
    load!("mov eax, gs:[rdi + rcx * 4 - 0x200]"; in("rdi") 0xe0_u64, in("rcx") 8_u64);
    load!("mov eax, fs:[edi]"; in("rdi") 0x100_u64 | 7 << 40);
    // DS has no base in 64-bit mode; a prefix for it changes nothing.
    load!(".byte 0x3e, 0x8b, 0x07"; in("rdi") DEVICE);
    FsBase::write(VirtAddr::new(0));
    GsBase::write(VirtAddr::new(0));
    apic::write(apic::INITIAL_COUNT, 0);
    Ok(())
}

/// MOV EAX, [RIP + distance]; RET in a page within 2 GiB of the device's second address.
fn relative(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    let code = window::map(Size::Page4K, PAGES.address(), PRESENT | WRITABLE);
    let device = window::map_second(apic::LOCAL, PRESENT | WRITABLE | UNCACHED) + apic::INITIAL_COUNT;
    let distance = (device - (code + 6)) as u32;
    let [a, b, c, d] = distance.to_le_bytes();
    put(0, &[0x8b, 0x05, a, b, c, d, 0xc3]);
    let found = answer(code);
    unmap();
    check!(found == 0x600d_cafe, "relative to RIP {found:#x} was loaded");
    Ok(())
}

/// Page-table entries: uncacheable.
const UNCACHED: u64 = 1 << 4;

fn put(offset: usize, code: &[u8]) {
    // SAFETY: inside this trial's static, in which nothing runs now.
    unsafe { PAGES.get().cast::<u8>().add(offset).copy_from_nonoverlapping(code.as_ptr(), code.len()) };
}

/// Calls code at this address, which answers in EAX.
fn answer(at: u64) -> u32 {
    let eax: u32;
    // SAFETY: the code is this trial's.
    unsafe { asm!("call {at}", at = in(reg) at, out("eax") eax, out("ecx") _) };
    eax
}

fn unmap() {
    window::map(Size::Page4K, 0, 0);
    window::map_second(0, 0);
    apic::write(apic::INITIAL_COUNT, 0);
}

fn compatibility_mode(_: &Asked<'_>) -> Outcome {
    prepare(0x0fed_cba9);
    // FS:[BX + SI + 8] wraps at 64 KiB before the base is added.
    FsBase::write(VirtAddr::new(DEVICE - 0x10));
    let (left, caught) = compatibility::run(compatibility::load_16(), 0xfff8, 0x10, 0, 0);
    FsBase::write(VirtAddr::new(0));
    check!(caught.is_none(), "a 16-bit address gave {}", Shown(caught));
    check!(left.eax == 0x0fed_cba9, "by a 16-bit address {:#x} was loaded", left.eax);
    let (left, caught) =
        compatibility::run(compatibility::load_based(), DEVICE as u32 + 8, 2, 0, 0x1000_0000);
    apic::write(apic::INITIAL_COUNT, 0);
    check!(caught.is_none(), "a 32-bit address gave {}", Shown(caught));
    check!(
        (left.eax, left.ecx) == (0x0fed_cba9, 0x1fed_cba9),
        "by a 32-bit address {:#x} was loaded, {:#x} is the sum",
        left.eax,
        left.ecx
    );
    Ok(())
}

/// Parts of a register, and more than it: the registers beside it read as they do alone. QEMU 7.2's own APIC answers accesses of 4
/// bytes only.
fn widths(_: &Asked<'_>) -> Outcome {
    prepare(0x8899_aabb);
    let (zero_8, sign_8, zero_16, sign_16, byte_1, word_2, wide): (u64, u64, u64, u64, u64, u64, u64);
    // SAFETY: the addresses are the device's.
    unsafe {
        asm!("mov rax, -1", "movzx eax, byte ptr [rdi]", in("rdi") DEVICE, out("rax") zero_8);
        asm!("movsx rax, byte ptr [rdi]", in("rdi") DEVICE, out("rax") sign_8);
        asm!("movzx rax, word ptr [rdi]", in("rdi") DEVICE, out("rax") zero_16);
        asm!("mov rax, -1", "movsx eax, word ptr [rdi]", in("rdi") DEVICE, out("rax") sign_16);
        asm!("mov rax, -1", "mov ah, [rdi + 1]", in("rdi") DEVICE, out("rax") byte_1);
        asm!("mov rax, -1", "mov ax, [rdi + 2]", in("rdi") DEVICE, out("rax") word_2);
        asm!("mov rax, [rdi]", in("rdi") DEVICE, out("rax") wide);
    }
    apic::write(apic::INITIAL_COUNT, 0);
    for (name, found, expected) in [
        ("MOVZX of a byte", zero_8, 0xbb),
        ("MOVSX of a byte", sign_8, 0xffff_ffff_ffff_ffbb),
        ("MOVZX of a word", zero_16, 0xaabb),
        ("MOVSX of a word", sign_16, 0xffff_aabb),
        ("MOV AH of byte 1", byte_1, 0xffff_ffff_ffff_aaff),
        ("MOV AX of word 2", word_2, 0xffff_ffff_ffff_8899),
        ("MOV of 8 bytes", wide & 0xffff_ffff, 0x8899_aabb),
    ] {
        check_strictly!(found == expected, "{name} gives {found:#x}, not {expected:#x}");
    }
    Ok(())
}

/// The instruction's bytes lie in two pages that are no neighbours in memory.
fn over_page_end(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    // MOV ECX, [0xfee00380] by a 32-bit address; MOV EAX, ECX; RET.
    let code = [0x67, 0x8b, 0x0c, 0x25, 0x80, 0x03, 0xe0, 0xfe, 0x89, 0xc8, 0xc3];
    // The window shows the second page first.
    let start = window::map(Size::Page4K, PAGES.address() + 4096, PRESENT | WRITABLE);
    window::map_second(PAGES.address(), PRESENT | WRITABLE);
    for in_first in 1..8 {
        put(8192 - in_first, &code[..in_first]);
        put(0, &code[in_first..]);
        let found = answer(start + 4096 - in_first as u64);
        check!(found == 0x600d_cafe, "with {in_first} bytes in the first page {found:#x} was loaded");
    }
    unmap();
    Ok(())
}

/// Half of the operand lies in the local APIC's page, half behind it, where nothing is.
fn over_device_end(_: &Asked<'_>) -> Outcome {
    for bytes_before in 1..4_u64 {
        let at = apic::LOCAL + 4096 - bytes_before;
        let found: u32;
        // SAFETY: no register lies at the page's end.
        unsafe {
            asm!("mov eax, [rdi]", in("rdi") at, out("eax") found);
            asm!("mov [rdi], eax", "lock add [rdi], eax", in("rdi") at, in("eax") 0x1234_5678);
        }
        let behind = found >> (8 * bytes_before);
        let ones = u32::MAX >> (8 * bytes_before);
        check_strictly!(behind == ones, "behind the device's page {behind:#x} is read, not {ones:#x}");
    }
    let version = apic::read(apic::VERSION);
    check!(version & 0xff >= 0x10, "the local APIC's version is {version:#x} afterwards");
    Ok(())
}

fn stack(_: &Asked<'_>) -> Outcome {
    // A page of 8-byte pushes: twice as wide as the register.
    prepare(0);
    let (kept, popped): (u64, u64);
    // SAFETY: the stack is as before.
    unsafe {
        asm!("push 0x1234567", "pop qword ptr [rdi]", "push qword ptr [rdi]", "pop {popped}", "mov {kept:e}, [rdi]",
            in("rdi") DEVICE, kept = out(reg) kept, popped = out(reg) popped);
    }
    apic::write(apic::INITIAL_COUNT, 0);
    // QEMU 7.2's own APIC takes 8 bytes as twice 4, of the same register.
    check_strictly!(kept == 0x123_4567, "POP to the register left {kept:#x}");
    check_strictly!(popped & 0xffff_ffff == 0x123_4567, "PUSH of the register pushed {popped:#x}");
    Ok(())
}

/// The device is read, and the other end is missing: a page fault of the store, and nothing has happened.
fn missing(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    window::map(Size::Page4K, 0, 0);
    let (source, target): (u64, u64);
    let caught = catch!("movsd";
        inout("rsi") DEVICE => source, inout("rdi") window::WINDOW + 0x20 => target);
    expect("MOVSD from the device to a missing page", caught, 14, 2)?;
    let address = caught.map_or(0, |caught| caught.address);
    check!(address == window::WINDOW + 0x20, "CR2 is {address:#x}");
    check!((source, target) == (DEVICE, window::WINDOW + 0x20), "it moved to {source:#x}, {target:#x}");
    // The other way: the source is missing, the device keeps what it holds.
    let caught = catch!("movsd"; inout("rsi") window::WINDOW + 4092 => _, inout("rdi") DEVICE => _);
    expect("MOVSD from a missing page to the device", caught, 14, 0)?;
    // A stack that is missing, PUSH of the register.
    let caught = catch!("mov r8, rsp", "mov rsp, rdi", "push qword ptr [rsi]", "77:", "mov rsp, r8", "jmp 78f", "78:", "nop";
        in("rdi") window::WINDOW + 0x100, in("rsi") DEVICE, out("r8") _);
    expect("PUSH of the device to a missing page", caught, 14, 2)?;
    let kept = apic::read(apic::INITIAL_COUNT);
    apic::write(apic::INITIAL_COUNT, 0);
    check!(kept == 0x600d_cafe, "the device holds {kept:#x}");
    Ok(())
}

/// The device through a page that is read-only: the guest's own fault comes before the device.
fn read_only(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    let device = window::map(Size::Page4K, apic::LOCAL, PRESENT | UNCACHED) + apic::INITIAL_COUNT;
    let found: u32;
    // SAFETY: the window leads to the device.
    unsafe { asm!("mov eax, [rdi]", in("rdi") device, out("eax") found) };
    let store = catch!("mov [rdi], eax"; in("rdi") device, in("eax") 1);
    let both = catch!("lock add [rdi], eax"; in("rdi") device, in("eax") 1);
    let kept = apic::read(apic::INITIAL_COUNT);
    unmap();
    check!(found == 0x600d_cafe, "through a read-only page {found:#x} was read");
    expect("writing the device through it", store, 14, 3)?;
    expect("adding to the device through it", both, 14, 3)?;
    check!(kept == 0x600d_cafe, "the device holds {kept:#x}");
    Ok(())
}

/// The code's page is exchanged between two calls: the host must fetch what lies there now.
fn exchanged(_: &Asked<'_>) -> Outcome {
    prepare(0x600d_cafe);
    // MOV EAX, [moffs]; RET, and its complement by way of ECX.
    put(0, &[0xa1, 0x80, 0x03, 0xe0, 0xfe, 0, 0, 0, 0, 0xc3]);
    put(4096, &[0x67, 0x8b, 0x0c, 0x25, 0x80, 0x03, 0xe0, 0xfe, 0x89, 0xc8, 0xf7, 0xd0, 0xc3]);
    for round in 0..20_u64 {
        let page = round & 1;
        let at = window::map(Size::Page4K, PAGES.address() + page * 4096, PRESENT);
        let found = answer(at);
        let expected = if page == 0 { 0x600d_cafe } else { !0x600d_cafe_u32 };
        check!(found == expected, "round {round}: {found:#x} was loaded, not {expected:#x}");
    }
    unmap();
    Ok(())
}

/// Maps the second page when it is missed.
fn mend(frame: &mut Frame, address: u64) -> bool {
    let missed = frame.vector == 14 && frame.error_code == 2 && address == window::WINDOW + 4096;
    if missed {
        window::map_second(PAGES.address() + 4096, PRESENT | WRITABLE);
    }
    missed
}

/// REP MOVSD from the registers in service, which are zero, over a page that comes only when it is missed.
fn string_fault(_: &Asked<'_>) -> Outcome {
    // SAFETY: this trial's static.
    unsafe { PAGES.get().cast::<u8>().write_bytes(0x5a, 8192) };
    let start = window::map(Size::Page4K, PAGES.address(), PRESENT | WRITABLE) + 4096 - 8;
    window::map_second(0, 0);
    let (source, target, left): (u64, u64, u64);
    mend_with(Some(mend));
    // SAFETY: the window leads to the static, its second page once the fault was mended.
    unsafe {
        asm!("rep movsd", inout("rsi") apic::LOCAL + apic::VERSION => source, inout("rdi") start => target,
            inout("rcx") 4u64 => left);
    }
    mend_with(None);
    // SAFETY: this trial's static.
    let words = unsafe { PAGES.get().cast::<u8>().add(4088).cast::<[u32; 5]>().read_unaligned() };
    unmap();
    check!(
        (source, target, left) == (apic::LOCAL + apic::VERSION + 16, start + 16, 0),
        "it ended at {source:#x}, {target:#x}, {left} left"
    );
    check!(
        words[0] == apic::read(apic::VERSION) && words[4] == 0x5a5a_5a5a && words[3] != 0x5a5a_5a5a,
        "it copied {words:x?}"
    );
    Ok(())
}

/// INS into a device's register and OUTS out of it: both ends are the host's.
fn port_strings(_: &Asked<'_>) -> Outcome {
    /// Nothing is at this port, on any machine this runs on.
    const ABSENT: u16 = 0x1e8;
    const SCRATCH: u16 = crate::console::COM1 + 7;
    prepare(0x600d_ca5e);
    let (out_end, in_end): (u64, u64);
    let sent: u8;
    // SAFETY: the addresses are the device's; neither port does anything.
    unsafe {
        asm!("outsb", inout("rsi") DEVICE => out_end, in("dx") SCRATCH);
        asm!("in al, dx", in("dx") SCRATCH, out("al") sent);
        asm!("insd", inout("rdi") DEVICE => in_end, in("dx") ABSENT);
    }
    let left = apic::read(apic::INITIAL_COUNT);
    apic::write(apic::INITIAL_COUNT, 0);
    check!((out_end, in_end) == (DEVICE + 1, DEVICE + 4), "they ended at {out_end:#x}, {in_end:#x}");
    // QEMU 7.2's own APIC answers accesses of 4 bytes only.
    check_strictly!(sent == 0x5e, "OUTSB of the register sent {sent:#x}");
    check!(left == u32::MAX, "INSD left {left:#x} in the register");
    Ok(())
}
