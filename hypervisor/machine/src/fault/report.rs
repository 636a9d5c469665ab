//! What a fault report says.

use core::{
    fmt::{self, Write},
    panic::PanicInfo,
};

use x86_64::registers::control::{Cr2, Cr3, Cr4};

use super::{backtrace, stop};
use crate::{
    console::Writer,
    cpu::{
        control, local,
        stacks::{self, Place},
    },
    interrupts::{error_code::ErrorCode, stubs::InterruptFrame, vectors},
    memory::image,
    symbols::Symbols,
};

/// An error from the console is nobody's to hear: it is the console.
macro_rules! say {
    ($($argument:tt)*) => {{
        let _ = writeln!(Writer, $($argument)*);
    }};
}

pub(super) fn panic(info: &PanicInfo<'_>) {
    let cpu = local::this().number();
    match info.location() {
        Some(at) => say!("\ngodwit panic on {cpu}: {} at {}:{}", info.message(), at.file(), at.line()),
        None => say!("\ngodwit panic on {cpu}: {}", info.message()),
    }
    say!("backtrace:");
    let mut frames = Frames::default();
    backtrace::walk(backtrace::frame_pointer(), |address| frames.say(address));
    say_stopped();
}

pub(super) fn exception(frame: &InterruptFrame) {
    let cpu = local::this().number();
    let vector = u8::try_from(frame.vector).unwrap_or(u8::MAX);
    say!("\ngodwit fault: {} (vector {vector}) on {cpu}", vectors::exception_name(vector));
    if vectors::has_error_code(vector) {
        say!("  error code {:#018x}{}", frame.error_code, ErrorCode { vector, code: frame.error_code });
    }
    let cr2 = Cr2::read_raw();
    say!("  rip {:#018x} rsp {:#018x} rflags {:#018x} cr2 {cr2:#018x}", frame.rip, frame.rsp, frame.rflags);
    say!("  rax {:#018x} rbx {:#018x} rcx {:#018x} rdx {:#018x}", frame.rax, frame.rbx, frame.rcx, frame.rdx);
    say!("  rsi {:#018x} rdi {:#018x} rbp {:#018x} r8  {:#018x}", frame.rsi, frame.rdi, frame.rbp, frame.r8);
    say!("  r9  {:#018x} r10 {:#018x} r11 {:#018x} r12 {:#018x}", frame.r9, frame.r10, frame.r11, frame.r12);
    say!(
        "  r13 {:#018x} r14 {:#018x} r15 {:#018x} cs {:#06x} ss {:#06x}",
        frame.r13,
        frame.r14,
        frame.r15,
        frame.cs,
        frame.ss
    );
    say!("  cr3 {:#018x} cr4 {:#018x}", Cr3::read_raw().0.start_address().as_u64(), Cr4::read_raw());
    let touched = if vector == vectors::PAGE_FAULT { Some(cr2) } else { None };
    for address in touched.into_iter().chain((vector == vectors::DOUBLE_FAULT).then_some(frame.rsp)) {
        if let Some(Place::Guard { cpu }) = stacks::place(address) {
            say!("  {address:#018x} lies in the guard under a stack of {cpu}: stack overflow");
        }
    }
    if vector == vectors::MACHINE_CHECK {
        control::machine_check_banks(|bank, status, address| {
            say!("  bank {bank} status {status:#018x} address {address:#018x}");
        });
    }
    say!("backtrace:");
    let mut frames = Frames::default();
    frames.say(frame.rip);
    backtrace::walk(frame.rbp, |address| frames.say(address));
    say_stopped();
}

fn say_stopped() {
    for cpu in stop::others() {
        match cpu.stopped_at() {
            Some(rip) => say!("stopped: {} at {}", cpu.number(), Code(rip)),
            None => say!("stopped: {} did not answer", cpu.number()),
        }
    }
    say!("godwit halted");
}

/// Numbers the lines of a backtrace.
#[derive(Default)]
struct Frames(usize);

impl Frames {
    fn say(&mut self, address: u64) {
        say!("  #{} {}", self.0, Code(address));
        self.0 += 1;
    }
}

/// A code address with the function's name where the image carries it.
struct Code(u64);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)?;
        match Symbols::new(image::symbol_bytes()).ok().and_then(|symbols| symbols.lookup(self.0)) {
            Some((name, offset)) if image::text().contains(self.0) => write!(f, " {name}+{offset:#x}"),
            _ => Ok(()),
        }
    }
}
