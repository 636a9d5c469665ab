//! The clock's saved state.

use serde::{Deserialize, Serialize};

use super::page::{Flags, Scale, TimePage};
use super::{ALIGNMENT, ENABLED, ParavirtualClock};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};
use crate::time::{GuestTime, Now};

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct ParavirtualClockV1 {
    wall_clock_start_s: i64,
    system_time_msr: u64,
    wall_clock_msr: u64,
    version: u32,
    page: Option<TimePageV1>,
    promised: GuestTime,
}

/// What the guest read last.
#[derive(Serialize, Deserialize)]
struct TimePageV1 {
    tsc_timestamp: u64,
    system_time: GuestTime,
    multiplier: u32,
    shift: i8,
    flags: u8,
}

impl Layout for ParavirtualClockV1 {
    const DEVICE: DeviceId = DeviceId::ParavirtualClock;
    const VERSION: u16 = 1;
}

impl ParavirtualClock {
    /// `now` is when the guest last ran.
    pub(crate) fn save(&self, now: Now) -> ParavirtualClockV1 {
        ParavirtualClockV1 {
            wall_clock_start_s: self.wall_clock_start_s,
            system_time_msr: self.system_time_msr,
            wall_clock_msr: self.wall_clock_msr,
            version: self.version,
            page: self.page.map(|page| TimePageV1 {
                tsc_timestamp: page.tsc_timestamp,
                system_time: page.system_time,
                multiplier: page.scale.multiplier,
                shift: page.scale.shift,
                flags: page.flags.bits(),
            }),
            promised: self.promised_at(now.tsc),
        }
    }

    /// `tsc_hz` is the rate of the guest's TSC here; the old page keeps its own until it is rewritten.
    pub(crate) fn restore(saved: &ParavirtualClockV1, tsc_hz: u64) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::ParavirtualClock, what);
        ensure(saved.version.is_multiple_of(2), "a page is half written")?;
        ensure(saved.wall_clock_msr.is_multiple_of(ALIGNMENT), "the wall clock's address is not aligned")?;
        let enabled = saved.system_time_msr & ENABLED != 0;
        ensure(enabled == saved.page.is_some(), "the page and its register disagree")?;
        ensure(
            !enabled || saved.system_time_msr % ALIGNMENT == ENABLED,
            "the page's address is not aligned",
        )?;
        let page = match &saved.page {
            None => None,
            Some(page) => {
                ensure((-34..=30).contains(&page.shift), "no TSC has such a rate")?;
                let flags = Flags::from_bits(page.flags).ok_or(RestoreError::Impossible {
                    device: DeviceId::ParavirtualClock,
                    what: "reserved flags are set",
                })?;
                let scale = Scale { multiplier: page.multiplier, shift: page.shift };
                let (tsc_timestamp, system_time) = (page.tsc_timestamp, page.system_time);
                Some(TimePage { tsc_timestamp, system_time, scale, flags })
            }
        };
        Ok(Self {
            system_time_msr: saved.system_time_msr,
            wall_clock_msr: saved.wall_clock_msr,
            version: saved.version,
            page,
            promised: saved.promised,
            ..Self::new(saved.wall_clock_start_s, tsc_hz)
        })
    }
}
