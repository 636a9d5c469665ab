//! Moves in one simulated world: both sides, their hosts and the network between them, on a virtual clock.

mod efficiency;
mod faults;
mod guest;
mod messages;
mod mutations;
mod network;
mod random;
mod table;
mod timing;
mod world;
