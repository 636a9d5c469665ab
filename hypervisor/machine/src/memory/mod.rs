//! The host's own address space.

pub mod layout;
