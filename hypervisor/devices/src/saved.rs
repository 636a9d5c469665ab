//! What a device leaves behind when its guest moves, and what may be wrong with it on arrival.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Which device a saved state belongs to. The numbers are part of the format: they are never given to another
/// device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
#[repr(u16)]
pub enum DeviceId {
    /// The 16550 at COM1.
    Serial = 1,
    /// The pair of 8259A.
    Pic = 2,
    /// The 8254, with port 0x61.
    Pit = 3,
    /// A CPU's local APIC; one state for each CPU.
    LocalApic = 4,
    /// The IO-APIC.
    IoApic = 5,
    /// The MC146818 with its CMOS memory.
    Rtc = 6,
    /// ACPI power management: event and control registers, timer.
    PowerManagement = 7,
    /// kvmclock, of all CPUs.
    ParavirtualClock = 8,
    /// The reset control register, and requests that nobody has taken yet.
    Reset = 9,
    /// The PCI configuration address.
    PciConfiguration = 10,
}

impl DeviceId {
    const ALL: [Self; 10] = [
        Self::Serial,
        Self::Pic,
        Self::Pit,
        Self::LocalApic,
        Self::IoApic,
        Self::Rtc,
        Self::PowerManagement,
        Self::ParavirtualClock,
        Self::Reset,
        Self::PciConfiguration,
    ];
}

impl From<DeviceId> for u16 {
    fn from(device: DeviceId) -> Self {
        device as Self
    }
}

/// A number that names no device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no device has the number {0}")]
pub struct UnknownDevice(pub u16);

impl TryFrom<u16> for DeviceId {
    type Error = UnknownDevice;

    fn try_from(number: u16) -> Result<Self, UnknownDevice> {
        Self::ALL.into_iter().find(|device| u16::from(*device) == number).ok_or(UnknownDevice(number))
    }
}

/// One device's state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SavedDevice {
    /// Whose.
    pub device: DeviceId,
    /// The layout of `bytes`, counted from 1 for each device.
    pub version: u16,
    /// The state, by postcard.
    pub bytes: Vec<u8>,
}

/// Why saved states do not make a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// A device, or one CPU's, has no state.
    #[error("the state of {0:?} is missing")]
    Missing(DeviceId),
    /// A device, or one CPU's, has two states.
    #[error("the state of {0:?} is there twice")]
    Twice(DeviceId),
    /// The state has a layout that is not known here.
    #[error("the state of {device:?} has version {version}, which is not known here")]
    Version {
        /// Whose.
        device: DeviceId,
        /// The version it has.
        version: u16,
    },
    /// The bytes do not have the layout of their version.
    #[error("the state of {0:?} cannot be read")]
    Malformed(DeviceId),
    /// The device cannot be in that state.
    #[error("the state of {device:?} is impossible: {what}")]
    Impossible {
        /// Whose.
        device: DeviceId,
        /// What is wrong.
        what: &'static str,
    },
}

/// The layout of a device's state.
pub(crate) trait Layout: Serialize + DeserializeOwned {
    /// Whose it is.
    const DEVICE: DeviceId;
    /// Its number.
    const VERSION: u16;

    /// What a state of an older version means in this one; `None` where that version is not known.
    fn from_older(_version: u16, _bytes: &[u8]) -> Option<Result<Self, RestoreError>> {
        None
    }
}

/// Encodes one device's state.
pub(crate) fn encode<L: Layout>(state: &L) -> SavedDevice {
    // Encoding plain integers and lists into a growing buffer has no way to fail. If it ever did, the empty
    // state would be refused on arrival, and the guest would go on where it is.
    let bytes = postcard::to_allocvec(state).unwrap_or_default();
    SavedDevice { device: L::DEVICE, version: L::VERSION, bytes }
}

/// Finds and decodes one device's state.
pub(crate) fn decode<L: Layout>(saved: &[SavedDevice]) -> Result<L, RestoreError> {
    let mut own = decode_all(saved);
    let state = own.next().ok_or(RestoreError::Missing(L::DEVICE))?;
    if own.next().is_some() {
        return Err(RestoreError::Twice(L::DEVICE));
    }
    state
}

/// Finds and decodes the states of a device that there may be several of.
pub(crate) fn decode_all<L: Layout>(saved: &[SavedDevice]) -> impl Iterator<Item = Result<L, RestoreError>> {
    saved.iter().filter(|state| state.device == L::DEVICE).map(|state| {
        if state.version == L::VERSION {
            return parse(L::DEVICE, &state.bytes);
        }
        let unknown = RestoreError::Version { device: L::DEVICE, version: state.version };
        L::from_older(state.version, &state.bytes).unwrap_or(Err(unknown))
    })
}

/// Reads a layout that takes up all of `bytes`.
pub(crate) fn parse<T: DeserializeOwned>(device: DeviceId, bytes: &[u8]) -> Result<T, RestoreError> {
    match postcard::take_from_bytes(bytes) {
        Ok((layout, [])) => Ok(layout),
        _ => Err(RestoreError::Malformed(device)),
    }
}

/// `Ok` where `possible`, else the error that says `what` is wrong.
pub(crate) fn ensure(possible: bool, device: DeviceId, what: &'static str) -> Result<(), RestoreError> {
    if possible { Ok(()) } else { Err(RestoreError::Impossible { device, what }) }
}
