//! The machine's other CPUs: who they are by the ACPI tables, how they start and stop, and what they are told to do.
//!
//! A CPU goes by its place: 0 is the one that booted, the others follow in the order of the MADT. A trial starts the others by
//! [`with_all`], and they are stopped behind it: no trial leaves a CPU running.

mod entry;

use core::{
    array::from_fn,
    hint::spin_loop,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering},
};

pub(crate) use entry::{forget, place};
use x86_64::{instructions::interrupts as flag, registers::model_specific::Msr};

use crate::{
    acpi, apic,
    environment::cpuid,
    interrupts, pic,
    time::wait,
    trial::{Outcome, check, found},
};

/// CPUs of a machine that are made use of, at most.
pub(crate) const MOST: usize = 16;
/// Bytes of a CPU's stack.
const STACK_BYTES: usize = 16 << 10;
/// How long anything may take that another CPU does: it may have to wait for its turn.
pub(crate) const PATIENCE_MS: u64 = 20_000;
/// The page that CPUs usually begin in.
pub(crate) const PAGE: u8 = 0x10;

/// The local APIC's base register.
const APIC_BASE: u32 = 0x1b;

/// The place that the next CPU to begin takes; all ones where none is expected.
static NEXT: AtomicU32 = AtomicU32::new(u32::MAX);
/// CPUs that began and were not expected.
static STRAYS: AtomicU32 = AtomicU32::new(0);

/// What a CPU is told to do, by its place.
pub(crate) type Job = fn(usize);

/// What is known of a CPU.
struct Known {
    /// By the MADT.
    id: AtomicU32,
    /// How often it began.
    begun: AtomicU32,
    /// What it said when it began: CS, then its ids by CPUID (leaf 1) and by its local APIC, then the APIC's base register.
    said: [AtomicU64; 4],
    job: AtomicPtr<()>,
}

static KNOWN: [Known; MOST] = [const {
    Known {
        id: AtomicU32::new(0),
        begun: AtomicU32::new(0),
        said: [const { AtomicU64::new(0) }; 4],
        job: AtomicPtr::new(core::ptr::null_mut()),
    }
}; MOST];

/// Asks jobs that go on until they are told to come to an end.
static ENOUGH: AtomicBool = AtomicBool::new(false);

/// What a CPU said when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// The segment that it began in.
    pub(crate) cs: u64,
    /// Its APIC id by CPUID.
    pub(crate) cpuid_id: u64,
    /// Its APIC id by its APIC.
    pub(crate) apic_id: u64,
    /// Its APIC's base register.
    pub(crate) apic_base: u64,
}

/// All CPUs of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Cpus {
    pub(crate) count: usize,
}

impl Cpus {
    /// Those that the MADT lists as enabled. `None` where there is but one, which is said.
    pub(crate) fn found() -> Option<Self> {
        pic::start(0);
        apic::start(false);
        let own = apic::read(apic::ID) >> 24;
        KNOWN[0].id.store(own, Ordering::Relaxed);
        let mut count = 1;
        acpi::local_apics(|id| {
            if id != own && count < MOST {
                KNOWN[count].id.store(id, Ordering::Relaxed);
                count += 1;
            }
        });
        if count == 1 {
            found!("one CPU");
            return None;
        }
        ENOUGH.store(false, Ordering::SeqCst);
        Some(Self { count })
    }

    pub(crate) fn all(self) -> Range<usize> {
        0..self.count
    }

    /// All but the one that booted.
    pub(crate) fn others(self) -> Range<usize> {
        1..self.count
    }

    /// Tells all others to do something.
    pub(crate) fn all_do(self, job: Job) {
        self.others().for_each(|cpu| tell(cpu, job));
    }

    /// Waits until all others have done what they were told.
    pub(crate) fn are_done(self) -> bool {
        self.others().all(|cpu| is_done(cpu, PATIENCE_MS))
    }

    /// Tells all that it is enough, and waits for them.
    pub(crate) fn come_to_an_end(self) -> bool {
        enough();
        let done = self.are_done();
        ENOUGH.store(false, Ordering::SeqCst);
        done
    }

    /// How often a vector came to each CPU.
    pub(crate) fn hits(self, vector: u8) -> [u64; MOST] {
        from_fn(|cpu| interrupts::hits_on(cpu, vector))
    }

    /// Waits until a vector came that often to each CPU, and a moment longer for what should not come.
    pub(crate) fn wait_for(self, vector: u8, expected: &[u64; MOST]) -> bool {
        let reached = || self.all().all(|cpu| interrupts::hits_on(cpu, vector) >= expected[cpu]);
        wait(PATIENCE_MS, reached);
        wait(2, || false);
        self.hits(vector) == *expected
    }
}

/// Runs a trial with all CPUs started; stops them behind it. Where there is but one, that is said, and the trial passes.
pub(crate) fn with_all(trial: impl FnOnce(Cpus) -> Outcome) -> Outcome {
    let Some(cpus) = Cpus::found() else { return Ok(()) };
    place(PAGE);
    let outcome = cpus.others().try_for_each(|cpu| start(cpu, PAGE)).and_then(|()| trial(cpus));
    flag::disable();
    interrupts::handle_with(None);
    apic::write(apic::TASK_PRIORITY, 0);
    cpus.others().for_each(stop);
    // None has obeyed before it was given a moment to: the next trial starts them again.
    wait(1, || false);
    outcome
}

/// A CPU's APIC id by the MADT.
pub(crate) fn id(cpu: usize) -> u32 {
    KNOWN[cpu].id.load(Ordering::Relaxed)
}

/// How often a CPU has begun.
pub(crate) fn begun(cpu: usize) -> u32 {
    KNOWN[cpu].begun.load(Ordering::SeqCst)
}

/// CPUs that began and were not expected.
pub(crate) fn strays() -> u32 {
    STRAYS.load(Ordering::SeqCst)
}

/// What a CPU said when it began the last time.
pub(crate) fn said(cpu: usize) -> Said {
    let [cs, cpuid_id, apic_id, apic_base] = from_fn(|at| KNOWN[cpu].said[at].load(Ordering::SeqCst));
    Said { cs, cpuid_id, apic_id, apic_base }
}

/// Sends INIT to a CPU (SDM vol. 3, 9.4.4).
pub(crate) fn stop(cpu: usize) {
    apic::send(id(cpu), apic::INIT);
}

/// Lets the next CPU that begins take this place.
pub(crate) fn expect(cpu: usize) {
    KNOWN[cpu].job.store(core::ptr::null_mut(), Ordering::SeqCst);
    NEXT.store(cpu as u32, Ordering::SeqCst);
}

/// Expects nobody any more; says whether somebody was still expected.
pub(crate) fn expect_nobody() -> bool {
    NEXT.swap(u32::MAX, Ordering::SeqCst) != u32::MAX
}

/// Starts a CPU in page `vector` by INIT and one start-up message, and waits until it is there.
pub(crate) fn start(cpu: usize, vector: u8) -> Outcome {
    stop(cpu);
    start_up(cpu, vector)
}

/// As [`start`], without INIT.
pub(crate) fn start_up(cpu: usize, vector: u8) -> Outcome {
    let before = begun(cpu);
    interrupts::prepare(cpu);
    expect(cpu);
    apic::send(id(cpu), apic::START_UP | u32::from(vector));
    let came = wait(PATIENCE_MS, || begun(cpu) != before);
    let missed = expect_nobody();
    check!(came && !missed, "CPU {cpu}, APIC id {}, did not begin at page {vector:#x}", id(cpu));
    Ok(())
}

/// Tells a CPU to do something.
pub(crate) fn tell(cpu: usize, job: Job) {
    KNOWN[cpu].job.store(job as *mut (), Ordering::SeqCst);
}

/// Waits until a CPU has done what it was told.
pub(crate) fn is_done(cpu: usize, milliseconds: u64) -> bool {
    wait(milliseconds, || KNOWN[cpu].job.load(Ordering::SeqCst).is_null())
}

/// Tells all jobs that it is enough.
pub(crate) fn enough() {
    ENOUGH.store(true, Ordering::SeqCst);
}

/// For jobs that go on until it is enough.
pub(crate) fn is_enough() -> bool {
    spin_loop();
    ENOUGH.load(Ordering::Relaxed)
}

/// Whose stack an address is on: a stack for interrupts or a CPU's usual one. CPU 0 has all that is not another's.
pub(crate) fn whose(address: u64) -> usize {
    interrupts::whose_stack(address)
}

/// Called by the entry on the CPU's own stack, with the place that it took and the segment that it began in.
extern "C" fn arrived(cpu: usize, cs: u64) -> ! {
    interrupts::load(cpu);
    // SAFETY: every local APIC has the register.
    let base = unsafe { Msr::new(APIC_BASE).read() };
    apic::start(false);
    let known = &KNOWN[cpu];
    let ids = [(cpuid(1, 0).ebx >> 24).into(), (apic::read(apic::ID) >> 24).into()];
    for (place, value) in known.said.iter().zip([cs, ids[0], ids[1], base]) {
        place.store(value, Ordering::SeqCst);
    }
    known.begun.fetch_add(1, Ordering::SeqCst);
    loop {
        let job = known.job.load(Ordering::SeqCst);
        if job.is_null() {
            spin_loop();
            continue;
        }
        // SAFETY: the pointer was made from a `Job` in `tell`.
        let job = unsafe { core::mem::transmute::<*mut (), Job>(job) };
        job(cpu);
        flag::disable();
        known.job.store(core::ptr::null_mut(), Ordering::SeqCst);
    }
}
