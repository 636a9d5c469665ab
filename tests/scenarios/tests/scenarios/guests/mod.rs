//! Guests on one host.

mod bad_input;
mod commands;
mod ill_behaved;
mod linux;
mod micro;
mod sharing;
mod tracking;
