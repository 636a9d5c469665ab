//! The command register (PCI Express 6.0, 7.5.1.1.3).

use bitflags::bitflags;

use super::{ConfigSpace, FunctionAddress, offset};

bitflags! {
    struct Command: u32 {
        /// The function answers in memory space.
        const MEMORY = 1 << 1;
        /// The function may read and write memory itself.
        const BUS_MASTER = 1 << 2;
        /// The function raises no interrupt by wire.
        const NO_WIRE = 1 << 10;
    }
}

/// The command half of the double word; the other half is status, where writing 1 clears.
const COMMAND: u32 = 0xffff;

/// Lets a driver use `function`: it answers in memory space, may read and write memory, and interrupts by messages only.
pub fn take_over(config: &impl ConfigSpace, function: FunctionAddress) {
    let command = config.read32(function, offset::COMMAND_STATUS) & COMMAND;
    let wanted = Command::MEMORY | Command::BUS_MASTER | Command::NO_WIRE;
    config.write32(function, offset::COMMAND_STATUS, command | wanted.bits());
}
