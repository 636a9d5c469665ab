//! What a guest's owner says about its processors.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{MAX_VCPUS, VcpuIndex};

/// How many virtual CPUs a guest has: 1 to [`MAX_VCPUS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct VcpuCount(u8);

/// How much CPU time each virtual CPU of a guest gets beside others that want it too, in relation to their weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// How much CPU time all of a guest's virtual CPUs together get at most, in percent of one host CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Cap(u16);

/// The host CPUs that may run a guest, by number, 0 to 63; never none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct HostCpus(u64);

/// A number that is none of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProcessorsError {
    /// [`VcpuCount`].
    #[error("{0} CPUs: a guest has 1 to {MAX_VCPUS}")]
    Count(u64),
    /// [`Weight`].
    #[error("a weight of {0}: expected 1 to {max}, 100 being what guests have that say nothing", max = Weight::MAX)]
    Weight(u64),
    /// [`Cap`].
    #[error("a cap of {0} percent: expected 1 to {max}, 100 being one host CPU", max = Cap::MAX_PERCENT)]
    Cap(u64),
    /// [`HostCpus`] of which one has this number.
    #[error("host CPU {0}: they are counted from 0 to 63")]
    HostCpu(u64),
    /// [`HostCpus`] without one.
    #[error("no host CPU: name at least one that may run the guest, or leave `pin` out")]
    NoHostCpu,
}

impl VcpuCount {
    /// So many.
    ///
    /// # Errors
    /// [`ProcessorsError::Count`].
    pub fn new(count: u64) -> Result<Self, ProcessorsError> {
        match u8::try_from(count) {
            Ok(small) if (1..=MAX_VCPUS).contains(&usize::from(small)) => Ok(Self(small)),
            _ => Err(ProcessorsError::Count(count)),
        }
    }

    /// As a number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Each of them.
    pub fn each(self) -> impl DoubleEndedIterator<Item = VcpuIndex> + Clone {
        VcpuIndex::first(usize::from(self.0))
    }
}

impl Default for VcpuCount {
    fn default() -> Self {
        Self(1)
    }
}

impl Weight {
    /// The largest.
    pub const MAX: u16 = 10_000;

    /// This weight.
    ///
    /// # Errors
    /// [`ProcessorsError::Weight`].
    pub fn new(weight: u64) -> Result<Self, ProcessorsError> {
        match u16::try_from(weight) {
            Ok(small) if (1..=Self::MAX).contains(&small) => Ok(Self(small)),
            _ => Err(ProcessorsError::Weight(weight)),
        }
    }

    /// As a number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(100)
    }
}

impl Cap {
    /// All of the largest host.
    pub const MAX_PERCENT: u16 = 6400;

    /// So many percent of one host CPU.
    ///
    /// # Errors
    /// [`ProcessorsError::Cap`].
    pub fn new(percent: u64) -> Result<Self, ProcessorsError> {
        match u16::try_from(percent) {
            Ok(small) if (1..=Self::MAX_PERCENT).contains(&small) => Ok(Self(small)),
            _ => Err(ProcessorsError::Cap(percent)),
        }
    }

    /// Percent of one host CPU.
    pub const fn percent(self) -> u16 {
        self.0
    }
}

impl HostCpus {
    /// Every host CPU.
    pub const ANY: Self = Self(u64::MAX);

    /// These.
    ///
    /// # Errors
    /// [`ProcessorsError::HostCpu`], [`ProcessorsError::NoHostCpu`].
    pub fn new(numbers: impl IntoIterator<Item = u64>) -> Result<Self, ProcessorsError> {
        let mut bits = 0;
        for number in numbers {
            if number >= u64::from(u64::BITS) {
                return Err(ProcessorsError::HostCpu(number));
            }
            bits |= 1 << number;
        }
        Self::try_from(bits)
    }

    /// Bit n stands for host CPU n.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Default for HostCpus {
    fn default() -> Self {
        Self::ANY
    }
}

impl fmt::Display for HostCpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any");
        }
        let mut separator = "";
        for number in (0..u64::BITS).filter(|number| self.0 & 1 << number != 0) {
            write!(f, "{separator}cpu{number}")?;
            separator = ", ";
        }
        Ok(())
    }
}

impl TryFrom<u64> for HostCpus {
    type Error = ProcessorsError;

    fn try_from(bits: u64) -> Result<Self, ProcessorsError> {
        if bits == 0 { Err(ProcessorsError::NoHostCpu) } else { Ok(Self(bits)) }
    }
}

impl From<HostCpus> for u64 {
    fn from(cpus: HostCpus) -> Self {
        cpus.0
    }
}

/// The number that is sent, checked where it arrives.
macro_rules! by_number {
    ($type:ident, $number:ident) => {
        impl TryFrom<$number> for $type {
            type Error = ProcessorsError;

            fn try_from(number: $number) -> Result<Self, ProcessorsError> {
                Self::new(number.into())
            }
        }

        impl From<$type> for $number {
            fn from(value: $type) -> Self {
                value.0
            }
        }
    };
}

by_number!(VcpuCount, u8);
by_number!(Weight, u16);
by_number!(Cap, u16);

/// A guest's virtual CPUs, and their share of the host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Processors {
    /// How many.
    pub count: VcpuCount,
    /// The share of each.
    pub weight: Weight,
    /// What all of them get at most, where there is a limit.
    pub cap: Option<Cap>,
    /// Which host CPUs may run them.
    pub pins: HostCpus,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_with_what_is_expected() {
        assert_eq!(VcpuCount::new(17), Err(ProcessorsError::Count(17)));
        assert_eq!(VcpuCount::new(0), Err(ProcessorsError::Count(0)));
        assert_eq!(Weight::new(10_001), Err(ProcessorsError::Weight(10_001)));
        assert_eq!(Cap::new(0), Err(ProcessorsError::Cap(0)));
        assert_eq!(HostCpus::new([3, 64]), Err(ProcessorsError::HostCpu(64)));
        assert_eq!(HostCpus::new([]), Err(ProcessorsError::NoHostCpu));
        assert_eq!(HostCpus::new([5, 0]).unwrap().to_string(), "cpu0, cpu5");
        assert_eq!(VcpuCount::new(3).unwrap().each().count(), 3);
    }

    #[test]
    fn what_arrives_is_checked_as_well() {
        let sent = |count: u8, weight: u16| postcard::to_allocvec(&(count, weight)).unwrap();
        assert!(postcard::from_bytes::<(VcpuCount, Weight)>(&sent(16, 1)).is_ok());
        assert!(postcard::from_bytes::<(VcpuCount, Weight)>(&sent(17, 1)).is_err());
        assert!(postcard::from_bytes::<(VcpuCount, Weight)>(&sent(16, 0)).is_err());
        let none = postcard::to_allocvec(&0u64).unwrap();
        assert!(postcard::from_bytes::<HostCpus>(&none).is_err());
    }
}
