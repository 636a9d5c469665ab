//! Free memory made fragmented on purpose, reproducibly.

mod setting;

pub use setting::FragmentSetting;
