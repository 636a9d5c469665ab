//! Whole hosts: every test boots the image in QEMU, or the micro guests alone.

mod bad_input;
mod boot;
mod faults;
mod fragment;
mod linux_guest;
mod log;
mod micro;
mod monitor;
mod network;
mod odd_machines;
mod power;
mod selftests;
mod world_switch;
