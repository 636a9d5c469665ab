//! What stops emulation, and with it the guest.

use core::fmt;

use arrayvec::ArrayVec;
use iced_x86::Code;

use super::Fault;
use crate::vcpu::MAX_INSTRUCTION_BYTES;

/// An instruction's bytes; they print in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bytes(pub ArrayVec<u8, MAX_INSTRUCTION_BYTES>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

/// Why an instruction cannot be carried out for the guest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EmulateError {
    /// The decoder knows the instruction; the emulator does not carry it out.
    #[error(
        "instruction {code:?} ({bytes}) at {rip:#x} is not emulated: the guest must reach devices by simpler ones"
    )]
    Unsupported {
        /// Where it begins.
        rip: u64,
        /// Its bytes.
        bytes: Bytes,
        /// The decoder's name for it.
        code: Code,
    },
    /// No instruction.
    #[error("the bytes {bytes} at {rip:#x} are no instruction that the decoder knows")]
    Undecodable {
        /// Where they begin.
        rip: u64,
        /// What could be fetched.
        bytes: Bytes,
    },
    /// The instruction cannot be fetched any more: the guest changed its page tables after the processor had fetched it.
    /// Entering the guest again repeats the fetch, and the processor raises the fault itself.
    #[error("the instruction at {rip:#x} cannot be fetched any more: {fault:?}")]
    Unfetchable {
        /// Where it begins.
        rip: u64,
        /// What the fetch raises.
        fault: Fault,
    },
    /// An event was being delivered, and its stack or table is not RAM.
    #[error(
        "the guest's stack or descriptor table lies outside its memory, at {address:#x}, when an event is delivered"
    )]
    DuringDelivery {
        /// The guest-physical address.
        address: u64,
    },
    /// The guest's page tables are not RAM.
    #[error("the guest's page tables lie outside its memory, at {address:#x}")]
    TablesOutsideRam {
        /// The guest-physical address.
        address: u64,
    },
    /// The guest executes what is not RAM.
    #[error("the guest executes code outside its memory, at {address:#x}")]
    CodeOutsideRam {
        /// The guest-physical address.
        address: u64,
    },
}
