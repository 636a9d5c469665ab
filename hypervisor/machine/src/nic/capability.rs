//! Where a virtio device's registers lie: vendor capabilities in its configuration space (virtio 1.2, 4.1.4).

use crate::pci::{BarSpace, SizedBar};
use crate::pci::{ConfigSpace, FunctionAddress, HeaderKind, bar_sizes, capabilities, capability_id};

/// The vendor of virtio devices.
pub const VENDOR: u16 = 0x1af4;
/// A network device of version 1 (4.1.2.1: 0x1040 + 1).
pub const NETWORK: u16 = 0x1041;
/// A network device that also speaks the legacy interface, or only that.
pub const NETWORK_TRANSITIONAL: u16 = 0x1000;

/// What a capability describes (4.1.4, `cfg_type`).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;

/// A range of device registers in physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Physical address of its first byte.
    pub address: u64,
    /// Its length in bytes, never 0.
    pub bytes: u32,
}

/// The windows of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Common configuration.
    pub common: Window,
    /// Notifications.
    pub notify: Window,
    /// What a queue's notification offset is multiplied by.
    pub notify_multiplier: u32,
    /// What is special to network devices.
    pub device: Window,
}

/// Why no layout was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoLayout {
    /// No capability describes the window, or none that lies inside memory that was assigned to the device: a device of
    /// the legacy interface only has none at all.
    Missing(&'static str),
}

/// Finds the windows of `function`. Of several capabilities for one window the first usable one counts (4.1.4.1).
///
/// # Errors
/// [`NoLayout`] with the first window that is missing.
pub fn find(config: &impl ConfigSpace, function: FunctionAddress) -> Result<Layout, NoLayout> {
    let bars = bar_sizes(config, function, HeaderKind::Device);
    let (mut common, mut notify, mut device) = (None, None, None);
    for capability in capabilities(config, function, HeaderKind::Device) {
        if capability.id != capability_id::VENDOR {
            continue;
        }
        let at = u16::from(capability.offset);
        let [_, _, length, kind] = config.read32(function, at).to_le_bytes();
        // A capability that reaches beyond the 256 bytes, or is too short to say all, says nothing.
        let needed = if kind == NOTIFY { 20 } else { 16 };
        if length < needed || at + u16::from(needed) > 256 {
            continue;
        }
        let [bar, ..] = config.read32(function, at + 4).to_le_bytes();
        let offset = config.read32(function, at + 8);
        let bytes = config.read32(function, at + 12);
        let Some(window) = window(&bars, bar, offset, bytes) else { continue };
        match kind {
            COMMON => {
                common.get_or_insert(window);
            }
            NOTIFY => {
                notify.get_or_insert_with(|| (window, config.read32(function, at + 16)));
            }
            DEVICE => {
                device.get_or_insert(window);
            }
            _ => {}
        }
    }
    let common = common.ok_or(NoLayout::Missing("common configuration"))?;
    let (notify, notify_multiplier) = notify.ok_or(NoLayout::Missing("notification"))?;
    let device = device.ok_or(NoLayout::Missing("device configuration"))?;
    Ok(Layout { common, notify, notify_multiplier, device })
}

/// `bytes` bytes from `offset` on of base address register `bar`, where they lie in memory that was assigned to it.
pub(super) fn window(bars: &[SizedBar], bar: u8, offset: u32, bytes: u32) -> Option<Window> {
    let sized = bars.iter().find(|sized| sized.bar.index == bar)?;
    let in_memory = matches!(sized.bar.space, BarSpace::Memory { .. }) && sized.bar.address != 0;
    let inside = u64::from(offset) + u64::from(bytes) <= sized.bytes;
    let address = sized.bar.address.checked_add(u64::from(offset))?;
    (in_memory && inside && bytes != 0).then_some(Window { address, bytes })
}
