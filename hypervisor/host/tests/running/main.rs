//! Whole hosts on a machine that is only pretended: start, monitor, self-tests, fragmentation, mail, guests.

mod editing;
mod ethernet;
mod events;
mod exits;
mod fake;
mod faults;
mod fragmentation;
mod isolation;
mod mail;
mod moves;
mod network;
mod network_commands;
mod scripted;
mod selftests;
mod session;
mod start;
mod terminal;
mod tracking;
mod world;
mod writer;
