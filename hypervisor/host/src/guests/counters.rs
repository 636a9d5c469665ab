//! Why a guest stopped, and how often.

use godwit_guest::vcpu::Reason;

/// Names of what is counted, in the order of [`ExitCounters::counts`].
const EXIT_NAMES: [&str; 20] = [
    "host",
    "window",
    "cpuid",
    "halt",
    "port",
    "rdmsr",
    "wrmsr",
    "mmio",
    "nested fault",
    "hypercall",
    "xsetbv",
    "cache flush",
    "not offered",
    "fatal",
    "absent memory",
    "task priority",
    "cr4",
    "int1",
    "pause",
    "rdtsc",
];
/// Place of MMIO in [`EXIT_NAMES`].
const MMIO: usize = 7;
/// Place of nested faults on RAM in [`EXIT_NAMES`].
const NESTED_FAULT: usize = 8;
/// Place of accesses to what is neither RAM nor a device in [`EXIT_NAMES`].
const ABSENT: usize = 14;

/// What is at the address of a nested fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Behind {
    /// RAM, which is mapped as long as the guest is here: only the first write to a part of it faults, while writes are tracked.
    Ram,
    /// A device register.
    Device,
    /// Nothing.
    Nothing,
}

/// Exits by reason since the guest was started or arrived here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExitCounters {
    counts: [u64; EXIT_NAMES.len()],
}

impl ExitCounters {
    /// Counts one exit. `behind` says what a nested fault was about.
    pub(super) fn count(&mut self, reason: &Reason, behind: Behind) {
        let place = match reason {
            Reason::Host => 0,
            Reason::InterruptWindow => 1,
            Reason::Cpuid => 2,
            Reason::Halt => 3,
            Reason::Port { .. } => 4,
            Reason::ReadMsr => 5,
            Reason::WriteMsr => 6,
            Reason::NestedFault(_) => match behind {
                Behind::Ram => NESTED_FAULT,
                Behind::Device => MMIO,
                Behind::Nothing => ABSENT,
            },
            Reason::Hypercall => 9,
            Reason::SetExtendedControl => 10,
            Reason::CacheFlush => 11,
            Reason::ReadCr4 | Reason::WriteCr4 => 16,
            Reason::NotOffered => 12,
            Reason::WriteTaskPriority => 15,
            Reason::DebugTrap => 17,
            Reason::Pause => 18,
            Reason::ReadTsc | Reason::ReadTscp => 19,
            Reason::Shutdown | Reason::Refused { .. } | Reason::Unexpected { .. } => 13,
        };
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
    }

    /// These and others.
    pub(super) fn plus(mut self, others: &Self) -> Self {
        self.counts.iter_mut().zip(others.counts).for_each(|(count, more)| *count += more);
        self
    }

    /// Each reason with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        EXIT_NAMES.into_iter().zip(self.counts)
    }

    /// All exits.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}
