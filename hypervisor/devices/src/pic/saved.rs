//! The interrupt controllers' saved state.

use serde::{Deserialize, Serialize};

use super::chip::Chip;
use super::{LEVEL_CAPABLE, Pic};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// First layout. A change to [`Chip`] is a new layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct PicV1 {
    chips: [Chip; 2],
}

impl Layout for PicV1 {
    const DEVICE: DeviceId = DeviceId::Pic;
    const VERSION: u16 = 1;
}

impl Pic {
    pub(crate) fn save(&self) -> PicV1 {
        PicV1 { chips: [self.primary.clone(), self.secondary.clone()] }
    }

    pub(crate) fn restore(saved: PicV1) -> Result<Self, RestoreError> {
        for (chip, capable) in saved.chips.iter().zip(LEVEL_CAPABLE) {
            let ensure = |possible, what| ensure(possible, DeviceId::Pic, what);
            ensure(chip.highest < 8, "an input beyond 7 has the highest priority")?;
            ensure(chip.vector_base & 7 == 0, "the vector base is no multiple of 8")?;
            ensure(chip.level_triggered & !capable == 0, "an input that cannot be is level-triggered")?;
        }
        let [primary, secondary] = saved.chips;
        let mut pic = Self { primary, secondary };
        pic.update_cascade();
        Ok(pic)
    }
}
