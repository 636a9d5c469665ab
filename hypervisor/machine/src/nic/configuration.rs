//! The common configuration: handshake and queues (virtio 1.2, 3.1 and 4.1.4.3).

use bitflags::bitflags;

use super::{
    Registers,
    features::{Features, Unsuited, negotiate},
    registers::write_address,
};

const DEVICE_FEATURE_SELECT: u32 = 0x00;
const DEVICE_FEATURE: u32 = 0x04;
const DRIVER_FEATURE_SELECT: u32 = 0x08;
const DRIVER_FEATURE: u32 = 0x0c;
const CONFIG_VECTOR: u32 = 0x10;
const DEVICE_STATUS: u32 = 0x14;
const CONFIG_GENERATION: u32 = 0x15;
const QUEUE_SELECT: u32 = 0x16;
const QUEUE_SIZE: u32 = 0x18;
const QUEUE_VECTOR: u32 = 0x1a;
const QUEUE_ENABLE: u32 = 0x1c;
const QUEUE_NOTIFY_OFFSET: u32 = 0x1e;
const QUEUE_DESCRIPTORS: u32 = 0x20;
const QUEUE_DRIVER: u32 = 0x28;
const QUEUE_DEVICE: u32 = 0x30;
/// Length of all of it.
const BYTES: u32 = 0x38;

/// Says that something raises no interrupt, and is read back where a vector could not be set.
const NO_VECTOR: u16 = 0xffff;
/// The one entry of the interrupt table that is used.
const VECTOR: u16 = 0;
/// Reads of the status after a reset until the device is given up: about a second.
const RESET_READS: u32 = 1 << 20;

bitflags! {
    /// Device status (2.1).
    #[derive(Clone, Copy)]
    struct Status: u8 {
        const ACKNOWLEDGE = 1;
        const DRIVER = 2;
        const DRIVER_OK = 4;
        const FEATURES_OK = 8;
        const FAILED = 128;
    }
}

/// Why a device does not come up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// The window is too short for its registers.
    #[error("its {0} registers are cut off")]
    Cut(&'static str),
    /// It does not follow version 1.
    #[error(
        "it has only virtio's legacy interface, which is not supported; a modern or transitional device is needed"
    )]
    Legacy,
    /// It has no address.
    #[error("it has no hardware address of its own")]
    NoAddress,
    /// It does not come back from a reset.
    #[error("it does not answer a reset")]
    NoReset,
    /// It refuses the features that it offered.
    #[error("it refuses the features that it offers")]
    Refused,
    /// It has no queue of that number, or one that is too short.
    #[error("its queue {0} is missing or too short")]
    Queue(u16),
    /// It cannot interrupt.
    #[error("it takes no interrupt for its queue {0}")]
    NoInterrupt(u16),
    /// What it says about itself changes all the time.
    #[error("its configuration never holds still")]
    Unstable,
    /// Its packets are shorter than any network's.
    #[error("its packets are only {0} bytes long")]
    ShortPackets(u16),
    /// Not enough memory in one piece.
    #[error("no {0} KiB of memory are free in one piece for it")]
    NoMemory(u64),
}

impl From<Unsuited> for StartError {
    fn from(unsuited: Unsuited) -> Self {
        match unsuited {
            Unsuited::Legacy => Self::Legacy,
            Unsuited::NoAddress => Self::NoAddress,
        }
    }
}

/// The common configuration of one device.
pub(super) struct CommonConfiguration<R>(R);

impl<R: Registers> CommonConfiguration<R> {
    /// The device's own registers behind `registers`.
    ///
    /// # Errors
    /// [`StartError::Cut`].
    pub(super) fn new(registers: R) -> Result<Self, StartError> {
        if registers.bytes() < BYTES { Err(StartError::Cut("common")) } else { Ok(Self(registers)) }
    }

    /// Stops the device: it holds none of the driver's memory any more, and nothing of what was set up.
    ///
    /// # Errors
    /// [`StartError::NoReset`]: it may still use the driver's memory.
    pub(super) fn reset(&self) -> Result<(), StartError> {
        reset(&self.0)
    }

    /// Resets the device and agrees on features.
    ///
    /// # Errors
    /// [`StartError`].
    pub(super) fn agree(&self) -> Result<Features, StartError> {
        self.reset()?;
        self.add(Status::ACKNOWLEDGE);
        self.add(Status::DRIVER);
        let half = |select| {
            self.0.write_32(DEVICE_FEATURE_SELECT, select);
            u64::from(self.0.read_32(DEVICE_FEATURE))
        };
        let features = negotiate(half(0) | half(1) << 32)?;
        for (select, half) in [(0, features.bits() as u32), (1, (features.bits() >> 32) as u32)] {
            self.0.write_32(DRIVER_FEATURE_SELECT, select);
            self.0.write_32(DRIVER_FEATURE, half);
        }
        self.add(Status::FEATURES_OK);
        if !Status::from_bits_retain(self.0.read_8(DEVICE_STATUS)).contains(Status::FEATURES_OK) {
            return Err(StartError::Refused);
        }
        self.0.write_16(CONFIG_VECTOR, NO_VECTOR);
        Ok(features)
    }

    /// Reads something from the device's own configuration until it held still meanwhile (2.5.1).
    ///
    /// # Errors
    /// [`StartError::Unstable`].
    pub(super) fn stable<T>(&self, read: impl Fn() -> T) -> Result<T, StartError> {
        for _ in 0..16 {
            let before = self.0.read_8(CONFIG_GENERATION);
            let value = read();
            if self.0.read_8(CONFIG_GENERATION) == before {
                return Ok(value);
            }
        }
        Err(StartError::Unstable)
    }

    /// The largest size of queue `number`, 0 where there is none.
    pub(super) fn largest_queue(&self, number: u16) -> u16 {
        self.0.write_16(QUEUE_SELECT, number);
        self.0.read_16(QUEUE_SIZE)
    }

    /// Sets queue `number` up; answers with its notification offset, in the device's own unit.
    ///
    /// # Errors
    /// [`StartError::NoInterrupt`].
    pub(super) fn set_up_queue(
        &self,
        number: u16,
        size: u16,
        addresses: [u64; 3],
    ) -> Result<u16, StartError> {
        self.0.write_16(QUEUE_SELECT, number);
        self.0.write_16(QUEUE_SIZE, size);
        self.0.write_16(QUEUE_VECTOR, VECTOR);
        if self.0.read_16(QUEUE_VECTOR) != VECTOR {
            return Err(StartError::NoInterrupt(number));
        }
        for (register, address) in [QUEUE_DESCRIPTORS, QUEUE_DRIVER, QUEUE_DEVICE].into_iter().zip(addresses)
        {
            write_address(&self.0, register, address);
        }
        let notify_offset = self.0.read_16(QUEUE_NOTIFY_OFFSET);
        self.0.write_16(QUEUE_ENABLE, 1);
        Ok(notify_offset)
    }

    /// Lets the device begin.
    pub(super) fn begin(&self) {
        self.add(Status::DRIVER_OK);
    }

    /// Tells the device that the driver has given it up.
    pub(super) fn give_up(&self) {
        self.add(Status::FAILED);
    }

    fn add(&self, status: Status) {
        self.0.write_8(DEVICE_STATUS, self.0.read_8(DEVICE_STATUS) | status.bits());
    }
}

/// As [`CommonConfiguration::reset`], by the registers of the common configuration.
///
/// # Errors
/// [`StartError::NoReset`]: it may still use memory as whoever drove it before told it.
pub(super) fn reset(common: &impl Registers) -> Result<(), StartError> {
    common.write_8(DEVICE_STATUS, 0);
    // The reset is done once this reads as 0 (4.1.4.3.2).
    for _ in 0..RESET_READS {
        if common.read_8(DEVICE_STATUS) == 0 {
            return Ok(());
        }
        core::hint::spin_loop();
    }
    Err(StartError::NoReset)
}
