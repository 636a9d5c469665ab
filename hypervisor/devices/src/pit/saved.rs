//! The timer's saved state.

use serde::{Deserialize, Serialize};

use super::Pit;
use super::counter::Counter;
use crate::saved::{DeviceId, Layout, RestoreError};
use crate::time::GuestTime;

/// First layout. A change to [`Counter`] is a new layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct PitV1 {
    counters: [Counter; 3],
    speaker: bool,
    reported_tick: u64,
    last_interrupt: GuestTime,
}

impl Layout for PitV1 {
    const DEVICE: DeviceId = DeviceId::Pit;
    const VERSION: u16 = 1;
}

impl Pit {
    pub(crate) fn save(&self) -> PitV1 {
        PitV1 {
            counters: self.counters.clone(),
            speaker: self.speaker,
            reported_tick: self.reported_tick,
            last_interrupt: self.last_interrupt,
        }
    }

    /// Every combination of fields is a state that counting survives: starts that lie in the future have not
    /// begun.
    pub(crate) fn restore(saved: PitV1) -> Result<Self, RestoreError> {
        let mut pit = Self {
            counters: saved.counters,
            speaker: saved.speaker,
            reported_tick: saved.reported_tick,
            next_rise: None,
            last_interrupt: saved.last_interrupt,
        };
        pit.schedule();
        Ok(pit)
    }
}
