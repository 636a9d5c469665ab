//! The keys of the command line, in one table.

use log::LevelFilter;

use super::Options;
use crate::{
    fragment::FragmentSetting,
    name::Name,
    network::{Peers, Subnet},
    svm_without::SvmWithout,
};

/// CPUs that `godwit.cpus` may ask for at most.
pub const MAX_CPUS: u16 = 64;

/// Frequencies that a time stamp counter may be said to have.
const TSC_HZ: core::ops::RangeInclusive<u64> = 100_000_000..=20_000_000_000;

/// One key: what it takes, what holds without it, and how it is set.
pub struct Key {
    /// The whole key.
    pub name: &'static str,
    /// What its value has to look like.
    pub expected: &'static str,
    /// What holds where the key is not given, in words.
    pub default: &'static str,
    /// Sets the option; `None` where the value is not as expected, and the option is then unchanged.
    pub(super) set: fn(&mut Options, &str) -> Option<()>,
}

/// Every key that is known.
pub static KEYS: [Key; 9] = [
    Key {
        name: "godwit.host",
        expected: Name::EXPECTED,
        default: "the host is called godwit",
        set: |options, value| Name::new(value).map(|name| options.host = Some(name)),
    },
    Key {
        name: "godwit.group",
        expected: Name::EXPECTED,
        default: "the host belongs to group default",
        set: |options, value| Name::new(value).map(|name| options.group = Some(name)),
    },
    Key {
        name: "godwit.log",
        expected: "off, error, warn, info, debug or trace",
        default: "the log level is info",
        set: |options, value| value.parse::<LevelFilter>().ok().map(|level| options.log = level),
    },
    Key {
        name: "godwit.cpus",
        expected: "a number of CPUs from 1 to 64",
        default: "every CPU is started",
        set: |options, value| {
            let digits_only = value.bytes().all(|byte| byte.is_ascii_digit());
            let cpus =
                value.parse::<u16>().ok().filter(|cpus| digits_only && (1..=MAX_CPUS).contains(cpus))?;
            options.cpus = Some(cpus);
            Some(())
        },
    },
    Key {
        name: "godwit.fragment",
        expected: "PERCENT:SEED with a percentage from 1 to 100, such as 60:7",
        default: "memory stays as it is",
        set: |options, value| {
            FragmentSetting::from_pair(value).map(|setting| options.fragment = Some(setting))
        },
    },
    Key {
        name: "godwit.tsc_hz",
        expected: "the time stamp counter's frequency in Hz, 100000000 to 20000000000, such as 2600000000",
        default: "the frequency is measured",
        set: |options, value| {
            let digits_only = value.bytes().all(|byte| byte.is_ascii_digit());
            let hz = value.parse::<u64>().ok().filter(|hz| digits_only && TSC_HZ.contains(hz))?;
            options.tsc_hz = Some(hz);
            Some(())
        },
    },
    Key {
        name: "godwit.address",
        expected: Subnet::EXPECTED,
        default: "the host has no network address",
        set: |options, value| Subnet::parse(value).map(|subnet| options.address = Some(subnet)),
    },
    Key {
        name: "godwit.peers",
        expected: Peers::EXPECTED,
        default: "no other host is known by name",
        set: |options, value| Peers::parse(value).map(|peers| options.peers = peers),
    },
    Key {
        name: "godwit.svm_without",
        expected: SvmWithout::EXPECTED,
        default: "every feature that the processor has is used",
        set: |options, value| SvmWithout::parse(value).map(|without| options.svm_without = without),
    },
];
