//! What is left to see of a guest that came to an end it did not ask for.

use alloc::boxed::Box;
use core::fmt::{self, Write};

use arrayvec::ArrayVec;
use godwit_guest::{
    MAX_VCPUS, VcpuIndex,
    cpu::{Activity, General, Registers, Segment},
    emulate::{
        Bytes,
        backtrace::{Backtrace, backtrace, code_address, code_bits},
        fetch,
    },
    vcpu::SystemState,
};
use spin::mutex::TicketMutexGuard;

use super::{End, Guest, RunState, Scene, vcpu::Core};
use crate::banner::layout;

/// Registers in the order in which they are shown.
const GENERAL: [(&str, General); 16] = [
    ("rax", General::Rax),
    ("rbx", General::Rbx),
    ("rcx", General::Rcx),
    ("rdx", General::Rdx),
    ("rsi", General::Rsi),
    ("rdi", General::Rdi),
    ("rbp", General::Rbp),
    ("rsp", General::Rsp),
    ("r8", General::R8),
    ("r9", General::R9),
    ("r10", General::R10),
    ("r11", General::R11),
    ("r12", General::R12),
    ("r13", General::R13),
    ("r14", General::R14),
    ("r15", General::R15),
];

/// A guest's end: the virtual CPU that came to it, and a line about each other one.
///
/// After a triple fault, a processor may have left other values than the guest's (APM vol. 2, 15.14.3 calls them undefined).
/// QEMU leaves the guest's.
#[derive(Clone, Debug)]
pub struct Crash {
    end: End,
    vcpu: VcpuIndex,
    registers: Registers,
    system: SystemState,
    /// What stands at RIP, as far as it can be fetched.
    code: Bytes,
    backtrace: Backtrace,
    others: ArrayVec<Other, MAX_VCPUS>,
}

/// A virtual CPU of the same guest.
#[derive(Clone, Copy, Debug)]
struct Other {
    vcpu: VcpuIndex,
    activity: Activity,
    rip: u64,
}

/// Looks at a guest that crashed; `None` where it did not, or was looked at before.
///
/// The first CPU asks. Nothing runs the guest any more, so what it left stays as it is until then: whichever CPU it crashed on
/// says only which virtual CPU it was.
pub(super) fn take(scene: Scene<'_>, guest: &Guest) -> Option<Box<Crash>> {
    let vcpu = guest.take_crashed()?;
    let RunState::Ended(end) = guest.life.state() else { return None };
    guest.at_rest(scene, |cores| look(scene, guest, end, vcpu, cores))
}

fn look(
    scene: Scene<'_>,
    guest: &Guest,
    end: End,
    vcpu: VcpuIndex,
    cores: &mut [TicketMutexGuard<'_, Core>],
) -> Option<Box<Crash>> {
    let mut others = ArrayVec::new();
    for (index, core) in VcpuIndex::first(cores.len()).zip(cores.iter_mut()) {
        let rip = core.cpu.registers().rip;
        if index != vcpu {
            let _ = others.try_push(Other { vcpu: index, activity: core.activity, rip });
        }
    }
    let core = cores.get_mut(vcpu.index())?;
    let door = guest.ram.door(scene.machine.memory());
    let (registers, system) = (*core.cpu.registers(), core.cpu.system());
    let code = fetch(core.cpu.as_mut(), &door);
    let backtrace = backtrace(&registers, &system, &door);
    Some(Box::new(Crash { end, vcpu, registers, system, code, backtrace, others }))
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { end, vcpu, registers, .. } = self;
        write!(f, "crashed on {vcpu} at {:#x}: ", registers.rip)?;
        match end {
            End::TripleFault { .. } => write!(f, "triple fault"),
            End::Stuck { why, detail, .. } => write!(f, "{why} ({detail:#x})"),
            End::Refused(why) => write!(f, "the processor refuses its state: {why}"),
            // No crash.
            End::PoweredOff | End::Reset => write!(f, "it ended"),
        }
    }
}

impl Crash {
    /// All that is known, for people.
    pub(crate) fn write(&self, out: &mut impl Write) -> fmt::Result {
        let Self { registers, system, .. } = self;
        let (bits, linear) = (code_bits(system), code_address(registers, system));
        let code = &self.code;
        if linear == registers.rip {
            layout::paragraph(out, "code", format_args!("{bits}-bit code: {code}"))?;
        } else {
            layout::paragraph(
                out,
                "code",
                format_args!("{bits}-bit code at linear address {linear:#x}: {code}"),
            )?;
        }
        for line in GENERAL.chunks(4) {
            write!(out, "           ")?;
            for (name, register) in line {
                write!(out, " {name:<3} {:016x}", registers.get(*register))?;
            }
            writeln!(out)?;
        }
        let control = &system.control;
        for line in [
            [("rip", registers.rip), ("rflags", registers.rflags), ("efer", control.efer)].as_slice(),
            [("cr0", control.cr0), ("cr2", control.cr2), ("cr3", control.cr3), ("cr4", control.cr4)]
                .as_slice(),
        ] {
            write!(out, "           ")?;
            for (name, value) in line {
                write!(out, " {name} {value:016x}")?;
            }
            writeln!(out)?;
        }
        for (name, Segment { selector, attributes, limit, base }) in self.segments() {
            let attributes = attributes.bits();
            layout::paragraph(
                out,
                "",
                format_args!("{name} {selector:04x} base {base:x} limit {limit:x} attributes {attributes:x}"),
            )?;
        }
        layout::paragraph(out, "backtrace", format_args!("#0 {:#x}", registers.rip))?;
        for (number, back) in (1..).zip(&self.backtrace.returns) {
            layout::paragraph(out, "", format_args!("#{number} {back:#x}"))?;
        }
        layout::paragraph(out, "", format_args!("it ends there: {}", self.backtrace.end))?;
        for Other { vcpu, activity, rip } in &self.others {
            layout::paragraph(out, "", format_args!("{vcpu} {} at {rip:#x}", activity_name(*activity)))?;
        }
        Ok(())
    }

    /// The same for programs: a key and its values in a line each.
    pub(crate) fn write_raw(&self, out: &mut impl Write) -> fmt::Result {
        let Self { registers, system, .. } = self;
        writeln!(out, "vcpu {}", self.vcpu.index())?;
        writeln!(out, "code {} {}", code_bits(system), self.code)?;
        for (name, register) in GENERAL {
            writeln!(out, "register {name} {:#x}", registers.get(register))?;
        }
        let control = &system.control;
        for (name, value) in [
            ("rip", registers.rip),
            ("rflags", registers.rflags),
            ("cr0", control.cr0),
            ("cr2", control.cr2),
            ("cr3", control.cr3),
            ("cr4", control.cr4),
            ("efer", control.efer),
        ] {
            writeln!(out, "register {name} {value:#x}")?;
        }
        for (name, Segment { selector, attributes, limit, base }) in self.segments() {
            writeln!(out, "segment {name} {selector:#x} {base:#x} {limit:#x} {:#x}", attributes.bits())?;
        }
        for (number, back) in [registers.rip].iter().chain(&self.backtrace.returns).enumerate() {
            writeln!(out, "frame {number} {back:#x}")?;
        }
        for Other { vcpu, activity, rip } in &self.others {
            writeln!(out, "other {} {} {rip:#x}", vcpu.index(), activity_name(*activity))?;
        }
        Ok(())
    }

    fn segments(&self) -> [(&'static str, Segment); 2] {
        [("cs", self.system.segments.cs), ("ss", self.system.segments.ss)]
    }
}

const fn activity_name(activity: Activity) -> &'static str {
    match activity {
        Activity::Running => "running",
        Activity::Halted => "halted",
        Activity::WaitingForStartUp => "off",
    }
}
