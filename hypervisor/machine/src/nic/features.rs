//! Which features of virtio-net are taken (virtio 1.2, 2.2, 5.1.3 and 6).

use bitflags::bitflags;

bitflags! {
    /// The features that this driver knows what to do with.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Features: u64 {
        /// The device says how long a packet may be.
        const MTU = 1 << 3;
        /// The device has an address.
        const MAC = 1 << 5;
        /// A descriptor may point to a table of descriptors.
        const INDIRECT = 1 << 28;
        /// Both sides say from which entry on they want to hear of the other.
        const EVENT_INDEX = 1 << 29;
        /// The device follows version 1 of the specification.
        const VERSION_1 = 1 << 32;
        /// The device's addresses go through the platform's translation. Without an IOMMU that is turned on, and this host
        /// turns none on, a physical address stands for itself: taking the feature costs nothing, refusing it loses the device.
        const ACCESS_PLATFORM = 1 << 33;
    }
}

/// Why a device cannot be driven, as far as its features say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsuited {
    /// It follows the legacy interface only.
    Legacy,
    /// It has no address of its own.
    NoAddress,
}

/// What to take of `offered`: everything known.
///
/// # Errors
/// [`Unsuited`] where something that cannot be done without is missing.
pub fn negotiate(offered: u64) -> Result<Features, Unsuited> {
    let taken = Features::from_bits_truncate(offered);
    if !taken.contains(Features::VERSION_1) {
        return Err(Unsuited::Legacy);
    }
    if !taken.contains(Features::MAC) {
        return Err(Unsuited::NoAddress);
    }
    Ok(taken)
}
