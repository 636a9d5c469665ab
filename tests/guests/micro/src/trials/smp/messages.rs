//! Messages from CPU to CPU: whom they reach, what holds them back, in which order they come (SDM vol. 3, 11.6).

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use x86_64::{
    instructions::interrupts::{self as flag, enable_and_hlt},
    registers::model_specific::Msr,
};

use crate::{
    apic,
    asked::Asked,
    cpus::{self, Cpus, MOST, PATIENCE_MS},
    environment::{self, cpuid},
    interrupts::{Controller, Frame, expect_from, handle_with, hits_on},
    time::wait,
    trial::{Outcome, Trial, check, check_strictly, found},
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::new("smp-message-reaches-the-cpu-it-names", physical).of_several_cpus(),
    Trial::new("smp-message-reaches-the-set-it-names", logical).of_several_cpus(),
    Trial::new("smp-shorthands-reach-self-all-and-others", shorthands).of_several_cpus(),
    Trial::new("smp-lowest-priority-reaches-exactly-one", lowest).of_several_cpus(),
    Trial::new("smp-nmi-comes-with-interrupts-off", nmi).of_several_cpus(),
    Trial::new("smp-message-wakes-a-halted-cpu", wakes).of_several_cpus(),
    Trial::new("smp-nmi-wakes-a-cpu-that-halts-with-interrupts-off", nmi_wakes).of_several_cpus(),
    Trial::new("smp-message-waits-until-interrupts-are-on", waits_for_sti).of_several_cpus(),
    Trial::new("smp-messages-of-one-vector-that-wait-are-one", coalesce).of_several_cpus(),
    Trial::new("smp-task-priority-holds-messages-back", task_priority).of_several_cpus(),
    Trial::new("smp-higher-messages-come-first", order).of_several_cpus(),
    Trial::new("smp-no-message-is-lost-or-doubled", ring).of_several_cpus(),
    Trial::new("smp-x2apic-messages-reach-whom-they-name", x2apic).of_several_cpus(),
];

const VECTOR: u8 = 0x52;
const LOW: u8 = 0x45;
const MIDDLE: u8 = 0x65;
const HIGH: u8 = 0x95;

/// How many CPUs are where a trial wants them.
static READY: AtomicUsize = AtomicUsize::new(0);
/// Lets CPUs go on that wait.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Runs a trial while all others do `job`, which counts itself as ready.
fn while_all(job: cpus::Job, trial: impl FnOnce(Cpus) -> Outcome) -> Outcome {
    cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        READY.store(0, Ordering::SeqCst);
        OPEN.store(false, Ordering::SeqCst);
        apic::join(0);
        cpus.all_do(job);
        let ready = wait(PATIENCE_MS, || READY.load(Ordering::SeqCst) == cpus.count - 1);
        check!(ready, "{} of {} CPUs are ready", READY.load(Ordering::SeqCst), cpus.count - 1);
        flag::enable();
        let outcome = trial(cpus);
        flag::disable();
        OPEN.store(true, Ordering::SeqCst);
        check!(cpus.come_to_an_end(), "a CPU does not come to an end");
        outcome
    })
}

fn is_ready() {
    READY.fetch_add(1, Ordering::SeqCst);
}

/// Hears messages to its id and to its bit of a set.
fn listen(cpu: usize) {
    apic::join(cpu);
    flag::enable();
    is_ready();
    while !cpus::is_enough() {}
}

/// As [`listen`], halted in between: STI's shadow lets nothing in before HLT.
fn listen_halted(_: usize) {
    is_ready();
    // The last message finds it is enough.
    while !cpus::is_enough() {
        enable_and_hlt();
        flag::disable();
    }
}

/// Waits with interrupts off until it is let go, and a moment with interrupts on.
fn held_back(_: usize) {
    is_ready();
    while !OPEN.load(Ordering::SeqCst) {
        spin_loop();
    }
    flag::enable();
    while !cpus::is_enough() {}
}

fn physical(_: &Asked<'_>) -> Outcome {
    while_all(listen, |cpus| {
        let mut expected = [0; MOST];
        for round in 0..10 {
            for cpu in cpus.all() {
                apic::send(cpus::id(cpu), VECTOR.into());
                expected[cpu] += 1;
                let came = cpus.wait_for(VECTOR, &expected);
                check!(
                    came,
                    "round {round}: sent to CPU {cpu}, came {:?}, expected {expected:?}",
                    cpus.hits(VECTOR)
                );
            }
        }
        Ok(())
    })
}

fn logical(_: &Asked<'_>) -> Outcome {
    while_all(listen, |cpus| {
        let mut expected = [0; MOST];
        let count = cpus.count.min(8);
        for set in 1..1_u32 << count.min(5) {
            apic::send(set, apic::LOGICAL | u32::from(VECTOR));
            for (cpu, hits) in expected.iter_mut().enumerate().take(count) {
                *hits += u64::from(set >> cpu & 1);
            }
            let came = cpus.wait_for(VECTOR, &expected);
            check!(came, "sent to set {set:#b}, came {:?}, expected {expected:?}", cpus.hits(VECTOR));
        }
        Ok(())
    })
}

fn shorthands(_: &Asked<'_>) -> Outcome {
    while_all(listen, |cpus| {
        let mut expected = [0; MOST];
        for (what, to_self, to_others) in
            [(apic::OTHERS, 0, 1), (apic::EVERYBODY, 1, 1), (apic::SELF, 1, 0), (apic::OTHERS, 0, 1)]
        {
            // The destination counts for nothing.
            apic::send(cpus::id(1), what | u32::from(VECTOR));
            for cpu in cpus.all() {
                expected[cpu] += if cpu == 0 { to_self } else { to_others };
            }
            let came = cpus.wait_for(VECTOR, &expected);
            check!(came, "by shorthand {}, came {:?}, expected {expected:?}", what >> 18, cpus.hits(VECTOR));
        }
        // As a physical destination all ones are everybody.
        apic::send(0xff, VECTOR.into());
        cpus.all().for_each(|cpu| expected[cpu] += 1);
        check!(cpus.wait_for(VECTOR, &expected), "to 0xff, came {:?}", cpus.hits(VECTOR));
        Ok(())
    })
}

fn lowest(_: &Asked<'_>) -> Outcome {
    while_all(listen, |cpus| {
        let sum = || cpus.hits(VECTOR).iter().sum::<u64>();
        let everybody = (1 << cpus.count.min(8)) - 1;
        for round in 1..=40 {
            apic::send(everybody, apic::LOGICAL | apic::LOWEST_PRIORITY | u32::from(VECTOR));
            let came = wait(PATIENCE_MS, || sum() >= round);
            wait(1, || false);
            check!(came && sum() == round, "of {round} messages to one came {:?}", cpus.hits(VECTOR));
        }
        // Who is busy with something more important is not chosen.
        flag::disable();
        apic::write(apic::TASK_PRIORITY, 0xf0);
        let before = cpus.hits(VECTOR);
        let patience_ms = if environment::get().is_strict() { PATIENCE_MS } else { 100 };
        for round in 41..=50 {
            apic::send(everybody, apic::LOGICAL | apic::LOWEST_PRIORITY | u32::from(VECTOR));
            if !wait(patience_ms, || sum() >= round) {
                break;
            }
        }
        let chosen = cpus.hits(VECTOR);
        apic::write(apic::TASK_PRIORITY, 0);
        flag::enable();
        wait(2, || false);
        check_strictly!(
            chosen[0] == before[0] && chosen.iter().sum::<u64>() == 50,
            "with CPU 0 busy 50 messages of lowest priority came {chosen:?}, the first 40 {before:?}"
        );
        Ok(())
    })
}

fn nmi(_: &Asked<'_>) -> Outcome {
    while_all(held_back, |cpus| {
        let mut expected = [0; MOST];
        for cpu in cpus.others() {
            for _ in 0..3 {
                apic::send(cpus::id(cpu), apic::NMI);
                expected[cpu] += 1;
                check!(cpus.wait_for(2, &expected), "NMIs to CPU {cpu} came {:?}", cpus.hits(2));
            }
        }
        Ok(())
    })
}

fn wakes(_: &Asked<'_>) -> Outcome {
    while_all(listen_halted, |cpus| {
        let mut expected = [0; MOST];
        let mut outcome = Ok(());
        'all: for round in 0..20 {
            for cpu in cpus.others() {
                // Now and then it is halted for a while, now and then just about to.
                wait(u64::from(round % 4 == 0), || false);
                apic::send(cpus::id(cpu), VECTOR.into());
                expected[cpu] += 1;
                if !wait(PATIENCE_MS, || hits_on(cpu, VECTOR) == expected[cpu]) {
                    outcome = Err((round, cpu));
                    break 'all;
                }
            }
        }
        release_halted(cpus);
        if let Err((round, cpu)) = outcome {
            check!(false, "round {round}: a message did not wake CPU {cpu}");
        }
        Ok(())
    })
}

/// Wakes those that halt until they see that it is enough.
fn release_halted(cpus: Cpus) {
    OPEN.store(true, Ordering::SeqCst);
    cpus::enough();
    for cpu in cpus.others() {
        // One that comes right before HLT is lost on it.
        for _ in 0..100 {
            apic::send(cpus::id(cpu), apic::NMI);
            apic::send(cpus::id(cpu), u32::from(HIGH));
            if cpus::is_done(cpu, 10) {
                break;
            }
        }
    }
}

fn halt_deaf(_: usize) {
    is_ready();
    while !cpus::is_enough() {
        x86_64::instructions::hlt();
    }
}

fn nmi_wakes(_: &Asked<'_>) -> Outcome {
    while_all(halt_deaf, |cpus| {
        let mut outcome = Ok(());
        for cpu in cpus.others() {
            wait(5, || false);
            // No interrupt wakes it.
            apic::send(cpus::id(cpu), VECTOR.into());
            apic::send(cpus::id(cpu), apic::NMI);
            if !wait(PATIENCE_MS, || hits_on(cpu, 2) == 1) || hits_on(cpu, VECTOR) != 0 {
                outcome = Err(cpu);
            }
        }
        let hits = (cpus.hits(2), cpus.hits(VECTOR));
        release_halted(cpus);
        if let Err(cpu) = outcome {
            check!(false, "CPU {cpu} was halted with interrupts off: NMIs, interrupts came {hits:?}");
        }
        Ok(())
    })
}

fn waits_for_sti(_: &Asked<'_>) -> Outcome {
    while_all(held_back, |cpus| {
        apic::send(0, apic::OTHERS | u32::from(VECTOR));
        wait(20, || false);
        let early = cpus.hits(VECTOR);
        check!(early == [0; MOST], "a message came with interrupts off: {early:?}");
        OPEN.store(true, Ordering::SeqCst);
        let mut expected = [0; MOST];
        cpus.others().for_each(|cpu| expected[cpu] = 1);
        check!(cpus.wait_for(VECTOR, &expected), "behind STI came {:?}", cpus.hits(VECTOR));
        Ok(())
    })
}

fn coalesce(_: &Asked<'_>) -> Outcome {
    while_all(held_back, |cpus| {
        for _ in 0..5 {
            apic::send(0, apic::OTHERS | u32::from(VECTOR));
            apic::send(0, apic::OTHERS | u32::from(LOW));
        }
        OPEN.store(true, Ordering::SeqCst);
        let mut expected = [0; MOST];
        cpus.others().for_each(|cpu| expected[cpu] = 1);
        for vector in [VECTOR, LOW] {
            let came = cpus.wait_for(vector, &expected);
            check!(came, "five times {vector:#x} with interrupts off came {:?}", cpus.hits(vector));
        }
        Ok(())
    })
}

fn listen_busy(_: usize) {
    apic::write(apic::TASK_PRIORITY, 0x80);
    flag::enable();
    is_ready();
    while !OPEN.load(Ordering::SeqCst) {
        spin_loop();
    }
    apic::write(apic::TASK_PRIORITY, 0);
    while !cpus::is_enough() {}
}

fn task_priority(_: &Asked<'_>) -> Outcome {
    while_all(listen_busy, |cpus| {
        let mut expected = [0; MOST];
        cpus.others().for_each(|cpu| expected[cpu] = 1);
        apic::send(0, apic::OTHERS | u32::from(LOW));
        apic::send(0, apic::OTHERS | u32::from(HIGH));
        check!(cpus.wait_for(HIGH, &expected), "above the task priority came {:?}", cpus.hits(HIGH));
        let early = cpus.hits(LOW);
        check!(early == [0; MOST], "below the task priority came {early:?}");
        OPEN.store(true, Ordering::SeqCst);
        check!(cpus.wait_for(LOW, &expected), "behind the task priority came {:?}", cpus.hits(LOW));
        Ok(())
    })
}

/// The vectors that came to each CPU, the first in the lowest byte.
static CAME: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

fn note_vector(frame: &mut Frame) {
    let came = &CAME[cpus::whose(core::ptr::from_ref(frame).addr() as u64)];
    came.store(came.load(Ordering::SeqCst) << 8 | frame.vector, Ordering::SeqCst);
}

fn order(_: &Asked<'_>) -> Outcome {
    CAME.iter().for_each(|came| came.store(0, Ordering::SeqCst));
    while_all(held_back, |cpus| {
        handle_with(Some(note_vector));
        for vector in [LOW, HIGH, MIDDLE] {
            apic::send(0, apic::OTHERS | u32::from(vector));
        }
        OPEN.store(true, Ordering::SeqCst);
        let mut expected = [0; MOST];
        cpus.others().for_each(|cpu| expected[cpu] = 1);
        check!(cpus.wait_for(LOW, &expected), "of the lowest came {:?}", cpus.hits(LOW));
        for cpu in cpus.others() {
            // It is counted before it is noted.
            wait(PATIENCE_MS, || CAME[cpu].load(Ordering::SeqCst) >> 16 != 0);
            let came = CAME[cpu].load(Ordering::SeqCst);
            check!(came == 0x95_6545, "to CPU {cpu} came {came:#x} in this order");
        }
        Ok(())
    })
}

/// How many CPUs pass messages on, and the first round that one of them missed.
static RING: AtomicUsize = AtomicUsize::new(0);
static MISSED: AtomicU64 = AtomicU64::new(0);
const RING_ROUNDS: u64 = 200;

/// Sends to the next CPU, each message when the one before has come.
fn pass_on(cpu: usize) {
    flag::enable();
    is_ready();
    let next = (cpu + 1) % RING.load(Ordering::SeqCst);
    for round in 1..=RING_ROUNDS {
        apic::send(cpus::id(next), VECTOR.into());
        if !wait(PATIENCE_MS, || hits_on(next, VECTOR) >= round) {
            MISSED.store(round, Ordering::SeqCst);
            break;
        }
    }
    // It hears the others until the last one is done.
    while !cpus::is_enough() {}
}

fn ring(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        expect_from(Controller::Apic);
        RING.store(cpus.count, Ordering::SeqCst);
        MISSED.store(0, Ordering::SeqCst);
        cpus.all_do(pass_on);
        flag::enable();
        for round in 1..=RING_ROUNDS {
            apic::send(cpus::id(1), VECTOR.into());
            check!(wait(PATIENCE_MS, || hits_on(1, VECTOR) >= round), "CPU 1 missed message {round}");
        }
        let mut expected = [0; MOST];
        cpus.all().for_each(|cpu| expected[cpu] = RING_ROUNDS);
        let came = cpus.wait_for(VECTOR, &expected);
        flag::disable();
        let missed = MISSED.load(Ordering::SeqCst);
        check!(came && missed == 0, "of {RING_ROUNDS} came {:?}, missed {missed}", cpus.hits(VECTOR));
        check!(cpus.come_to_an_end(), "a CPU does not come to an end");
        Ok(())
    })
}

const BASE: u32 = 0x1b;
const COMMAND: u32 = 0x830;

fn enter_x2apic() {
    // SAFETY: the mode is offered; the spurious vector's register keeps the APIC enabled.
    unsafe {
        let base = Msr::new(BASE).read();
        Msr::new(BASE).write(base | 1 << 10);
        Msr::new(0x80f).write(0x1ff);
    }
}

fn leave_x2apic() {
    // SAFETY: by off, which is the only way back.
    unsafe {
        let base = Msr::new(BASE).read();
        Msr::new(BASE).write(base & !(3 << 10));
        Msr::new(BASE).write(base & !(3 << 10) | 1 << 11);
    }
    apic::start(false);
}

fn listen_x2apic(_: usize) {
    enter_x2apic();
    flag::enable();
    is_ready();
    while !cpus::is_enough() {}
    flag::disable();
    leave_x2apic();
}

fn x2apic(_: &Asked<'_>) -> Outcome {
    if cpuid(1, 0).ecx & (1 << 21) == 0 {
        if Cpus::found().is_some() {
            found!("x2APIC mode is not offered");
        }
        return Ok(());
    }
    while_all(listen_x2apic, |cpus| {
        flag::disable();
        enter_x2apic();
        expect_from(Controller::X2Apic);
        flag::enable();
        let mut expected = [0; MOST];
        let mut outcome = Ok(());
        let mut send = |to: u32, what: u32, reached: fn(usize, usize) -> bool, named: usize| {
            // SAFETY: the command register of the mode that was entered.
            unsafe { Msr::new(COMMAND).write(u64::from(to) << 32 | u64::from(what | u32::from(VECTOR))) };
            cpus.all().filter(|cpu| reached(*cpu, named)).for_each(|cpu| expected[cpu] += 1);
            if outcome.is_ok() && !cpus.wait_for(VECTOR, &expected) {
                outcome = Err((to, what, cpus.hits(VECTOR), expected));
            }
        };
        for cpu in cpus.all() {
            let id = cpus::id(cpu);
            send(id, 0, |cpu, named| cpu == named, cpu);
            // A set of one: the cluster, and a bit in it (SDM vol. 3, 11.12.10.2).
            send((id >> 4) << 16 | 1 << (id & 15), apic::LOGICAL, |cpu, named| cpu == named, cpu);
        }
        send(0, apic::OTHERS, |cpu, _| cpu != 0, 0);
        send(0, apic::EVERYBODY, |_, _| true, 0);
        send(u32::MAX, 0, |_, _| true, 0);
        flag::disable();
        leave_x2apic();
        if let Err((to, what, came, expected)) = outcome {
            check!(false, "to {to:#x} by {what:#x} came {came:?}, expected {expected:?}");
        }
        Ok(())
    })
}
