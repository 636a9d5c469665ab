//! Moving a guest: source and destination as state machines without I/O of their own.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
