//! Which of a guest's virtual CPUs.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Virtual CPUs of one guest at most.
pub const MAX_VCPUS: usize = 16;

/// A virtual CPU of a guest by number, from 0 (the one that boots) to [`MAX_VCPUS`] - 1. It is its APIC id as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default, Serialize, Deserialize)]
pub struct VcpuIndex(u8);

impl VcpuIndex {
    /// The one that boots.
    pub const BOOT: Self = Self(0);

    /// Number `index`, or `None` where no guest has so many.
    pub const fn new(index: usize) -> Option<Self> {
        if index < MAX_VCPUS { Some(Self(index as u8)) } else { None }
    }

    /// The first `count` of them.
    pub fn first(count: usize) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..count.min(MAX_VCPUS) as u8).map(Self)
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its APIC id.
    pub const fn apic_id(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for VcpuIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vcpu{}", self.0)
    }
}

/// A set of virtual CPUs of one guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VcpuSet(u16);

impl VcpuSet {
    /// None of them.
    pub const EMPTY: Self = Self(0);

    /// One alone.
    pub const fn of(vcpu: VcpuIndex) -> Self {
        Self(1 << vcpu.0)
    }

    /// Adds one.
    pub const fn insert(&mut self, vcpu: VcpuIndex) {
        self.0 |= 1 << vcpu.0;
    }

    /// Adds all of `other`.
    pub const fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Takes one out.
    pub const fn remove(&mut self, vcpu: VcpuIndex) {
        self.0 &= !(1 << vcpu.0);
    }

    /// Whether `vcpu` is in it.
    pub const fn contains(self, vcpu: VcpuIndex) -> bool {
        self.0 & 1 << vcpu.0 != 0
    }

    /// Whether none is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many are in it.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Those in it, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = VcpuIndex> {
        VcpuIndex::first(MAX_VCPUS).filter(move |&vcpu| self.contains(vcpu))
    }
}

const _: () = assert!(MAX_VCPUS <= u16::BITS as usize);

#[cfg(test)]
mod tests {
    use super::{MAX_VCPUS, VcpuIndex, VcpuSet};

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = VcpuSet::EMPTY;
        for vcpu in VcpuIndex::first(MAX_VCPUS).step_by(3) {
            set.insert(vcpu);
        }
        assert_eq!(set.iter().map(VcpuIndex::index).collect::<Vec<_>>(), [0, 3, 6, 9, 12, 15]);
        set.remove(VcpuIndex::BOOT);
        assert_eq!((set.count(), set.contains(VcpuIndex::BOOT), set.is_empty()), (5, false, false));
        assert_eq!(VcpuIndex::new(MAX_VCPUS), None);
    }
}
