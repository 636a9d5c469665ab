//! Exceptions: the right vector, error code, address and place, also one inside another.

use core::arch::asm;

use x86_64::registers::control::{Cr0, Cr0Flags};

use crate::{
    asked::Asked,
    faults::{Caught, Shown, catch, mend_with},
    interrupts::{self, Controller, Frame},
    trial::{Outcome, check},
    window::{self, NO_EXECUTE, PRESENT, Size, WRITABLE},
};

/// Checks vector and error code.
fn expect(what: &str, caught: Option<Caught>, vector: u8, error_code: u64) -> Outcome {
    let right = caught.is_some_and(|caught| caught.vector == vector && caught.error_code == error_code);
    check!(right, "{what} gave {}, not exception {vector} error {error_code:#x}", Shown(caught));
    Ok(())
}

pub(super) fn run(_: &Asked<'_>) -> Outcome {
    plain()?;
    page_faults()?;
    nested()?;
    software()?;
    double_fault()
}

fn plain() -> Outcome {
    let caught = catch!("div edi"; in("edi") 0u32, inout("eax") 1 => _, inout("edx") 0 => _);
    expect("division by zero", caught, 0, 0)?;
    expect("UD2", catch!("ud2";), 6, 0)?;
    expect("INT3", catch!("int3";), 3, 0)?;
    let selector = 0x1238_u16;
    expect("loading a bad selector", catch!("mov es, di", "nop"; in("di") selector), 13, 0x1238)?;
    let not_canonical = 0x8000_0000_0000_u64;
    expect(
        "an address that is not canonical",
        catch!("mov al, [rdi]"; in("rdi") not_canonical, out("al") _),
        13,
        0,
    )?;
    Ok(())
}

fn page_faults() -> Outcome {
    let missing = window::WINDOW + 0x123;
    window::map(Size::Page4K, 0, 0);
    let at = |what: &str, caught: Option<Caught>, error_code: u64, address: u64| {
        expect(what, caught, 14, error_code)?;
        let found = caught.map_or(0, |caught| caught.address);
        check!(found == address, "{what}: CR2 is {found:#x}, not {address:#x}");
        Ok(())
    };
    at("reading a missing page", catch!("mov al, [rdi]"; in("rdi") missing, out("al") _), 0, missing)?;
    at("writing a missing page", catch!("mov byte ptr [rdi], 1"; in("rdi") missing), 2, missing)?;
    // An operand over two pages, of which the second is missing: CR2 names its first byte.
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE);
    window::map_second(0, 0);
    let over = window::WINDOW + 4094;
    at(
        "reading across into a missing page",
        catch!("mov eax, [rdi]"; in("rdi") over, out("eax") _),
        0,
        over + 2,
    )?;
    window::map(Size::Page4K, 0x1000, PRESENT);
    at("writing a read-only page", catch!("mov byte ptr [rdi], 1"; in("rdi") missing), 3, missing)?;
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE | NO_EXECUTE);
    at("executing a page that forbids it", catch!("jmp rdi"; in("rdi") missing), 0x11, missing)?;
    window::map(Size::Page4K, 0x1000, PRESENT | WRITABLE | 1 << 51);
    let caught = catch!("mov al, [rdi]"; in("rdi") missing, out("al") _);
    // The entry is present, but QEMU 7.2 leaves that bit of the error code clear, also for guests of its guests.
    let error_code = if caught.is_some_and(|caught| caught.error_code == 8) { 8 } else { 9 };
    at("reading through a reserved bit", caught, error_code, missing)?;
    window::map(Size::Page4K, 0, 0);
    Ok(())
}

/// Faults on purpose while it serves #UD, then skips the UD2 that it was called for.
fn fault_inside(frame: &mut Frame, _: u64) -> bool {
    match frame.vector {
        6 => {
            let missing = window::WINDOW + 0x77;
            // SAFETY: the address is not mapped; the page fault is mended by skipping the instruction below.
            unsafe { asm!("mov byte ptr [rdi], 1", in("rdi") missing) };
            frame.rip += 2;
            // R15 counts.
            frame.general[0] += 1;
            true
        }
        14 => {
            // `mov byte ptr [rdi], 1` has three bytes.
            frame.rip += 3;
            true
        }
        _ => false,
    }
}

fn nested() -> Outcome {
    window::map(Size::Page4K, 0, 0);
    mend_with(Some(fault_inside));
    let count: u64;
    // SAFETY: each UD2 is skipped by the mender, which adds one to R15.
    unsafe { asm!("xor r15d, r15d", "ud2", "ud2", "ud2", out("r15") count) };
    mend_with(None);
    check!(count == 3, "{count} of 3 handlers came back from a page fault of their own");
    Ok(())
}

fn software() -> Outcome {
    interrupts::expect_from(Controller::None);
    // SAFETY: the vectors have gates that only count.
    unsafe { asm!("int 0x80", "int 0xff", "int 0x80") };
    let (twice, once) = (interrupts::hits(0x80), interrupts::hits(0xff));
    check!((twice, once) == (2, 1), "INT came {twice} and {once} times, not 2 and 1");
    interrupts::set_gate(0x80, false);
    let caught = catch!("int 0x80";);
    interrupts::set_gate(0x80, true);
    // The error code names the gate: vector, and the IDT bit. QEMU 7.2 counts 8 bytes a gate and gives twice the vector.
    let right =
        caught.is_some_and(|caught| caught.vector == 11 && matches!(caught.error_code, 0x402 | 0x802));
    check!(right, "INT through a gate that is not present gave {}", Shown(caught));

    // #NM, then the state is used as if nothing had been.
    // SAFETY: the handler of every exception clears CR0.TS.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::TASK_SWITCHED)) };
    let caught = catch!("movaps xmm0, xmm0";);
    expect("SSE with CR0.TS", caught, 7, 0)
}

/// A page fault whose own gate is missing.
fn double_fault() -> Outcome {
    window::map(Size::Page4K, 0, 0);
    interrupts::set_gate(14, false);
    let missing = window::WINDOW + 0x321;
    let caught = catch!("mov al, [rdi]"; in("rdi") missing, out("al") _);
    interrupts::set_gate(14, true);
    expect("a page fault without a gate", caught, 8, 0)
}
