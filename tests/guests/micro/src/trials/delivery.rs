//! How exceptions and INT n are delivered: gates, stacks, one inside another.

use core::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering},
};

use super::exceptions::expect;
use crate::{
    asked::Asked,
    faults::{Shown, catch, mend_with},
    interrupts::{self, Controller, Frame},
    trial::{Outcome, Trial, check},
    window::{self, Size},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("fault-inside-a-handler-nests", nested),
    Trial::new("int-n-goes-through-its-gate", software),
    Trial::new("int-n-without-gate-names-it", absent_gate),
    Trial::new("fault-without-gate-gives-df", double_fault),
    Trial::new("gate-takes-the-stack-that-it-names", gate_stacks),
    Trial::new("iret-restores-flags", flags),
];

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

fn nested(_: &Asked<'_>) -> Outcome {
    window::map(Size::Page4K, 0, 0);
    mend_with(Some(fault_inside));
    let count: u64;
    // SAFETY: each UD2 is skipped by the mender, which adds one to R15.
    unsafe { asm!("xor r15d, r15d", "ud2", "ud2", "ud2", out("r15") count) };
    mend_with(None);
    check!(count == 3, "{count} of 3 handlers came back from a page fault of their own");
    Ok(())
}

fn software(_: &Asked<'_>) -> Outcome {
    interrupts::expect_from(Controller::None);
    // SAFETY: the vectors have gates that only count.
    unsafe { asm!("int 0x80", "int 0xff", "int 0x80") };
    let (twice, once) = (interrupts::hits(0x80), interrupts::hits(0xff));
    check!((twice, once) == (2, 1), "INT came {twice} and {once} times, not 2 and 1");
    Ok(())
}

/// The error code names the gate: vector, and the IDT bit. QEMU 7.2 counts 8 bytes a gate and gives twice the vector.
fn absent_gate(_: &Asked<'_>) -> Outcome {
    interrupts::set_gate(0x80, false);
    let caught = catch!("int 0x80";);
    interrupts::set_gate(0x80, true);
    let right =
        caught.is_some_and(|caught| caught.vector == 11 && matches!(caught.error_code, 0x402 | 0x802));
    check!(right, "INT through a gate that is not present gave {}", Shown(caught));
    Ok(())
}

/// A page fault whose own gate is missing.
fn double_fault(_: &Asked<'_>) -> Outcome {
    window::map(Size::Page4K, 0, 0);
    interrupts::set_gate(14, false);
    let missing = window::WINDOW + 0x321;
    let caught = catch!("mov al, [rdi]"; in("rdi") missing, out("al") _);
    interrupts::set_gate(14, true);
    expect("a page fault without a gate", caught, 8, 0)
}

static HANDLED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

fn note_fault(frame: &mut Frame, _: u64) -> bool {
    note(frame);
    // UD2 has two bytes.
    frame.rip += 2;
    true
}

fn note(frame: &mut Frame) {
    let at = core::ptr::from_ref(frame).addr() as u64;
    HANDLED[0].store(at, Ordering::Relaxed);
    HANDLED[1].store(frame.rsp, Ordering::Relaxed);
}

/// Interrupt stacks: the frame lies at the end of the one that the gate names (APM vol. 2, 8.9.3).
fn gate_stacks(_: &Asked<'_>) -> Outcome {
    interrupts::expect_from(Controller::None);
    for vector in [6_u8, 0x80] {
        let rsp: u64;
        mend_with(Some(note_fault));
        interrupts::handle_with(Some(note));
        // SAFETY: both are skipped or only counted.
        unsafe {
            if vector == 6 {
                asm!("mov {}, rsp", "ud2", out(reg) rsp);
            } else {
                asm!("mov {}, rsp", "int 0x80", out(reg) rsp);
            }
        }
        mend_with(None);
        interrupts::handle_with(None);
        let (at, from) = (HANDLED[0].load(Ordering::Relaxed), HANDLED[1].load(Ordering::Relaxed));
        let (_, end) = interrupts::gate_stack(vector);
        let expected = end - size_of::<Frame>() as u64;
        check!(at == expected, "vector {vector}: the frame lies at {at:#x}, not at {expected:#x}");
        check!(from == rsp, "vector {vector}: the frame says RSP {from:#x}, it was {rsp:#x}");
    }
    Ok(())
}

/// CF, PF, AF, ZF, SF, DF, OF and ID come back by IRET as they were.
fn flags(_: &Asked<'_>) -> Outcome {
    for given in [0x8d5_u64, 0x400, 0x20_0000, 0] {
        let found: u64;
        // SAFETY: the vector only counts; DF is clear again behind it.
        unsafe {
            asm!("push {given}", "popfq", "int 0x80", "pushfq", "pop {found}", "cld",
                given = in(reg) given | 2, found = out(reg) found);
        }
        check!(found & 0x20_0cd5 == given, "flags {given:#x} came back as {found:#x}");
    }
    Ok(())
}
