//! The network adapter: a driver for virtio-net over PCI (Virtual I/O Device 1.2, sections 2, 4.1 and 5.1).
//!
//! Frames go out as scatter lists: the device gathers a packet's body from the frames where it lies, so page bytes are
//! never copied to be sent. What the device says is foreign data: it is checked before anything is reached by it, and a
//! device that breaks its rules is stopped and reported.
//!
//! | part | what |
//! |---|---|
//! | [`capability`], [`msi_x`] | where the device's registers and its interrupt table lie |
//! | [`features`], [`configuration`] | the handshake |
//! | [`ring`], [`queue`] | split virtqueues: their layout, and the driver's side of them |
//! | [`transmit`], [`receive`] | frames out of and into memory |
//! | [`device`] | all of it as a [`godwit_host::machine::NetworkDevice`] |
//! | `adapter` | the first adapter on this machine's buses, started |
//!
//! All but the last row is safe code over [`Registers`] and [`DeviceMemory`], and tested with a pretended device.

pub mod capability;
pub mod configuration;
pub mod device;
pub mod features;
mod memory;
pub mod msi_x;
mod queue;
mod receive;
mod registers;
mod ring;
mod transmit;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "device registers and memory that the device reads and writes")]
pub mod adapter;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "memory that the device reads and writes")]
mod frame_memory;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "mapped registers")]
mod mapped_registers;
#[cfg(test)]
mod tests;

pub use memory::DeviceMemory;
pub use registers::Registers;
