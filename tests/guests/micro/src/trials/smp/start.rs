//! INIT and start-up messages (SDM vol. 3, 9.4 and 11.4.7.3).

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::interrupts as flag;

use crate::{
    apic,
    asked::Asked,
    cpus::{self, Cpus, PAGE, PATIENCE_MS},
    environment::cpuid,
    interrupts::{Controller, expect_from, hits_on},
    time::wait,
    trial::{Outcome, Trial, check},
};

pub(crate) const TRIALS: &[Trial] = &[
    Trial::new("smp-starts-every-cpu-of-the-madt", every_cpu).of_several_cpus(),
    Trial::new("smp-one-cpu-alone-is-the-one-that-boots", boot_cpu).of_several_cpus(),
    Trial::new("smp-start-up-vector-is-where-a-cpu-begins", vector).of_several_cpus(),
    Trial::new("smp-start-up-without-init-is-ignored-by-a-running-cpu", no_init).of_several_cpus(),
    Trial::new("smp-init-stops-a-cpu-and-start-up-starts-it-again", init).of_several_cpus(),
    Trial::new("smp-init-forgets-what-was-requested", init_forgets).of_several_cpus(),
];

const VECTOR: u8 = 0x51;

/// Rounds of [`count`].
static ROUNDS: AtomicU64 = AtomicU64::new(0);
/// The APIC id by the leaf of x2APICs, and whether there is one.
static EXTENDED_ID: AtomicU64 = AtomicU64::new(u64::MAX);

fn count(_: usize) {
    while !cpus::is_enough() {
        ROUNDS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Leaf 0xb, which is all zeroes where it is not there.
fn extended_id(_: usize) {
    let there = cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx != 0;
    EXTENDED_ID.store(if there { cpuid(0xb, 0).edx.into() } else { u64::MAX }, Ordering::SeqCst);
}

/// Whether a CPU that does [`count`] goes on.
fn goes_on() -> bool {
    let before = ROUNDS.load(Ordering::Relaxed);
    wait(PATIENCE_MS, || ROUNDS.load(Ordering::Relaxed) > before + 10)
}

fn every_cpu(_: &Asked<'_>) -> Outcome {
    let strays = cpus::strays();
    cpus::with_all(|cpus| {
        for cpu in cpus.others() {
            let (id, said) = (u64::from(cpus::id(cpu)), cpus::said(cpu));
            check!(
                said.cpuid_id == id && said.apic_id == id,
                "APIC id {id} was addressed, and {} by CPUID, {} by its APIC, began",
                said.cpuid_id,
                said.apic_id
            );
            cpus::tell(cpu, extended_id);
            check!(cpus::is_done(cpu, PATIENCE_MS), "CPU {cpu} does not do what it is told");
            let extended = EXTENDED_ID.load(Ordering::SeqCst);
            check!(
                extended == u64::MAX || extended == id,
                "APIC id {id} is {extended} by CPUID's leaf of x2APICs"
            );
        }
        let strays = cpus::strays() - strays;
        check!(strays == 0, "{strays} CPUs began that no message was for");
        Ok(())
    })
}

/// Bit 8 of the APIC's base register.
fn boot_cpu(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        for cpu in cpus.others() {
            let base = cpus::said(cpu).apic_base;
            check!(base & 1 << 8 == 0, "CPU {cpu} is the one that booted, by its APIC base {base:#x}");
            check!(base & !0xfff == apic::LOCAL, "CPU {cpu} has its APIC at {base:#x}");
        }
        Ok(())
    })
}

fn vector(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|cpus| {
        cpus::forget(PAGE);
        for page in [0x37, PAGE, 0x8f, 0x01] {
            for cpu in cpus.others() {
                cpus::place(page);
                cpus::start(cpu, page)?;
                cpus::forget(page);
                let cs = cpus::said(cpu).cs;
                check!(cs == u64::from(page) << 8, "CPU {cpu} began in segment {cs:#x} of page {page:#x}");
            }
        }
        Ok(())
    })
}

fn no_init(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|_| {
        let before = cpus::begun(1);
        cpus::tell(1, count);
        check!(goes_on(), "CPU 1 does not count");
        cpus::expect(cpus::MOST - 1);
        for _ in 0..3 {
            apic::send(cpus::id(1), apic::START_UP | u32::from(PAGE));
        }
        wait(20, || false);
        let nobody_came = cpus::expect_nobody();
        check!(nobody_came && cpus::begun(1) == before, "a running CPU began anew without INIT");
        check!(goes_on(), "CPU 1 stands still after a start-up message that was not for it");
        Ok(())
    })
}

fn init(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|_| {
        for round in 0..5 {
            let before = cpus::begun(1);
            cpus::tell(1, count);
            check!(goes_on(), "round {round}: CPU 1 does not count");
            cpus::stop(1);
            let stands = || {
                let rounds = ROUNDS.load(Ordering::Relaxed);
                !wait(5, || ROUNDS.load(Ordering::Relaxed) != rounds)
            };
            check!(wait(PATIENCE_MS, stands), "round {round}: INIT did not stop the CPU");
            // Interrupts do not start it.
            apic::send(cpus::id(1), VECTOR.into());
            check!(
                wait(PATIENCE_MS, stands),
                "round {round}: a CPU that waits for a start-up message goes on"
            );
            check!(cpus::begun(1) == before, "round {round}: INIT alone started the CPU");
            cpus::start_up(1, PAGE)?;
            // The second one is not for a running CPU.
            apic::send(cpus::id(1), apic::START_UP | u32::from(PAGE));
            wait(5, || false);
            check!(cpus::begun(1) == before + 1, "round {round}: it began {} times", cpus::begun(1) - before);
        }
        Ok(())
    })
}

fn hears(_: usize) {
    flag::enable();
    wait(10, || false);
    flag::disable();
}

fn init_forgets(_: &Asked<'_>) -> Outcome {
    cpus::with_all(|_: Cpus| {
        expect_from(Controller::Apic);
        cpus::tell(1, count);
        check!(goes_on(), "CPU 1 does not count");
        apic::send(cpus::id(1), VECTOR.into());
        cpus::start(1, PAGE)?;
        cpus::tell(1, hears);
        check!(cpus::is_done(1, PATIENCE_MS), "CPU 1 does not do what it is told");
        check!(hits_on(1, VECTOR) == 0, "an interrupt from before INIT came behind it");
        Ok(())
    })
}
