//! The bootable image.
#![forbid(unsafe_code)]
