//! The saved state of power management.

use serde::{Deserialize, Serialize};

use super::{Control, Events, HALF_BITS, PowerManagement};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct PowerManagementV1 {
    status: u16,
    enable: u16,
    control: u16,
    seen_halves: u64,
}

impl Layout for PowerManagementV1 {
    const DEVICE: DeviceId = DeviceId::PowerManagement;
    const VERSION: u16 = 1;
}

impl PowerManagement {
    pub(crate) fn save(&self) -> PowerManagementV1 {
        PowerManagementV1 {
            status: self.status.bits(),
            enable: self.enable.bits(),
            control: self.control.bits(),
            seen_halves: self.seen_halves,
        }
    }

    /// `alarm_line` is the level of the real-time clock's alarm: an event that came of it is in the status already.
    pub(crate) fn restore(saved: &PowerManagementV1, alarm_line: bool) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::PowerManagement, what);
        let status = Events::from_bits(saved.status);
        let enable = Events::from_bits(saved.enable);
        let control = Control::from_bits(saved.control).filter(|control| {
            control.contains(Control::SCI_ENABLE) && !control.contains(Control::SLEEP_ENABLE)
        });
        let (Some(status), Some(enable), Some(control)) = (status, enable, control) else {
            return Err(RestoreError::Impossible {
                device: DeviceId::PowerManagement,
                what: "reserved bits are set",
            });
        };
        ensure(saved.seen_halves < 1 << (64 - HALF_BITS), "the timer is beyond the guest's time")?;
        Ok(Self { status, enable, control, seen_halves: saved.seen_halves, alarm_line })
    }
}
