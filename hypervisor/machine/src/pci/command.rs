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

/// Lets a driver reach `function`'s registers: it answers in memory space, and neither uses memory itself nor interrupts by wire, whatever
/// ran before left it doing.
pub fn open_registers(config: &impl ConfigSpace, function: FunctionAddress) {
    change(config, function, Command::MEMORY | Command::NO_WIRE, Command::BUS_MASTER);
}

/// Lets `function` read and write memory, and so send interrupts as messages. To be done once the driver has stopped what it was doing.
pub fn let_use_memory(config: &impl ConfigSpace, function: FunctionAddress) {
    change(config, function, Command::BUS_MASTER, Command::empty());
}

fn change(config: &impl ConfigSpace, function: FunctionAddress, on: Command, off: Command) {
    let command = config.read32(function, offset::COMMAND_STATUS) & COMMAND;
    config.write32(function, offset::COMMAND_STATUS, command & !off.bits() | on.bits());
}
