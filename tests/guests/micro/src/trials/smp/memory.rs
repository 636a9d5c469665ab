//! Memory that all CPUs share: locked instructions, the order of stores, translations that one CPU takes back.

use core::{
    arch::asm,
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use x86_64::{
    VirtAddr,
    instructions::{interrupts as flag, tlb},
};

use crate::{
    apic,
    asked::Asked,
    cpus::{self, Cpus, MOST, PATIENCE_MS},
    interrupts::{Controller, Frame, expect_from, handle_with},
    single::Single,
    time::wait,
    trial::{Outcome, Trial, check},
    window::{self, PRESENT, Size, WINDOW, WRITABLE},
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::new("smp-locked-additions-all-count", additions).of_several_cpus(),
    Trial::new("smp-spin-lock-lets-one-in-at-a-time", spin_lock).of_several_cpus(),
    Trial::new("smp-pairs-are-exchanged-whole", pairs).of_several_cpus(),
    Trial::new("smp-stores-are-seen-in-their-order", in_order).of_several_cpus(),
    Trial::new("smp-locked-stores-are-seen-before-later-loads", store_buffers).of_several_cpus(),
    Trial::new("smp-shoot-down-leaves-nobody-the-old-frame", shoot_down).of_several_cpus(),
];

/// Words a cache line apart.
#[repr(align(128))]
struct Apart(AtomicU64);

static SUM: Apart = Apart(AtomicU64::new(0));
static LOCKED: AtomicBool = AtomicBool::new(false);
/// What [`LOCKED`] protects: no instruction on it is locked.
static PROTECTED: Single<u64> = Single::new(0);
static WRONG: Apart = Apart(AtomicU64::new(0));
static DATA: Apart = Apart(AtomicU64::new(0));
static FLAG: Apart = Apart(AtomicU64::new(0));

const ADDITIONS: u64 = 20_000;
const ENTRIES: u64 = 2000;
const ROUNDS: u64 = 20_000;

/// Runs a job on all CPUs, this one among them.
fn on_all(cpus: Cpus, job: cpus::Job) -> Outcome {
    cpus.all_do(job);
    job(0);
    check!(cpus.are_done(), "a CPU does not come to an end");
    Ok(())
}

fn add(_: usize) {
    for _ in 0..ADDITIONS {
        // SAFETY: the word is atomic; this is LOCK XADD.
        unsafe { asm!("lock xadd [{}], {}", in(reg) SUM.0.as_ptr(), inout(reg) 1_u64 => _) };
    }
}

fn additions(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        SUM.0.store(0, Ordering::SeqCst);
        on_all(cpus, add)?;
        let (sum, expected) = (SUM.0.load(Ordering::SeqCst), ADDITIONS * cpus.count as u64);
        check!(sum == expected, "{expected} locked additions count {sum}");
        Ok(())
    })
}

/// Does something alone; `false` where the lock does not come free.
pub(super) fn alone(what: impl FnOnce()) -> bool {
    let take = || LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
    // The clock of the wait costs an exit.
    let soon = (0..1000).any(|_| {
        take() || {
            spin_loop();
            false
        }
    });
    let taken = soon || wait(PATIENCE_MS, take);
    if taken {
        what();
        LOCKED.store(false, Ordering::Release);
    }
    taken
}

fn enter(_: usize) {
    for _ in 0..ENTRIES {
        let taken = alone(|| {
            let word = PROTECTED.get();
            // SAFETY: whoever holds the lock has the word to itself.
            unsafe { word.write_volatile(word.read_volatile() + 1) };
        });
        if !taken {
            break;
        }
    }
}

fn spin_lock(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        // SAFETY: no other CPU has been told anything yet.
        unsafe { PROTECTED.get().write_volatile(0) };
        LOCKED.store(false, Ordering::SeqCst);
        on_all(cpus, enter)?;
        // SAFETY: all are done.
        let sum = unsafe { PROTECTED.get().read_volatile() };
        let expected = ENTRIES * cpus.count as u64;
        check!(sum == expected, "{expected} additions under the lock count {sum}");
        Ok(())
    })
}

/// 16 bytes at a time.
#[repr(C, align(16))]
struct Pair([u64; 2]);

static PAIR: Single<Pair> = Single::new(Pair([0; 2]));

/// Adds one to both halves at once; halves that differ have been torn.
fn exchange(_: usize) {
    let mut torn = 0;
    for _ in 0..ENTRIES {
        let (mut low, mut high) = (0_u64, 0_u64);
        loop {
            let swapped: u8;
            // SAFETY: every CPU in 64-bit mode has the instruction or this trial is not run; RBX is given back.
            unsafe {
                asm!("xchg rbx, {new}", "lock cmpxchg16b [{at}]", "sete {swapped}", "mov rbx, {new}",
                    new = inout(reg) low + 1 => _, at = in(reg) PAIR.get(), swapped = lateout(reg_byte) swapped,
                    inout("rax") low, inout("rdx") high, in("rcx") high + 1);
            }
            if swapped != 0 {
                break;
            }
            torn += u64::from(low != high);
            spin_loop();
        }
    }
    WRONG.0.fetch_add(torn, Ordering::SeqCst);
}

fn pairs(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        if crate::environment::cpuid(1, 0).ecx & 1 << 13 == 0 {
            crate::trial::found!("CMPXCHG16B is not offered");
            return Ok(());
        }
        // SAFETY: no other CPU has been told anything yet.
        unsafe { PAIR.get().write(Pair([0; 2])) };
        WRONG.0.store(0, Ordering::SeqCst);
        on_all(cpus, exchange)?;
        // SAFETY: all are done.
        let Pair([low, high]) = unsafe { PAIR.get().read() };
        let (expected, torn) = (ENTRIES * cpus.count as u64, WRONG.0.load(Ordering::SeqCst));
        check!(low == expected && high == expected, "{expected} exchanges count {low} and {high}");
        check!(torn == 0, "{torn} times the halves were not the same");
        Ok(())
    })
}

/// Writes data, then the flag, by plain stores.
fn write_in_order(_: usize) {
    for round in 1..=ROUNDS {
        // SAFETY: aligned words of this trial.
        unsafe {
            asm!("mov [{data}], {round}", "mov [{flag}], {round}",
                data = in(reg) DATA.0.as_ptr(), flag = in(reg) FLAG.0.as_ptr(), round = in(reg) round);
        }
    }
}

/// Reads the flag, then data: data is at least as new (SDM vol. 3, 9.2.3.2 and 9.2.3.3).
fn read_in_order(_: usize) {
    let (mut wrong, mut last) = (0, 0);
    wait(PATIENCE_MS, || {
        let (data, flag): (u64, u64);
        // SAFETY: as above.
        unsafe {
            asm!("mov {now}, [{flag}]", "mov {new}, [{data}]",
                data = in(reg) DATA.0.as_ptr(), flag = in(reg) FLAG.0.as_ptr(), now = out(reg) flag, new = out(reg) data);
        }
        wrong += u64::from(data < flag || flag < last);
        last = flag;
        flag == ROUNDS
    });
    WRONG.0.fetch_add(wrong, Ordering::SeqCst);
}

fn in_order(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        for word in [&DATA, &FLAG, &WRONG] {
            word.0.store(0, Ordering::SeqCst);
        }
        cpus.all_do(read_in_order);
        write_in_order(0);
        check!(cpus.are_done(), "a CPU does not come to an end");
        let wrong = WRONG.0.load(Ordering::SeqCst);
        check!(wrong == 0, "{wrong} times the flag was seen before its data, or went back");
        Ok(())
    })
}

/// What two CPUs saw of each other's word in each round: neither can have missed both.
static SAW: [Apart; 2] = [const { Apart(AtomicU64::new(0)) }; 2];
static ROUND: [Apart; 2] = [const { Apart(AtomicU64::new(0)) }; 2];

/// A locked store to the own word, then a load of the other's (SDM vol. 3, 9.2.3.9). Each round both begin at about the same time.
fn store_then_load(cpu: usize) {
    let (own, other) = if cpu == 0 { (&DATA, &FLAG) } else { (&FLAG, &DATA) };
    for round in 1..=ENTRIES {
        ROUND[cpu].0.store(round, Ordering::SeqCst);
        if !wait(PATIENCE_MS, || ROUND[1 - cpu].0.load(Ordering::SeqCst) >= round) {
            return;
        }
        let seen: u64;
        // SAFETY: aligned words of this trial.
        unsafe {
            asm!("xchg [{own}], {round}", "mov {seen}, [{other}]", own = in(reg) own.0.as_ptr(),
                other = in(reg) other.0.as_ptr(), round = inout(reg) round => _, seen = out(reg) seen);
        }
        SAW[cpu].0.store(round << 32 | seen, Ordering::SeqCst);
        // The first one judges once both have seen.
        if cpu == 0 {
            let both = wait(PATIENCE_MS, || SAW[1].0.load(Ordering::SeqCst) >> 32 == round);
            let missed = |cpu: usize| SAW[cpu].0.load(Ordering::SeqCst) & 0xffff_ffff < round;
            if !both || (missed(0) && missed(1)) {
                WRONG.0.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

fn store_buffers(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|_| {
        for word in [&DATA, &FLAG, &WRONG, &SAW[0], &SAW[1], &ROUND[0], &ROUND[1]] {
            word.0.store(0, Ordering::SeqCst);
        }
        cpus::tell(1, store_then_load);
        store_then_load(0);
        check!(cpus::is_done(1, PATIENCE_MS), "CPU 1 does not come to an end");
        let wrong = WRONG.0.load(Ordering::SeqCst);
        check!(wrong == 0, "{wrong} times neither CPU saw the other's locked store");
        Ok(())
    })
}

const SHOOT: u8 = 0x54;
const SHOTS: u64 = 100;
/// Frames that the page is led to in turn; each holds the round that it was last mapped in.
static FRAMES: [Single<[u64; 512]>; 2] = [const { Single::new([0; 512]) }; 2];
static ACKNOWLEDGED: AtomicU64 = AtomicU64::new(0);
/// The round whose shoot-down all have acknowledged.
static SETTLED: Apart = Apart(AtomicU64::new(0));
/// Reads of each CPU.
static READS: [Apart; MOST] = [const { Apart(AtomicU64::new(0)) }; MOST];

fn invalidate(frame: &mut Frame) {
    if frame.vector == u64::from(SHOOT) {
        tlb::flush(VirtAddr::new(WINDOW));
        ACKNOWLEDGED.fetch_add(1, Ordering::SeqCst);
    }
}

fn look(cpu: usize) {
    flag::enable();
    while !cpus::is_enough() {
        let settled = SETTLED.0.load(Ordering::SeqCst);
        // SAFETY: the page is mapped as long as anybody looks.
        let seen = unsafe { (WINDOW as *const u64).read_volatile() };
        if seen < settled {
            WRONG.0.fetch_add(1, Ordering::SeqCst);
        }
        READS[cpu].0.fetch_add(1, Ordering::Relaxed);
    }
}

fn shoot_down(_: &Asked<'_>) -> Outcome {
    window::map(Size::Page4K, FRAMES[0].address(), PRESENT | WRITABLE);
    let outcome = cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        handle_with(Some(invalidate));
        for word in [&WRONG, &SETTLED].into_iter().chain(&READS) {
            word.0.store(0, Ordering::SeqCst);
        }
        cpus.all_do(look);
        for round in 1..=SHOTS {
            // All have read by the old entry.
            let before: u64 = cpus.others().map(|cpu| READS[cpu].0.load(Ordering::SeqCst)).sum();
            let reads = || cpus.others().map(|cpu| READS[cpu].0.load(Ordering::SeqCst)).sum::<u64>();
            check!(wait(PATIENCE_MS, || reads() > before + 10), "nobody reads");
            let frame = &FRAMES[(round % 2) as usize];
            // SAFETY: nobody reads this frame: the round before was acknowledged by all.
            unsafe { frame.get().cast::<u64>().write_volatile(round) };
            ACKNOWLEDGED.store(0, Ordering::SeqCst);
            window::replace(frame.address() | PRESENT | WRITABLE);
            tlb::flush(VirtAddr::new(WINDOW));
            apic::send(0, apic::OTHERS | u32::from(SHOOT));
            let all = wait(PATIENCE_MS, || ACKNOWLEDGED.load(Ordering::SeqCst) == cpus.count as u64 - 1);
            check!(all, "round {round}: {} acknowledged", ACKNOWLEDGED.load(Ordering::SeqCst));
            SETTLED.0.store(round, Ordering::SeqCst);
        }
        check!(cpus.come_to_an_end(), "a CPU does not come to an end");
        let wrong = WRONG.0.load(Ordering::SeqCst);
        check!(wrong == 0, "{wrong} times the old frame was read after all had forgotten it");
        Ok(())
    });
    window::map(Size::Page4K, 0, 0);
    outcome
}
