//! What the machine hands to a host when it starts.

use crate::{
    boot::{BootInfo, MemoryMap},
    command_line::CommandLine,
};

/// Everything known before the host's loop begins. It is kept: the monitor shows it again.
#[derive(Clone, Copy, Debug)]
pub struct Startup<'a> {
    /// The version of the image, such as `0.1.0`.
    pub version: &'a str,
    /// What the image was built from, such as a short commit id.
    pub build_id: &'a str,
    /// What the boot path told.
    pub boot: &'a BootInfo,
    /// The normalized memory map.
    pub memory: &'a MemoryMap,
    /// The command line, read.
    pub command_line: &'a CommandLine,
}
