//! Writes to one frame after the other, in an order that the command line fixes, so that somebody else can tell which were written.

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::instructions::port::Port;

use crate::{
    asked::Asked,
    console::{COM1, println},
    environment::{self, cpuid},
    processors,
    time::{tsc, tsc_hz},
    trial::{Outcome, Trial, check, name},
};

pub(super) const TRIALS: &[Trial] = &[Trial::endless("writes", run)];

const PAGE_BYTES: u64 = 4096;
/// COM1's line status: a byte has come.
const LINE_STATUS: u16 = 5;

/// Frames that each of two CPUs has written.
static WRITTEN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static PLAN: spin::Once<Plan> = spin::Once::new();

struct Plan {
    first: u64,
    frames: u64,
    step: u64,
    cpus: u64,
    /// Counts of the time stamp counter from one frame to the next.
    pace: u64,
}

impl Plan {
    /// The address of the frame that a CPU writes as its `number`th.
    fn at(&self, cpu: u64, number: u64) -> u64 {
        let place = (number * self.cpus + cpu) * self.step % self.frames;
        (self.first + place) * PAGE_BYTES
    }

    /// Writes a CPU's frame `number`, and answers when the next one is due.
    fn write(&self, cpu: u64, number: u64) -> u64 {
        let at = self.at(cpu, number) as *mut u64;
        // SAFETY: `run` has checked that the frames are usable RAM outside this guest's image; nothing else is kept there.
        unsafe { at.write_volatile(number + 1) };
        WRITTEN[cpu as usize].store(number + 1, Ordering::Release);
        tsc() + self.pace
    }
}

/// `first=N frames=N`: the guest frames; `step=N` (default 1, no divisor in common with `frames`): how far the next one lies behind the
/// last, around; `cpus=N` (default 1, or 2): how many CPUs take turns in that order; `us=N` (default 1000): each CPU's time from one
/// frame to its next; `ms=N` (default 100): between lines `wrote N N`, frames of either CPU. Begins when something is typed.
fn run(asked: &Asked<'_>) -> Outcome {
    let hz = tsc_hz(50).max(1);
    let frames = asked.number("frames", 1).max(1);
    let plan = PLAN.call_once(|| Plan {
        first: asked.number("first", 0),
        frames,
        step: asked.number("step", 1),
        cpus: asked.number("cpus", 1).clamp(1, 2),
        pace: hz / 1_000_000 * asked.number("us", 1000),
    });
    let range = plan.first * PAGE_BYTES..(plan.first + frames) * PAGE_BYTES;
    let is_ram = environment::get().ram().iter().any(|ram| ram.start <= range.start && range.end <= ram.end);
    check!(
        is_ram && range.start >= 4 << 20,
        "frames {} and {frames} from there are not free RAM",
        plan.first
    );
    println!("micro {} begins", name());
    // SAFETY: reading COM1's line status and, where a byte has come, that byte.
    unsafe {
        while Port::<u8>::new(COM1 + LINE_STATUS).read() & 1 == 0 {
            spin_loop();
        }
        Port::<u8>::new(COM1).read();
    }
    if plan.cpus == 2 {
        let own = cpuid(1, 0).ebx >> 24;
        processors::start(1 - own, other);
    }
    let every = hz / 1000 * asked.number("ms", 100);
    let (mut number, mut due, mut say_at) = (0, tsc(), tsc());
    loop {
        while tsc() < due {
            spin_loop();
        }
        due = plan.write(0, number);
        number += 1;
        if tsc() >= say_at {
            let [own, other] = [0, 1].map(|cpu| WRITTEN[cpu].load(Ordering::Acquire));
            println!("wrote {own} {other}");
            say_at = tsc() + every;
        }
    }
}

/// What the other CPU does.
extern "C" fn other() -> ! {
    let plan = PLAN.wait();
    let (mut number, mut due) = (0, tsc());
    loop {
        while tsc() < due {
            spin_loop();
        }
        due = plan.write(1, number);
        number += 1;
    }
}
