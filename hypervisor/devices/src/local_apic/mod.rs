//! The local APIC (SDM vol. 3, chapter 11; APM vol. 2, chapter 16), in xAPIC and x2APIC mode.
//!
//! Each CPU has one, and [`LocalApics`] is the bus between them and the IO-APIC. The APIC id is the CPU's number in both modes.
//! System management mode does not exist here. The base cannot be moved. Suppressing the broadcast of an end of interrupt is not
//! offered (version bit 24 is clear).
//!
//! **How it migrates**: one state for each CPU. All registers are saved, the count as the guest time at which it runs out and the
//! TSC deadline as the guest's TSC: both go on as the guest's clocks do. Whether the CPU waits for a start-up message, and which
//! messages of that kind it has not obeyed yet, are part of it. The current count, the processor priority and what is offered to
//! the CPU are recomputed.

mod access;
mod base;
mod bus;
mod command;
mod receive;
mod registers;
mod saved;
mod start;
#[cfg(test)]
mod tests;
mod timer;
mod vectors;

use godwit_guest::VcpuIndex;

use crate::time::{GuestTime, Now};
use registers::Local;
use start::Starting;
use timer::{Mode, Timer};
use vectors::Vectors;

pub(crate) use access::TSC_DEADLINE_MSR;
pub(crate) use base::BASE_MSR;
pub(crate) use bus::LocalApics;
pub use start::Start;

/// The registers of x2APIC mode.
pub(crate) const X2APIC_MSRS: core::ops::RangeInclusive<u32> = 0x800..=0x83f;

/// Where the registers are, guest-physical.
pub(crate) const BASE: u64 = 0xfee0_0000;
/// Version 0x14 with six entries in the local vector table (numbered from 0).
const VERSION: u32 = (Local::COUNT as u32 - 1) << 16 | 0x14;
/// Spurious vector register: vector, software enable, focus checking.
const SPURIOUS_WRITABLE: u32 = 0x3ff;
/// Spurious vector register: software enable.
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// An entry of the local vector table: masked.
const MASKED: u32 = 1 << 16;

/// What a write to a register has as effect outside this APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// A message to be delivered.
    Send(crate::message::Message),
    /// A level-triggered interrupt was ended: the IO-APIC is told.
    Ended(u8),
}

/// One CPU's local APIC.
#[derive(Debug)]
pub(crate) struct LocalApic {
    /// The APIC base MSR.
    base: u64,
    id: u32,
    tsc_hz: u64,
    task_priority: u8,
    /// As in xAPIC mode.
    logical_destination: u32,
    destination_format: u32,
    spurious: u32,
    in_service: Vectors,
    requested: Vectors,
    trigger_mode: Vectors,
    error_status: u32,
    /// Errors since the error status was written.
    new_errors: u32,
    command: u64,
    local: [u32; Local::COUNT],
    timer: Timer,
    nmi_pending: bool,
    /// An interrupt of the 8259A came as a message.
    external_pending: bool,
    /// The level at LINT0, to see it rise.
    pin0: bool,
    starting: Starting,
    /// It took the last message of lowest priority.
    took_last: bool,
    /// Whether the 8259A has something for the CPU, to see it begin.
    external: bool,
    /// Something came for the CPU since somebody asked.
    attention: bool,
}

impl LocalApic {
    /// A CPU's APIC as a PC's firmware leaves it. The first one's is on, in virtual wire mode (MultiProcessor
    /// Specification 1.4, 3.6.2.2): the 8259A's interrupts pass through LINT0, NMIs through LINT1. The others' are as after
    /// reset, and their CPUs wait for a start-up message.
    pub(crate) fn new(vcpu: VcpuIndex, tsc_hz: u64) -> Self {
        const EXTERNAL: u32 = 0b111 << 8;
        const NMI: u32 = 0b100 << 8;
        let mut apic = Self::reset(base::after_reset(vcpu), vcpu.apic_id(), tsc_hz);
        if vcpu != VcpuIndex::BOOT {
            apic.starting = Starting::WAITS;
            return apic;
        }
        apic.spurious |= SOFTWARE_ENABLE;
        apic.set_entry(Local::Pin0, EXTERNAL);
        apic.set_entry(Local::Pin1, NMI);
        apic
    }

    /// The state after reset (SDM vol. 3, 11.4.7.1).
    fn reset(base: u64, id: u32, tsc_hz: u64) -> Self {
        Self {
            base,
            id,
            tsc_hz,
            task_priority: 0,
            logical_destination: 0,
            destination_format: u32::MAX,
            spurious: 0xff,
            in_service: Vectors::default(),
            requested: Vectors::default(),
            trigger_mode: Vectors::default(),
            error_status: 0,
            new_errors: 0,
            command: 0,
            local: [MASKED; Local::COUNT],
            timer: Timer::default(),
            nmi_pending: false,
            external_pending: false,
            pin0: false,
            starting: Starting::RUNS,
            took_last: false,
            external: false,
            attention: false,
        }
    }

    /// Fires the timer where it is due.
    pub(crate) fn advance(&mut self, now: Now) {
        if self.timer.expires(now, self.timer_mode()) {
            self.fire(Local::Timer);
        }
    }

    /// When the timer is due: `None` too while nobody would see it.
    pub(crate) fn deadline(&self, now: Now) -> Option<GuestTime> {
        if self.entry(Local::Timer) & MASKED != 0 || !self.is_enabled() {
            return None;
        }
        self.timer.deadline(now, self.timer_mode(), self.tsc_hz)
    }

    /// The vector that the CPU would be offered: requested, and above the processor priority.
    pub(crate) fn offered(&self) -> Option<u8> {
        let vector = self.requested.highest()?;
        (self.is_enabled() && vector >> 4 > self.processor_priority() >> 4).then_some(vector)
    }

    /// The class of the highest vector requested, where nothing but the task priority holds it back.
    pub(crate) fn held_back_class(&self) -> Option<u8> {
        let class = self.requested.highest()? >> 4;
        let serviced = self.in_service.highest().unwrap_or(0) >> 4;
        (self.is_enabled() && class > serviced && class <= self.task_priority >> 4).then_some(class)
    }

    /// The CPU takes what is offered into service.
    pub(crate) fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.offered()?;
        self.requested.remove(vector);
        self.in_service.insert(vector);
        Some(vector)
    }

    /// Whether the 8259A's output reaches the CPU.
    pub(crate) fn passes_external(&self) -> bool {
        const DELIVERY_AND_MASK: u32 = 0b111 << 8 | MASKED;
        !self.is_enabled()
            || self.external_pending
            || self.entry(Local::Pin0) & DELIVERY_AND_MASK == 0b111 << 8
    }

    /// The CPU acknowledged the 8259A.
    pub(crate) fn external_acknowledged(&mut self) {
        self.external_pending = false;
    }

    /// Takes whether something came for the CPU since the last call.
    fn call_attention(&mut self) {
        self.attention = true;
    }

    fn take_attention(&mut self) -> bool {
        core::mem::take(&mut self.attention)
    }

    /// Whether an NMI is pending.
    pub(crate) fn has_nmi(&self) -> bool {
        self.nmi_pending
    }

    /// Takes a pending NMI.
    pub(crate) fn take_nmi(&mut self) -> bool {
        core::mem::take(&mut self.nmi_pending)
    }

    /// The task priority as CR8 has it: the class only, 4 bits.
    pub(crate) fn task_priority_class(&self) -> u8 {
        self.task_priority >> 4
    }

    /// Sets the task priority from CR8. A class that it has already leaves the lower half alone, which CR8
    /// does not show.
    pub(crate) fn set_task_priority_class(&mut self, class: u8) {
        if class & 0xf != self.task_priority_class() {
            self.task_priority = class << 4;
        }
    }

    /// Sets the rate of the guest's TSC.
    pub(crate) fn set_tsc_hz(&mut self, hz: u64) {
        self.tsc_hz = hz;
    }

    fn processor_priority(&self) -> u8 {
        let serviced = self.in_service.highest().unwrap_or(0);
        if self.task_priority >> 4 >= serviced >> 4 { self.task_priority } else { serviced & 0xf0 }
    }

    fn is_software_enabled(&self) -> bool {
        self.spurious & SOFTWARE_ENABLE != 0
    }

    fn timer_mode(&self) -> Mode {
        Mode::of(self.entry(Local::Timer))
    }

    fn entry(&self, entry: Local) -> u32 {
        let [timer, thermal, performance, pin0, pin1, error] = self.local;
        match entry {
            Local::Timer => timer,
            Local::Thermal => thermal,
            Local::Performance => performance,
            Local::Pin0 => pin0,
            Local::Pin1 => pin1,
            Local::Error => error,
        }
    }

    /// Writes an entry; while the APIC is off by software, all stay masked (SDM vol. 3, 11.4.7.2).
    fn set_entry(&mut self, entry: Local, value: u32) {
        let forced = if self.is_software_enabled() { 0 } else { MASKED };
        if let Some(slot) = self.local.get_mut(entry as usize) {
            *slot = value & entry.writable() | forced;
        }
    }
}
