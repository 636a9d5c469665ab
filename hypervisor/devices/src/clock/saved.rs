//! The clock's saved state.

use alloc::vec;
use alloc::vec::Vec;

use godwit_guest::MAX_VCPUS;
use serde::{Deserialize, Serialize};

use super::page::{Flags, Scale, TimePage};
use super::{ALIGNMENT, CpuClock, ENABLED, ParavirtualClock};
use crate::saved::{DeviceId, Layout, RestoreError, ensure, parse};
use crate::time::{GuestTime, Now};

/// First layout, of guests with one CPU.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub(super) struct ParavirtualClockV1 {
    pub(super) wall_clock_start_s: i64,
    pub(super) system_time_msr: u64,
    pub(super) wall_clock_msr: u64,
    /// Of whichever page was written last.
    pub(super) version: u32,
    pub(super) page: Option<TimePageV1>,
    pub(super) promised: GuestTime,
}

/// What a CPU read last.
#[derive(Serialize, Deserialize)]
pub(super) struct TimePageV1 {
    pub(super) tsc_timestamp: u64,
    pub(super) system_time: GuestTime,
    pub(super) multiplier: u32,
    pub(super) shift: i8,
    pub(super) flags: u8,
}

/// Second layout: with all CPUs.
#[derive(Serialize, Deserialize)]
pub(crate) struct ParavirtualClockV2 {
    wall_clock_start_s: i64,
    wall_clock_msr: u64,
    wall_clock_version: u32,
    promised: GuestTime,
    /// Each CPU once, in their order.
    cpus: Vec<CpuClockV2>,
}

#[derive(Serialize, Deserialize)]
struct CpuClockV2 {
    cpu: u8,
    system_time_msr: u64,
    version: u32,
    page: Option<TimePageV1>,
}

impl Layout for ParavirtualClockV2 {
    const DEVICE: DeviceId = DeviceId::ParavirtualClock;
    const VERSION: u16 = 2;

    fn from_older(version: u16, bytes: &[u8]) -> Option<Result<Self, RestoreError>> {
        (version == 1).then(|| parse::<ParavirtualClockV1>(Self::DEVICE, bytes).map(Self::from))
    }
}

impl From<ParavirtualClockV1> for ParavirtualClockV2 {
    /// The one CPU that there was.
    fn from(old: ParavirtualClockV1) -> Self {
        let ParavirtualClockV1 { system_time_msr, version, page, .. } = old;
        Self {
            wall_clock_start_s: old.wall_clock_start_s,
            wall_clock_msr: old.wall_clock_msr,
            wall_clock_version: version,
            promised: old.promised,
            cpus: vec![CpuClockV2 { cpu: 0, system_time_msr, version, page }],
        }
    }
}

impl ParavirtualClock {
    /// `now` is when the guest last ran.
    pub(crate) fn save(&self, now: Now) -> ParavirtualClockV2 {
        ParavirtualClockV2 {
            wall_clock_start_s: self.wall_clock_start_s,
            wall_clock_msr: self.wall_clock_msr,
            wall_clock_version: self.wall_clock_version,
            promised: self.promised_at(now.tsc),
            cpus: (0u8..).zip(&self.cpus).map(|(number, cpu)| cpu.save(number)).collect(),
        }
    }

    /// `tsc_hz` is the rate of the guest's TSC here; the old pages keep their own until they are rewritten.
    pub(crate) fn restore(saved: &ParavirtualClockV2, cpus: u8, tsc_hz: u64) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::ParavirtualClock, what);
        let count = usize::from(cpus).clamp(1, MAX_VCPUS);
        ensure(
            (0u8..).zip(&saved.cpus).all(|(number, cpu)| number == cpu.cpu) && saved.cpus.len() == count,
            "it is not of each CPU of the guest once",
        )?;
        ensure(saved.wall_clock_version.is_multiple_of(2), "the wall clock is half written")?;
        ensure(saved.wall_clock_msr.is_multiple_of(ALIGNMENT), "the wall clock's address is not aligned")?;
        Ok(Self {
            wall_clock_msr: saved.wall_clock_msr,
            wall_clock_version: saved.wall_clock_version,
            cpus: saved.cpus.iter().map(CpuClock::restore).collect::<Result<_, _>>()?,
            promised: saved.promised,
            ..Self::new(cpus, saved.wall_clock_start_s, tsc_hz)
        })
    }
}

impl CpuClock {
    fn save(&self, cpu: u8) -> CpuClockV2 {
        CpuClockV2 {
            cpu,
            system_time_msr: self.system_time_msr,
            version: self.version,
            page: self.page.map(|page| TimePageV1 {
                tsc_timestamp: page.tsc_timestamp,
                system_time: page.system_time,
                multiplier: page.scale.multiplier,
                shift: page.scale.shift,
                flags: page.flags.bits(),
            }),
        }
    }

    fn restore(saved: &CpuClockV2) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::ParavirtualClock, what);
        ensure(saved.version.is_multiple_of(2), "a page is half written")?;
        let enabled = saved.system_time_msr & ENABLED != 0;
        ensure(enabled == saved.page.is_some(), "a page and its register disagree")?;
        ensure(!enabled || saved.system_time_msr % ALIGNMENT == ENABLED, "a page's address is not aligned")?;
        let page = saved.page.as_ref().map(TimePage::restore).transpose()?;
        Ok(Self { system_time_msr: saved.system_time_msr, version: saved.version, page })
    }
}

impl TimePage {
    fn restore(saved: &TimePageV1) -> Result<Self, RestoreError> {
        let impossible = |what| RestoreError::Impossible { device: DeviceId::ParavirtualClock, what };
        if !(-34..=30).contains(&saved.shift) {
            return Err(impossible("no TSC has such a rate"));
        }
        let flags = Flags::from_bits(saved.flags).ok_or(impossible("reserved flags are set"))?;
        let scale = Scale { multiplier: saved.multiplier, shift: saved.shift };
        let (tsc_timestamp, system_time) = (saved.tsc_timestamp, saved.system_time);
        Ok(Self { tsc_timestamp, system_time, scale, flags })
    }
}
