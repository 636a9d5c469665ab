//! Whole hosts: every test boots the image in QEMU, or the micro guests alone.

mod bad_input;
mod boot;
mod faults;
mod fragment;
mod guests;
mod linux_guest;
mod log;
mod micro;
mod monitor;
mod moves;
mod moves_broken;
mod moves_fifty;
mod moves_huge;
mod moves_refused;
mod network;
mod odd_machines;
mod power;
mod selftests;
mod world_switch;
