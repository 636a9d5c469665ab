//! What is a CPU's own, while all of them run and exit at the same time; and clocks, which are everybody's.

use core::{
    arch::{asm, x86_64::_mm_lfence},
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::{
    VirtAddr,
    registers::{
        control::Cr2,
        model_specific::{FsBase, GsBase, KernelGsBase, Msr},
    },
};

use super::memory::alone;
use crate::{
    asked::Asked,
    cpus::{self, MOST},
    environment::cpuid,
    single::Single,
    time::tsc,
    trial::{Outcome, Trial, check},
    trials::clock,
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::new("smp-registers-are-each-cpus-own", registers).of_several_cpus(),
    Trial::new("smp-xmm-registers-are-each-cpus-own", xmm).of_several_cpus(),
    Trial::new("smp-tsc-never-goes-back-from-cpu-to-cpu", tsc_never_back).of_several_cpus(),
    Trial::new("smp-kvmclock-page-is-each-cpus-own", own_page).of_several_cpus(),
    Trial::new("smp-kvmclock-never-goes-back-from-cpu-to-cpu", clock_never_back).of_several_cpus(),
];

const EXITS: u64 = 500;
const LOOKS: u64 = 1000;
const TSC_AUX: u32 = 0xc000_0103;
const LSTAR: u32 = 0xc000_0082;

/// The register that was wrong, what it held and what it should have: by CPU.
static WRONG: [[AtomicU64; 3]; MOST] = [const { [const { AtomicU64::new(0) }; 3] }; MOST];
const NAMES: [&str; 12] =
    ["", "CR2", "CR8", "DR0", "DR1", "DR2", "DR3", "FS.base", "GS.base", "KernelGSbase", "LSTAR", "TSC_AUX"];

fn has_tsc_aux() -> bool {
    cpuid(0x8000_0001, 0).edx & 1 << 27 != 0
}

/// What register `number` holds on CPU `cpu` in this trial.
fn value(cpu: usize, number: usize) -> u64 {
    match number {
        2 => cpu as u64 & 15,
        11 => 0x100 + cpu as u64,
        // Canonical, and never 0.
        _ => (cpu as u64 + 1) << 32 | (number as u64) << 16 | 0x5a5a,
    }
}

fn write(number: usize, value: u64) {
    // SAFETY: nothing in this guest uses these registers but this trial: no breakpoint is enabled in DR7, interrupts are off,
    // SYSCALL is not used.
    unsafe {
        match number {
            1 => asm!("mov cr2, {}", in(reg) value),
            2 => asm!("mov cr8, {}", in(reg) value),
            3 => asm!("mov dr0, {}", in(reg) value),
            4 => asm!("mov dr1, {}", in(reg) value),
            5 => asm!("mov dr2, {}", in(reg) value),
            6 => asm!("mov dr3, {}", in(reg) value),
            7 => FsBase::write(VirtAddr::new(value)),
            8 => GsBase::write(VirtAddr::new(value)),
            9 => KernelGsBase::write(VirtAddr::new(value)),
            10 => Msr::new(LSTAR).write(value),
            _ => Msr::new(TSC_AUX).write(value),
        }
    }
}

fn read(number: usize) -> u64 {
    let value: u64;
    // SAFETY: reading changes nothing.
    unsafe {
        match number {
            1 => return Cr2::read_raw(),
            2 => asm!("mov {}, cr8", out(reg) value),
            3 => asm!("mov {}, dr0", out(reg) value),
            4 => asm!("mov {}, dr1", out(reg) value),
            5 => asm!("mov {}, dr2", out(reg) value),
            6 => asm!("mov {}, dr3", out(reg) value),
            7 => return FsBase::read().as_u64(),
            8 => return GsBase::read().as_u64(),
            9 => return KernelGsBase::read().as_u64(),
            10 => return Msr::new(LSTAR).read(),
            _ => return Msr::new(TSC_AUX).read(),
        }
    }
    value
}

fn keep_registers(cpu: usize) {
    let last = if has_tsc_aux() { NAMES.len() } else { NAMES.len() - 1 };
    (1..last).for_each(|number| write(number, value(cpu, number)));
    'all: for _ in 0..EXITS {
        cpuid(0, 0);
        for number in 1..last {
            let (held, expected) = (read(number), value(cpu, number));
            if held != expected {
                for (place, value) in WRONG[cpu].iter().zip([number as u64, held, expected]) {
                    place.store(value, Ordering::SeqCst);
                }
                break 'all;
            }
        }
    }
    (1..last).for_each(|number| write(number, 0));
}

fn registers(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        WRONG.iter().flatten().for_each(|word| word.store(0, Ordering::SeqCst));
        cpus.all_do(keep_registers);
        keep_registers(0);
        check!(cpus.are_done(), "a CPU does not come to an end");
        for cpu in cpus.all() {
            let [number, held, expected] = WRONG[cpu].each_ref().map(|word| word.load(Ordering::SeqCst));
            check!(
                number == 0,
                "{} of CPU {cpu} held {held:#x}, expected {expected:#x}",
                NAMES[number as usize]
            );
        }
        Ok(())
    })
}

/// XMM0 to XMM15, as loaded and as found.
static XMM: [Single<[[u64; 32]; 2]>; MOST] = [const { Single::new([[0; 32]; 2]) }; MOST];

fn keep_xmm(cpu: usize) {
    let at = XMM[cpu].get().cast::<u64>();
    for number in 0..32 {
        // SAFETY: each CPU has a page to itself; the first half is filled here.
        unsafe { at.add(number).write(((cpu as u64 + 1) << 40) | (number as u64 + 1)) };
    }
    // SAFETY: the page holds both halves; CPUID changes the registers named, and all that is changed is named.
    unsafe {
        asm!(
            "movaps xmm0, [{at}]", "movaps xmm1, [{at}+16]", "movaps xmm2, [{at}+32]", "movaps xmm3, [{at}+48]",
            "movaps xmm4, [{at}+64]", "movaps xmm5, [{at}+80]", "movaps xmm6, [{at}+96]", "movaps xmm7, [{at}+112]",
            "movaps xmm8, [{at}+128]", "movaps xmm9, [{at}+144]", "movaps xmm10, [{at}+160]", "movaps xmm11, [{at}+176]",
            "movaps xmm12, [{at}+192]", "movaps xmm13, [{at}+208]", "movaps xmm14, [{at}+224]", "movaps xmm15, [{at}+240]",
            "mov {kept}, rbx",
            "2:", "xor eax, eax", "cpuid", "pause", "dec {rounds}", "jnz 2b",
            "mov rbx, {kept}",
            "movaps [{at}+256], xmm0", "movaps [{at}+272], xmm1", "movaps [{at}+288], xmm2", "movaps [{at}+304], xmm3",
            "movaps [{at}+320], xmm4", "movaps [{at}+336], xmm5", "movaps [{at}+352], xmm6", "movaps [{at}+368], xmm7",
            "movaps [{at}+384], xmm8", "movaps [{at}+400], xmm9", "movaps [{at}+416], xmm10", "movaps [{at}+432], xmm11",
            "movaps [{at}+448], xmm12", "movaps [{at}+464], xmm13", "movaps [{at}+480], xmm14", "movaps [{at}+496], xmm15",
            at = in(reg) at, kept = out(reg) _, rounds = inout(reg) EXITS * 4 => _,
            out("rax") _, out("rcx") _, out("rdx") _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _, out("xmm5") _, out("xmm6") _,
            out("xmm7") _, out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _, out("xmm12") _, out("xmm13") _,
            out("xmm14") _, out("xmm15") _,
        );
    }
}

fn xmm(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        cpus.all_do(keep_xmm);
        keep_xmm(0);
        check!(cpus.are_done(), "a CPU does not come to an end");
        for cpu in cpus.all() {
            // SAFETY: all are done.
            let [loaded, found] = unsafe { XMM[cpu].get().read_volatile() };
            for number in 0..32 {
                let (expected, held) = (loaded[number], found[number]);
                check!(
                    held == expected,
                    "XMM{} of CPU {cpu} held {held:#x}, expected {expected:#x}",
                    number / 2
                );
            }
        }
        Ok(())
    })
}

/// The latest time that any CPU has read.
static LATEST: AtomicU64 = AtomicU64::new(0);
/// By how much a clock went back at most, how often, and how many looks there were.
static BACK: AtomicU64 = AtomicU64::new(0);
static TIMES: AtomicU64 = AtomicU64::new(0);
static ALL: AtomicU64 = AtomicU64::new(0);

/// Reads a clock in turn with all others.
fn look(mut clock: impl FnMut() -> u64) {
    for _ in 0..LOOKS {
        let taken = alone(|| {
            let now = clock();
            let latest = LATEST.swap(now, Ordering::SeqCst);
            if now < latest {
                BACK.fetch_max(latest - now, Ordering::SeqCst);
                TIMES.fetch_add(1, Ordering::SeqCst);
            }
            ALL.fetch_add(1, Ordering::SeqCst);
        });
        if !taken {
            return;
        }
    }
}

fn in_turn(cpus: cpus::Cpus, unit: &str, job: cpus::Job) -> Outcome {
    for word in [&LATEST, &BACK, &TIMES, &ALL] {
        word.store(0, Ordering::SeqCst);
    }
    cpus.all_do(job);
    job(0);
    check!(cpus.are_done(), "a CPU does not come to an end");
    let [back, times, all] = [&BACK, &TIMES, &ALL].map(|word| word.load(Ordering::SeqCst));
    check!(all == LOOKS * cpus.count as u64, "the clock was looked at {all} times");
    check!(times == 0, "of {all} looks by all CPUs {times} found the clock back, by up to {back} {unit}");
    Ok(())
}

fn look_at_tsc(_: usize) {
    look(|| {
        // SAFETY: SSE2 is part of 64-bit mode. The counter is read after the lock is taken.
        unsafe { _mm_lfence() };
        tsc()
    });
}

fn tsc_never_back(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| in_turn(cpus, "ticks", look_at_tsc))
}

static PAGES: [Single<[u64; 512]>; MOST] = [const { Single::new([0; 512]) }; MOST];
/// What each CPU's register held when all had written theirs.
static HELD: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

fn start_clock(cpu: usize) {
    // SAFETY: the register is offered; the page is this CPU's.
    unsafe { Msr::new(clock::SYSTEM_TIME).write(PAGES[cpu].address() | 1) };
}

fn stop_clock(_: usize) {
    // SAFETY: as above; bit 0 clear switches it off.
    unsafe { Msr::new(clock::SYSTEM_TIME).write(0) };
}

fn look_at_clock(cpu: usize) {
    look(|| {
        // SAFETY: SSE2 is part of 64-bit mode.
        unsafe { _mm_lfence() };
        clock::now_by(&PAGES[cpu]).unwrap_or(0)
    });
}

/// Runs a trial with each CPU's clock page in its place, and takes them out.
fn with_clocks(trial: impl FnOnce(cpus::Cpus) -> Outcome) -> Outcome {
    cpus::with_all(|cpus| {
        if !clock::is_offered() {
            return Ok(());
        }
        for page in &PAGES {
            // SAFETY: no CPU has its clock there now.
            unsafe { page.get().write([0; 512]) };
        }
        start_clock(0);
        cpus.all_do(start_clock);
        check!(cpus.are_done(), "a CPU does not come to an end");
        let outcome = trial(cpus);
        stop_clock(0);
        cpus.all_do(stop_clock);
        check!(cpus.are_done(), "a CPU does not come to an end");
        outcome
    })
}

fn note_register(cpu: usize) {
    // SAFETY: the register is offered.
    HELD[cpu].store(unsafe { Msr::new(clock::SYSTEM_TIME).read() }, Ordering::SeqCst);
}

fn own_page(_: &Asked<'_>) -> Outcome {
    with_clocks(|cpus| {
        cpus.all_do(note_register);
        note_register(0);
        check!(cpus.are_done(), "a CPU does not come to an end");
        for cpu in cpus.all() {
            let (held, expected) = (HELD[cpu].load(Ordering::SeqCst), PAGES[cpu].address() | 1);
            check!(
                held == expected,
                "the clock's register of CPU {cpu} holds {held:#x}, expected {expected:#x}"
            );
            check!(clock::now_by(&PAGES[cpu]).is_some(), "the clock's page of CPU {cpu} is never complete");
        }
        Ok(())
    })
}

fn clock_never_back(_: &Asked<'_>) -> Outcome {
    with_clocks(|cpus| in_turn(cpus, "ns", look_at_clock))
}
