//! The driver, with a pretended device.
