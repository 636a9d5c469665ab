//! Micro guests: a tiny kernel that boots by PVH in a blink, does what its command line names, says on COM1 what came of
//! it, and switches the machine off.
//!
//! ```text
//! test=ud2-gives-ud,memory    these trials, in this order; `all` for every one that comes to an end (the default)
//! test=smp                    every one for several CPUs that comes to an end; on one CPU each says `found: one CPU` and passes
//! test=list                   the names of all: `micro has NAME`, and behind it ` on several CPUs`, ` without end`
//! ```
//!
//! Each trial says one of
//! ```text
//! micro NAME ok
//! micro NAME FAILED: what was expected and what was found
//! ```
//! and before it, where it measures or finds something, `micro NAME figure=KEY VALUE`, `micro NAME found: …`, or `micro NAME begins` where it
//! never ends. The last line is `micro done: N ok, M failed`.
//!
//! Each trial is one property and named after it. By module:
//!
//! | modules | what is tried |
//! |---|---|
//! | `cpuid`, `msr` | what is offered and what is refused; every register of three ranges |
//! | `exceptions`, `delivery`, `levels`, `debug` | every exception with its code and place; gates, stacks, one fault in another; privilege level 3; single steps over what the host carries out |
//! | `pages`, `modes`, `memory_types` | page sizes, rights, what is forgotten when, code that changes; all modes; PAT, MTRRs, caches |
//! | `ports`, `port_strings` | every size and form; INS and OUTS over counts, directions, address sizes, segment and page ends |
//! | `mmio`, `addressing` | instructions on a device beside the same on RAM; every form of address and width |
//! | `pic`, `apic`, `x2apic`, `held_back`, `timers`, `halt`, `serial` | who comes first and what holds back; NMIs; five timers; wake-ups; COM1 |
//! | `clock`, `registers`, `memory`, `heartbeat` | clocks never go back; no register and no page is lost; RAM is zero at start |
//! | `isolation`, `garbage` | every port, all space beyond RAM, random writes to every device |
//! | `ending` | power-off, resets, and what the host has to stop |
//! | `smp` | several CPUs: start and INIT, messages, who hears devices, memory order, clocks, registers, ends |
//! | `count`, `writes` | how much of a processor it has; frames that are written one after the other |
//!
//! It runs under any hypervisor and under plain emulators, whose processors are sometimes more lenient than the
//! architecture: what such a machine does differently is printed as found, while under KVM's signature (which Godwit carries) it fails.
#![no_std]
#![no_main]
// The memory functions below must not be compiled into calls of themselves.
#![no_builtins]
#![allow(unsafe_code, reason = "a kernel: it is nothing but tables, ports and registers of its machine")]

mod acpi;
mod apic;
mod asked;
mod compatibility;
mod console;
mod cpus;
mod environment;
mod faults;
mod interrupts;
// The image's own: there is one such file in the project.
#[path = "../../../../hypervisor/image/src/memory_functions.rs"]
mod memory_functions;
mod mode_switch;
mod pic;
mod pit;
mod processors;
mod rtc;
mod single;
mod start;
mod start_info;
mod time;
mod trial;
mod trials;
mod user;
mod window;
