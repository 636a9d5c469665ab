//! Whether a host can run a guest's virtual CPUs as its owner wants.

use godwit_guest::description::GuestDescription;

use crate::{description::Description, round::CpuSet};

/// Time stamp counters that differ by less than so many parts in a million count as equal.
const TSC_TOLERANCE_PPM: u64 = 200;

/// Why it cannot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("it is pinned to {wanted}, and this host has {here}: change `pin` in its description")]
    Pinned { wanted: CpuSet, here: CpuSet },
    #[error(
        "its time stamp counter has to count {wanted_hz} Hz, this host's counts {own_hz} Hz: start it elsewhere, or change `tsc_hz` in \
         its description"
    )]
    Tsc { wanted_hz: u64, own_hz: u64 },
}

/// Whether `hz` counts as this machine's own rate.
pub(crate) fn is_own_rate(machine: &Description, hz: u64) -> bool {
    let own_hz = machine.tsc_hz;
    u128::from(own_hz.abs_diff(hz)) * 1_000_000 < u128::from(TSC_TOLERANCE_PPM) * u128::from(own_hz.max(1))
}

/// Checks pins and the declared rate of the time stamp counter.
///
/// # Errors
/// [`Unfit`].
pub(crate) fn check(guest: &GuestDescription, machine: &Description) -> Result<(), Unfit> {
    let wanted = CpuSet::from_bits(guest.processors.pins.bits());
    let here = CpuSet::running_of(machine);
    if wanted.and(here).is_empty() {
        return Err(Unfit::Pinned { wanted, here });
    }
    match guest.tsc_hz {
        Some(wanted_hz) if !is_own_rate(machine, wanted_hz) => {
            Err(Unfit::Tsc { wanted_hz, own_hz: machine.tsc_hz })
        }
        _ => Ok(()),
    }
}
