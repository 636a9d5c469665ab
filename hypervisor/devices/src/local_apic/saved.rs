//! The local APIC's saved state.

use alloc::vec::Vec;

use godwit_guest::{MAX_VCPUS, VcpuIndex};
use serde::{Deserialize, Serialize};

use super::registers::Local;
use super::start::Starting;
use super::timer::{Mode, Timer};
use super::vectors::Vectors;
use super::{LocalApic, LocalApics, MASKED, SPURIOUS_WRITABLE, base};
use crate::saved::{DeviceId, Layout, RestoreError, ensure, parse};
use crate::time::GuestTime;

/// First layout, of guests with one CPU. The second has it as its registers.
#[derive(Serialize, Deserialize)]
pub(super) struct LocalApicV1 {
    base: u64,
    id: u32,
    task_priority: u8,
    logical_destination: u32,
    destination_format: u32,
    spurious: u32,
    in_service: Vectors,
    requested: Vectors,
    trigger_mode: Vectors,
    error_status: u32,
    new_errors: u32,
    command: u64,
    local: [u32; Local::COUNT],
    initial_count: u32,
    divide: u8,
    expiry: Option<GuestTime>,
    tsc_deadline: u64,
    nmi_pending: bool,
    external_pending: bool,
    pin0: bool,
}

/// Second layout: one for each CPU.
#[derive(Serialize, Deserialize)]
pub(crate) struct LocalApicV2 {
    cpu: u8,
    registers: LocalApicV1,
    waits_for_start_up: bool,
    init_pending: bool,
    start_up_pending: Option<u8>,
    took_last: bool,
}

impl Layout for LocalApicV2 {
    const DEVICE: DeviceId = DeviceId::LocalApic;
    const VERSION: u16 = 2;

    fn from_older(version: u16, bytes: &[u8]) -> Option<Result<Self, RestoreError>> {
        (version == 1).then(|| parse::<LocalApicV1>(Self::DEVICE, bytes).map(Self::from))
    }
}

impl From<LocalApicV1> for LocalApicV2 {
    /// The one CPU that there was.
    fn from(registers: LocalApicV1) -> Self {
        let Starting { waits, init, start_up } = Starting::RUNS;
        Self {
            cpu: 0,
            registers,
            waits_for_start_up: waits,
            init_pending: init,
            start_up_pending: start_up,
            took_last: false,
        }
    }
}

impl LocalApics {
    /// One state for each CPU, in their order.
    pub(crate) fn save(&self) -> impl Iterator<Item = LocalApicV2> {
        VcpuIndex::first(MAX_VCPUS).zip(&self.0).map(|(vcpu, apic)| LocalApicV2 {
            cpu: vcpu.index() as u8,
            registers: apic.save(),
            waits_for_start_up: apic.starting.waits,
            init_pending: apic.starting.init,
            start_up_pending: apic.starting.start_up,
            took_last: apic.took_last,
        })
    }

    /// `saved` is of each of `cpus` CPUs, in any order; `tsc_hz` is the rate of the guest's TSC here. Something may have come for
    /// any of them.
    pub(crate) fn restore(
        saved: impl Iterator<Item = Result<LocalApicV2, RestoreError>>,
        cpus: u8,
        tsc_hz: u64,
    ) -> Result<Self, RestoreError> {
        const DEVICE: DeviceId = DeviceId::LocalApic;
        let mut found: [Option<LocalApic>; MAX_VCPUS] = Default::default();
        let count = usize::from(cpus).clamp(1, MAX_VCPUS);
        for state in saved {
            let state = state?;
            let absent =
                RestoreError::Impossible { device: DEVICE, what: "it is of a CPU that the guest has not" };
            let vcpu =
                VcpuIndex::new(usize::from(state.cpu)).filter(|vcpu| vcpu.index() < count).ok_or(absent)?;
            let place = found.get_mut(vcpu.index()).ok_or(absent)?;
            if place.is_some() {
                return Err(RestoreError::Twice(DEVICE));
            }
            *place = Some(LocalApic::restore(vcpu, &state, tsc_hz)?);
        }
        let apics: Option<Vec<LocalApic>> = found.into_iter().take(count).collect();
        let apics = apics.ok_or(RestoreError::Missing(DEVICE))?;
        let pin0 = apics.first().map(|apic| apic.pin0);
        ensure(apics.iter().all(|apic| Some(apic.pin0) == pin0), DEVICE, "one line has two levels")?;
        let last = apics.iter().filter(|apic| apic.took_last).count();
        ensure(last <= 1, DEVICE, "more than one took the last message of lowest priority")?;
        Ok(Self(apics))
    }
}

impl LocalApic {
    fn save(&self) -> LocalApicV1 {
        LocalApicV1 {
            base: self.base,
            id: self.id,
            task_priority: self.task_priority,
            logical_destination: self.logical_destination,
            destination_format: self.destination_format,
            spurious: self.spurious,
            in_service: self.in_service,
            requested: self.requested,
            trigger_mode: self.trigger_mode,
            error_status: self.error_status,
            new_errors: self.new_errors,
            command: self.command,
            local: self.local,
            initial_count: self.timer.initial_count,
            divide: self.timer.divide,
            expiry: self.timer.expiry,
            tsc_deadline: self.timer.tsc_deadline,
            nmi_pending: self.nmi_pending,
            external_pending: self.external_pending,
            pin0: self.pin0,
        }
    }

    fn restore(vcpu: VcpuIndex, state: &LocalApicV2, tsc_hz: u64) -> Result<Self, RestoreError> {
        let saved = &state.registers;
        let apic = Self {
            base: saved.base,
            id: saved.id,
            tsc_hz,
            task_priority: saved.task_priority,
            logical_destination: saved.logical_destination,
            destination_format: saved.destination_format,
            spurious: saved.spurious,
            in_service: saved.in_service,
            requested: saved.requested,
            trigger_mode: saved.trigger_mode,
            error_status: saved.error_status,
            new_errors: saved.new_errors,
            command: saved.command,
            local: saved.local,
            timer: Timer {
                initial_count: saved.initial_count,
                divide: saved.divide,
                expiry: saved.expiry,
                tsc_deadline: saved.tsc_deadline,
            },
            nmi_pending: saved.nmi_pending,
            external_pending: saved.external_pending,
            pin0: saved.pin0,
            starting: Starting {
                waits: state.waits_for_start_up,
                init: state.init_pending,
                start_up: state.start_up_pending,
            },
            took_last: state.took_last,
            external: false,
            attention: true,
        };
        apic.check(vcpu)?;
        Ok(apic)
    }

    fn check(&self, vcpu: VcpuIndex) -> Result<(), RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::LocalApic, what);
        ensure(base::is_possible_for(vcpu, self.base), "the base register is not one that can be set")?;
        ensure(self.id == vcpu.apic_id(), "the id is not the CPU's number")?;
        ensure(self.starting.is_possible(), "no messages lead to what the CPU waits for")?;
        ensure(self.spurious & !SPURIOUS_WRITABLE == 0, "the spurious vector has reserved bits set")?;
        ensure(!self.in_service.has_illegal() && !self.requested.has_illegal(), "a vector is below 16")?;
        ensure(self.timer.divide & !0b1011 == 0, "the timer's divider has reserved bits set")?;
        for entry in Local::ALL {
            let value = self.entry(entry);
            ensure(value & !entry.writable() == 0, "a local vector has reserved bits set")?;
            ensure(
                self.is_software_enabled() || value & MASKED != 0,
                "a local vector is on while all is off",
            )?;
        }
        let by_tsc = self.timer_mode() == Mode::TscDeadline;
        ensure(by_tsc || self.timer.tsc_deadline == 0, "a TSC deadline is set in another mode")?;
        ensure(
            self.timer.expiry.is_none() || (!by_tsc && self.timer.initial_count != 0),
            "the timer runs without a count",
        )
    }
}
