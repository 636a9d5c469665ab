//! The host's own address space.

pub mod layout;
pub mod mtrr;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "names symbols that the linker script defines")]
pub mod image;

#[cfg(feature = "kernel")]
pub mod address_space;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "reads and writes page tables and memory by address")]
pub mod direct_map;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "copies to and from frames by address")]
pub mod frame_access;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "page tables are raw memory that the processor reads too")]
pub mod paging;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "maps firmware tables for reading")]
pub mod window;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "gives frames to page tables for good")]
pub mod table_frames;
