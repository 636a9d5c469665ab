//! What hosts say to each other, byte by byte.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
