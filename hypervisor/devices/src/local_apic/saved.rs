//! The local APIC's saved state.

use serde::{Deserialize, Serialize};

use super::registers::Local;
use super::timer::{Mode, Timer};
use super::vectors::Vectors;
use super::{LocalApic, MASKED, SPURIOUS_WRITABLE, base};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};
use crate::time::GuestTime;

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct LocalApicV1 {
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

impl Layout for LocalApicV1 {
    const DEVICE: DeviceId = DeviceId::LocalApic;
    const VERSION: u16 = 1;
}

impl LocalApic {
    pub(crate) fn save(&self) -> LocalApicV1 {
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

    /// `tsc_hz` is the rate of the guest's TSC here.
    pub(crate) fn restore(saved: &LocalApicV1, tsc_hz: u64) -> Result<Self, RestoreError> {
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
        };
        apic.check()?;
        Ok(apic)
    }

    fn check(&self) -> Result<(), RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::LocalApic, what);
        ensure(base::is_possible(self.base), "the base register is not one that can be set")?;
        ensure(self.id == 0, "the first CPU's id is not 0")?;
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
