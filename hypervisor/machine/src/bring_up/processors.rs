//! Every other processor, into its own loop.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use godwit_host::{
    description::{CpuInfo, CpuState},
    machine::CpuNumber,
};
use spin::Once;
use x86_64::PhysAddr;

use super::{GROUND, Ground};
use crate::{
    apic::local as local_apic,
    cpu::{
        control,
        descriptors::Tables,
        local::{self, Cpu},
        stacks::{self, Stacks},
        start::{Handover, Starter},
    },
    hardware::Hardware,
    memory::{
        paging::{ADDRESS_SPACE, MapError},
        table_frames::TableFrames,
    },
    time::{calibrate, tsc},
    virtual_cpu::vendor,
};

/// The machine, once it is known to all: started processors wait for it before they enter their loops.
static MACHINE: Once<&'static Hardware> = Once::new();

/// Starts the processors `apic_ids[1..]`, one after the other; the first is the boot processor. What went wrong is added
/// to `notes`.
pub(super) fn start(ground: &Ground, tsc_hz: u64, apic_ids: &[u32], notes: &mut Vec<String>) -> Vec<CpuInfo> {
    local::set_count(apic_ids.len());
    for (cpu, &id) in local::all().iter().zip(apic_ids) {
        cpu.set_apic_id(id);
    }
    local::this().set_timer_hz(calibrate::local_apic_timer(tsc_hz));
    tsc::note_frequency(tsc_hz);
    let others = local::all().get(1..).unwrap_or_default();
    match ground.start_page {
        Some(page) => {
            // SAFETY: the page was carved out of RAM below 1 MiB for this alone; the boot path's tables map the first 4 GiB
            // at their own addresses, lie in the image below 4 GiB, and stay there.
            let mut starter = unsafe { Starter::new(PhysAddr::new(page), ground.boot_tables) };
            for cpu in others {
                if let Err(why) = start_one(ground, &mut starter, cpu) {
                    notes.push(format!("{} (APIC id {}) does not run: {why}", cpu.number(), cpu.apic_id()));
                }
            }
        }
        None if others.is_empty() => {}
        None => {
            notes.push(String::from("no RAM below 1 MiB is usable, so no other processor can be started"));
        }
    }
    if tsc::is_held() {
        notes.push(String::from(
            "the processors' time stamp counters differ; the clock corrects for it and is held to the latest reading",
        ));
    }
    local::all().iter().map(describe).collect()
}

/// Lets the started processors enter their loops.
pub(super) fn release(machine: &'static Hardware) {
    MACHINE.call_once(|| machine);
}

fn start_one(ground: &Ground, starter: &mut Starter, cpu: &'static Cpu) -> Result<(), &'static str> {
    let stacks = map_stacks(ground, cpu.number()).map_err(|_| "no memory is left for its stacks")?;
    let tables = Box::leak(Box::new(Tables::new()));
    let handover = Box::leak(Box::new(Handover { tables, stacks, enter: started }));
    if starter.start(cpu, handover) { Ok(()) } else { Err("it did not answer the start-up message") }
}

fn map_stacks(ground: &Ground, cpu: CpuNumber) -> Result<Stacks, MapError> {
    let mut frames = TableFrames::new(ground.frames.cpu());
    let mut space = ADDRESS_SPACE.lock();
    let stacks =
        space.as_mut().ok_or(MapError::OutOfFrames).and_then(|space| stacks::map(space, cpu, &mut frames));
    frames.handle().drain();
    stacks
}

fn describe(cpu: &Cpu) -> CpuInfo {
    CpuInfo {
        apic_id: cpu.apic_id(),
        state: if cpu.is_alive() { CpuState::Running } else { CpuState::Silent },
        timer_hz: cpu.timer_hz(),
    }
}

/// Where a started processor goes on, on its own stack.
fn started(tables: &'static mut Tables, stacks: Stacks) -> ! {
    // SAFETY: the stacks were mapped for this processor alone; nothing interrupts it yet.
    unsafe { tables.load(stacks.interrupt) };
    let ground = GROUND.wait();
    // First the APIC: it is how this processor stops the others when anything below faults.
    local_apic::enable();
    control::protect(&ground.features);
    vendor::enable_this_cpu();
    let cpu = local::this();
    cpu.set_timer_hz(calibrate::local_apic_timer(tsc::frequency()));
    tsc::compare_with_others();
    cpu.set_alive();
    let machine = MACHINE.wait();
    (ground.next.cpu)(machine, ground.frames)
}
