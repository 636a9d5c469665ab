//! Emulated instructions, on a virtual CPU, memory and devices that only pretend.

mod accesses;
mod arithmetic;
mod backtrace;
mod control;
mod fake;
mod faults;
mod garbage;
mod length;
mod strings;
mod task_priority;
mod walk;
