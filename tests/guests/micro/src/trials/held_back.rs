//! What holds interrupts and NMIs back: shadows, IF, an NMI's handler.

use core::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::instructions::interrupts as flag;

use crate::{
    apic,
    asked::Asked,
    interrupts::{self, Controller, Frame, expect_from, handle_with, hits},
    pic,
    time::wait,
    trial::{Outcome, Trial, check, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("shadow-after-sti-holds-for-one-instruction", after_sti),
    Trial::new("shadow-after-sti-ends-behind-an-exit", over_exit),
    Trial::new("sti-cli-opens-no-window", no_window),
    Trial::new("shadow-after-mov-ss-holds-for-one-instruction", after_mov_ss),
    Trial::new("popfq-opens-without-a-shadow", popfq),
    Trial::new("nmi-comes-with-interrupts-off", nmi),
    Trial::new("nmi-is-held-back-until-iret", nmi_in_nmi),
    Trial::new("nmi-goes-before-interrupts", nmi_first),
];

const PATIENCE_MS: u64 = 2000;
const VECTOR: u8 = 0x35;

/// One interrupt waits.
fn arm() -> *const u64 {
    pic::start(0);
    apic::start(false);
    expect_from(Controller::Apic);
    apic::send_to_self(u32::from(VECTOR));
    interrupts::counter(VECTOR)
}

/// Lets what still waits come, and says how often it came in all.
fn drained() -> u64 {
    flag::enable();
    wait(PATIENCE_MS, || hits(VECTOR) > 0);
    flag::disable();
    hits(VECTOR)
}

fn after_sti(_: &Asked<'_>) -> Outcome {
    let counter = arm();
    let (during, behind): (u64, u64);
    // SAFETY: the counter is an aligned word.
    unsafe {
        asm!("sti", "mov {during}, [{counter}]", "mov {behind}, [{counter}]", "cli",
            counter = in(reg) counter, during = out(reg) during, behind = out(reg) behind);
    }
    check!(during == 0, "an interrupt came in STI's shadow");
    check!(behind == 1, "an interrupt that waited came {behind} times behind STI's shadow");
    Ok(())
}

/// The instruction in the shadow is carried out by the host, which ends the shadow as the processor would.
fn over_exit(_: &Asked<'_>) -> Outcome {
    let counter = arm();
    let after: u64;
    // SAFETY: the counter is an aligned word; CPUID changes the registers named.
    unsafe {
        asm!("mov r8, rbx", "xor eax, eax", "sti", "cpuid", "nop", "cli", "mov rbx, r8", "mov {after}, [{counter}]",
            counter = in(reg) counter, after = out(reg) after,
            out("rax") _, out("rcx") _, out("rdx") _, out("r8") _);
    }
    check!(after == 1, "an interrupt that waited came {after} times in STI; CPUID; NOP; CLI");
    Ok(())
}

fn no_window(_: &Asked<'_>) -> Outcome {
    arm();
    for _ in 0..100 {
        // SAFETY: interrupts are off before and behind it.
        unsafe { asm!("sti", "cli") };
    }
    let early = hits(VECTOR);
    let all = drained();
    check!(early == 0, "STI; CLI let an interrupt in");
    check!(all == 1, "the interrupt that was held back came {all} times");
    Ok(())
}

/// STI opens interrupts; MOV SS in its shadow holds them off for one instruction more (APM vol. 3, MOV).
fn after_mov_ss(_: &Asked<'_>) -> Outcome {
    let counter = arm();
    let (during, behind): (u64, u64);
    // SAFETY: SS is loaded with what it holds.
    unsafe {
        asm!("mov r8w, ss", "sti", "mov ss, r8w", "mov {during}, [{counter}]", "mov {behind}, [{counter}]", "cli",
            counter = in(reg) counter, during = out(reg) during, behind = out(reg) behind, out("r8") _);
    }
    // A processor may let one in between: shadows of instructions in a row need not add up (SDM vol. 3, 6.8.3).
    if during == 1 {
        found!("the shadow of MOV SS behind STI does not add to STI's");
    }
    check!(behind == 1, "an interrupt came {behind} times behind the shadow of MOV SS");
    Ok(())
}

fn popfq(_: &Asked<'_>) -> Outcome {
    let counter = arm();
    let behind: u64;
    // SAFETY: the counter is an aligned word; interrupts are off again.
    unsafe {
        asm!("pushfq", "push 0x202", "popfq", "mov {behind}, [{counter}]", "popfq",
            counter = in(reg) counter, behind = out(reg) behind);
    }
    check!(behind == 1, "an interrupt that waited came {behind} times right behind POPFQ");
    Ok(())
}

fn nmi(_: &Asked<'_>) -> Outcome {
    expect_from(Controller::Apic);
    apic::send_to_self(apic::NMI);
    let came = wait(PATIENCE_MS, || hits(2) == 1);
    check!(came, "{} NMIs came, with interrupts off, of one", hits(2));
    Ok(())
}

/// How many handlers of NMIs are in progress, and how many there were at most.
static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);
/// The vector that came first of those that waited.
static FIRST: AtomicU64 = AtomicU64::new(0);

/// Sends another NMI out of the first one's handler, and gives it every chance to come there.
fn inside(frame: &mut Frame) {
    FIRST.compare_exchange(0, frame.vector, Ordering::Relaxed, Ordering::Relaxed).ok();
    if frame.vector != 2 {
        return;
    }
    let depth = DEPTH.fetch_add(1, Ordering::Relaxed) + 1;
    DEEPEST.fetch_max(depth, Ordering::Relaxed);
    if depth == 1 && SENT.load(Ordering::Relaxed) > 0 {
        SENT.fetch_sub(1, Ordering::Relaxed);
        apic::send_to_self(apic::NMI);
        for _ in 0..100 {
            crate::environment::cpuid(0, 0);
        }
    }
    DEPTH.fetch_sub(1, Ordering::Relaxed);
}

fn nmi_in_nmi(_: &Asked<'_>) -> Outcome {
    apic::start(false);
    expect_from(Controller::Apic);
    DEEPEST.store(0, Ordering::Relaxed);
    SENT.store(5, Ordering::Relaxed);
    handle_with(Some(inside));
    apic::send_to_self(apic::NMI);
    let came = wait(PATIENCE_MS, || hits(2) == 6);
    handle_with(None);
    let deepest = DEEPEST.load(Ordering::Relaxed);
    check!(deepest == 1, "{deepest} handlers of NMIs were in progress at once");
    check!(came, "{} NMIs came of 6, each sent in the handler of the one before", hits(2));
    Ok(())
}

fn nmi_first(_: &Asked<'_>) -> Outcome {
    arm();
    FIRST.store(0, Ordering::Relaxed);
    SENT.store(0, Ordering::Relaxed);
    handle_with(Some(inside));
    // Both wait behind the store that sends the NMI: it was sent with interrupts off.
    apic::send_to_self(apic::NMI);
    let all = drained();
    handle_with(None);
    let first = FIRST.load(Ordering::Relaxed);
    check!(hits(2) == 1 && all == 1, "{} NMIs and {all} interrupts came", hits(2));
    check!(first == 2, "vector {first} came before the NMI");
    Ok(())
}
