//! Free memory made fragmented on purpose, reproducibly.
//!
//! `fragment PERCENT SEED` breaks up PERCENT of the free 2 MiB blocks: it walks them upward, chooses exactly that many by
//! selection sampling over [`SplitMix64`](crate::split_mix::SplitMix64) seeded with SEED, and takes 1 to 4 single frames
//! in each, at places that the same generator chooses. A quarter of the chosen blocks is taken as unmovable, the others
//! as movable. The same seed on the same memory gives the same picture. `defragment` gives all of it back.

mod job;
mod pins;
mod setting;

pub(crate) use job::{FragmentJob, GiveBackJob};
pub use pins::Pins;
pub use setting::FragmentSetting;
