//! Second-level page tables as arithmetic, over a caller's table memory.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
