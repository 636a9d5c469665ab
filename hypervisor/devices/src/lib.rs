//! What a guest sees besides its CPU and its memory.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
