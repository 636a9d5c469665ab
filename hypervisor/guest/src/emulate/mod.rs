//! Instructions that the host carries out for the guest, because the processor stopped at them.
//!
//! The processor says that the guest touched a device register or that a string instruction names a port, but not always
//! with what: then the instruction is fetched through the guest's own page tables ([`walk`]), decoded, and carried out
//! here. What it does to the guest is exactly what the processor would have done: registers, flags, memory, and faults.
//!
//! Whatever the guest does, a call ends in one of these ways:
//! - [`Emulated::Done`]: the instruction is complete and RIP stands behind it.
//! - [`Emulated::Again`]: a repeated string instruction did a bounded part of its work. RIP still stands at it, its
//!   counters say what is left, so entering the guest again continues it, as after an interrupt.
//! - [`Emulated::Faulted`]: the instruction raises a fault. It was handed to the virtual CPU already, RIP is unchanged.
//! - [`EmulateError`]: this cannot be carried out. Nothing of the guest changed but the progress of a repeated string
//!   instruction; the error names the instruction, and the host stops the guest with it.
//!
//! Not emulated, because no guest needs it here: alignment checks (CR0.AM), and atomicity against another virtual CPU of the same guest: LOCK has no effect on a device register.

mod arithmetic;
pub mod backtrace;
mod bits;
mod control;
mod cpu;
mod error;
mod execute;
mod fault;
mod fetch;
mod length;
mod mmio;
mod operand;
mod place;
mod port;
mod registers;
mod segment;
mod stack;
mod string;
mod task_priority;
pub mod walk;

pub use control::control_register;
pub use error::{Bytes, EmulateError};
pub use fault::Fault;
pub use fetch::fetch;
pub use length::{KnownCode, instruction_length};
pub use mmio::mmio;
pub use port::string_port;
pub use task_priority::written_task_priority;

/// What the guest's devices answer. `bytes` is 1, 2 or 4 for ports; 1, 2, 4 or 8 for memory.
pub trait Bus {
    /// IN. All ones where there is no device.
    fn read_port(&mut self, port: u16, bytes: u8) -> u32;

    /// OUT; `value` has no bits beyond `bytes`.
    fn write_port(&mut self, port: u16, bytes: u8, value: u32);

    /// Whether a device answers at this guest-physical address. It comes before RAM.
    fn has_mmio(&self, address: u64) -> bool;

    /// Reads a device register. Also called where neither a device nor RAM is: all ones there.
    fn read_mmio(&mut self, address: u64, bytes: u8) -> u64;

    /// Writes a device register; `value` has no bits beyond `bytes`. Also called where neither a device nor RAM is: the
    /// value is lost there.
    fn write_mmio(&mut self, address: u64, bytes: u8, value: u64);
}

/// How an emulated instruction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emulated {
    /// It is complete.
    Done,
    /// A part of its repetitions is done; enter the guest again.
    Again,
    /// It raised this fault, which will be delivered at the next entry.
    Faulted(Fault),
}

/// Repetitions of a string instruction in one call: bounds how long the host works for a guest at a time.
pub const MAX_REPETITIONS: u32 = 64;
