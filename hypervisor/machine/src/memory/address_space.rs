//! Where everything lies in the host's 48-bit address space (upper half; the lower half stays empty).
//!
//! | from | what |
//! |---|---|
//! | `0xffff_8000_0000_0000` | direct map: physical address + this, RAM only |
//! | `0xffff_c000_0000_0000` | device registers, uncacheable, one after the other |
//! | `0xffff_c800_0000_0000` | one window for reading firmware tables |
//! | `0xffff_d000_0000_0000` | stacks, each above a guard |
//! | `0xffff_ffff_8000_0000` | the image (physical address + this) |

/// First address of the direct map.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Bytes that the direct map can hold: physical addresses at or above are not used.
pub const DIRECT_MAP_BYTES: u64 = 64 << 40;
/// First address for device registers.
pub const DEVICES: u64 = 0xffff_c000_0000_0000;
/// Bytes for device registers.
pub const DEVICES_BYTES: u64 = 4 << 40;
/// The page through which firmware tables are read.
pub const WINDOW: u64 = 0xffff_c800_0000_0000;
/// First address of the stacks.
pub const STACKS: u64 = 0xffff_d000_0000_0000;
/// The image's physical addresses lie this far below its virtual ones.
pub const IMAGE: u64 = 0xffff_ffff_8000_0000;
/// Physical memory that the boot path's own tables map at [`DIRECT_MAP`]: 4 GiB.
pub const BOOT_MAP_BYTES: u64 = 4 << 30;
