//! The IO-APIC's saved state.

use serde::{Deserialize, Serialize};

use super::redirection::Redirection;
use super::{IoApic, PINS};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct IoApicV1 {
    id: u32,
    selected: u8,
    levels: u32,
    entries: [Redirection; PINS],
}

impl Layout for IoApicV1 {
    const DEVICE: DeviceId = DeviceId::IoApic;
    const VERSION: u16 = 1;
}

impl IoApic {
    pub(crate) fn save(&self) -> IoApicV1 {
        IoApicV1 { id: self.id, selected: self.selected, levels: self.levels, entries: self.entries }
    }

    pub(crate) fn restore(saved: &IoApicV1) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::IoApic, what);
        ensure(saved.id & !0x0f00_0000 == 0, "the id has reserved bits set")?;
        ensure(saved.levels >> PINS == 0, "a pin beyond the last is active")?;
        ensure(saved.entries.iter().all(|entry| entry.is_possible()), "an entry has impossible bits set")?;
        Ok(Self { id: saved.id, selected: saved.selected, levels: saved.levels, entries: saved.entries })
    }
}
