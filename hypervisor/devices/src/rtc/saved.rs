//! The clock's saved state.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::registers::{Control, Flags, RateControl};
use super::{Anchor, MEMORY_BYTES, Rtc, calendar};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct RtcV1 {
    selected: u8,
    memory: Vec<u8>,
    rate: u8,
    control: u8,
    flags: u8,
    anchor_unix_s: i64,
    anchor_at_ns: i128,
    seen_unix_s: i64,
    seen_tick: u64,
}

impl Layout for RtcV1 {
    const DEVICE: DeviceId = DeviceId::Rtc;
    const VERSION: u16 = 1;
}

impl Rtc {
    pub(crate) fn save(&self) -> RtcV1 {
        RtcV1 {
            selected: self.selected,
            memory: self.memory.to_vec(),
            rate: self.rate.0,
            control: self.control.bits(),
            flags: self.flags.bits(),
            anchor_unix_s: self.anchor.unix_s,
            anchor_at_ns: self.anchor.at_ns,
            seen_unix_s: self.seen_unix_s,
            seen_tick: self.seen_tick,
        }
    }

    pub(crate) fn restore(saved: &RtcV1) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::Rtc, what);
        let memory: [u8; MEMORY_BYTES] = saved.memory.as_slice().try_into().map_err(|_| {
            RestoreError::Impossible { device: DeviceId::Rtc, what: "the memory has another size" }
        })?;
        let flags = Flags::from_bits(saved.flags).filter(|flags| !flags.contains(Flags::INTERRUPT));
        let Some(flags) = flags else {
            return Err(RestoreError::Impossible { device: DeviceId::Rtc, what: "a flag is unknown" });
        };
        ensure(saved.selected & 0x80 == 0, "the index is beyond the memory")?;
        ensure(saved.rate & RateControl::UPDATING == 0, "the update bit is saved")?;
        ensure(calendar::SHOWN.contains(&saved.anchor_unix_s), "the date is beyond four digits of a year")?;
        let before_start = -i128::from(crate::time::NANOSECONDS_PER_SECOND);
        ensure(
            (before_start..=i128::from(u64::MAX)).contains(&saved.anchor_at_ns),
            "the date was set outside of the guest's time",
        )?;
        // A guest's time has 64 bits of nanoseconds.
        let latest = calendar::SHOWN.end() + i64::from(u32::MAX) * 5;
        ensure(
            (0..=latest).contains(&saved.seen_unix_s),
            "the last update lies outside of the guest's time",
        )?;
        Ok(Self {
            selected: saved.selected,
            memory,
            rate: RateControl(saved.rate),
            control: Control::from_bits_retain(saved.control),
            flags,
            anchor: Anchor { unix_s: saved.anchor_unix_s, at_ns: saved.anchor_at_ns },
            seen_unix_s: saved.seen_unix_s,
            seen_tick: saved.seen_tick,
        })
    }
}
