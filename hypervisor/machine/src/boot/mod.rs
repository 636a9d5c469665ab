//! The boot paths: each turns what its loader left in memory into [`godwit_host::boot::BootInfo`].

pub mod pvh;
