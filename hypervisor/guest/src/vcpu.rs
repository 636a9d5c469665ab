//! A virtual CPU as the host drives it, and why it stopped: the same for every processor vendor.

use arrayvec::ArrayVec;
use godwit_frames::HostFrame;
use serde::{Deserialize, Serialize};

use crate::cpu::{Attributes, Control, CpuState, Registers, Segment, Segments};

/// Something that is delivered to the guest through its interrupt table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// An external interrupt.
    Interrupt {
        /// Its vector.
        vector: u8,
    },
    /// A non-maskable interrupt.
    Nmi,
    /// A processor exception. For a page fault, [`VirtualCpu::set_cr2`] first.
    Exception {
        /// Its vector.
        vector: u8,
        /// The error code, for vectors that push one.
        error_code: Option<u32>,
    },
    /// INT n, INT3, INTO, by the instruction itself.
    Software {
        /// Its vector.
        vector: u8,
    },
}

impl Event {
    /// #GP(0).
    pub const GENERAL_PROTECTION: Self = Self::Exception { vector: 13, error_code: Some(0) };
    /// #DB.
    pub const DEBUG: Self = Self::Exception { vector: 1, error_code: None };
    /// #UD.
    pub const INVALID_OPCODE: Self = Self::Exception { vector: 6, error_code: None };
}

/// Why the guest stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Something that is the host's own: an interrupt (already served), an NMI. Look at mail and time, and go on.
    Host,
    /// The guest can take interrupts now, as [`VirtualCpu::request_window`] asked.
    InterruptWindow,
    /// CPUID.
    Cpuid,
    /// HLT.
    Halt,
    /// IN, OUT, INS or OUTS.
    Port {
        /// The port.
        port: u16,
        /// 1, 2 or 4.
        bytes: u8,
        /// IN rather than OUT.
        input: bool,
        /// INS or OUTS: to be decoded and emulated.
        string: bool,
    },
    /// RDMSR of ECX.
    ReadMsr,
    /// WRMSR to ECX.
    WriteMsr,
    /// An access that the nested tables do not allow.
    NestedFault(NestedFault),
    /// VMMCALL or VMCALL.
    Hypercall,
    /// A write of CR8, not carried out: [`Window`] says when.
    WriteTaskPriority,
    /// XSETBV.
    SetExtendedControl,
    /// MOV from CR4, where the guest's differs from the processor's: to be decoded and emulated.
    ReadCr4,
    /// MOV to CR4: to be decoded and emulated.
    WriteCr4,
    /// INT1 (ICEBP): deliver #DB behind it.
    DebugTrap,
    /// WBINVD or INVD: nothing to do but to go on.
    CacheFlush,
    /// PAUSE, executed so often in a row that the guest seems to wait for another of its virtual CPUs: a good moment to let that
    /// one run.
    Pause,
    /// RDTSC, as [`VirtualCpu::intercept_tsc`] asked.
    ReadTsc,
    /// RDTSCP, likewise.
    ReadTscp,
    /// An instruction that the guest's CPUID does not offer: deliver #UD.
    NotOffered,
    /// A triple fault.
    Shutdown,
    /// The processor refused the guest's state. It says why in `detail`.
    Refused {
        /// What is wrong, as far as is known.
        detail: &'static str,
    },
    /// A reason that nothing was expected to cause, by the vendor's number.
    Unexpected {
        /// The number.
        code: u64,
    },
}

/// An access that the nested tables do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NestedFault {
    /// The guest-physical address.
    pub address: u64,
    /// It writes (or both reads and writes).
    pub write: bool,
    /// It fetches an instruction.
    pub fetch: bool,
    /// A leaf is present: it forbids what was tried.
    pub present: bool,
    /// A reserved bit was set in the nested tables: an error of the host.
    pub reserved: bool,
    /// It happened while the guest's own page tables were walked.
    pub in_walk: bool,
}

/// Bytes of an instruction at most (APM vol. 3, 1.1).
pub const MAX_INSTRUCTION_BYTES: usize = 15;

/// Why the guest stopped, and what the processor says about the instruction that did it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub reason: Reason,
    /// Where the next instruction begins, where the processor says so; else it must be decoded.
    pub next_rip: Option<u64>,
    /// The instruction's bytes, where the processor hands them over; else they must be fetched.
    pub instruction: Option<ArrayVec<u8, MAX_INSTRUCTION_BYTES>>,
}

/// The processor does not take this state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the processor does not take the guest's state: {0}")]
pub struct StateError(pub &'static str);

/// This machine cannot make a virtual CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no virtual CPU: {0}")]
pub struct VcpuError(pub &'static str);

/// What emulation needs of the CPU beside its registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemState {
    /// Control registers.
    pub control: Control,
    /// Segment registers. The current privilege level is the DPL of SS.
    pub segments: Segments,
}

/// What a guest has to be able to take: IF is set and nothing holds interrupts off for an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// Any interrupt, whatever the task priority.
    Any,
    /// One of this class, 4 bits: CR8 is below it, too. A vendor half that cannot tell when CR8 falls stops at each write of
    /// it instead, with [`Reason::WriteTaskPriority`].
    Class(u8),
}

/// One virtual CPU, as the processor's vendor half makes it.
///
/// It holds the guest's state between runs; whichever host CPU calls [`run`](Self::run) runs it. Nothing of the guest stays in
/// the host CPU afterwards.
pub trait VirtualCpu: Send {
    /// General registers, RIP and RFLAGS, as of the last exit. Changes hold from the next entry on.
    fn registers(&mut self) -> &mut Registers;

    /// Control and segment registers, as of the last exit.
    fn system(&self) -> SystemState;

    /// The control registers alone, for exits that need no more.
    fn control(&self) -> Control {
        self.system().control
    }

    /// The code segment and the current privilege level alone.
    fn code_segment(&self) -> (Segment, u8) {
        let segments = self.system().segments;
        (segments.cs, (segments.ss.attributes & Attributes::DPL).bits() as u8 >> 5)
    }

    /// The whole state; [`Activity`](crate::cpu::Activity) is left at running: the host knows.
    fn state(&self) -> CpuState;

    /// Replaces the whole state.
    ///
    /// # Errors
    /// [`StateError`]; the state is then unchanged.
    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError>;

    /// Runs the guest on this host CPU until it stops. `tables` is the root of its nested page tables.
    ///
    /// Host interrupts that arrive meanwhile end the run and are served before it returns.
    fn run(&mut self, tables: HostFrame) -> Exit;

    /// Says that the nested tables lost or changed mappings, rights, or accessed and dirty bits: the next run begins with
    /// none of their translations cached. What only gained rights needs no word.
    fn flush_tables(&mut self);

    /// Delivers `event` at the next entry. One at a time: check [`has_pending`](Self::has_pending).
    fn inject(&mut self, event: Event);

    /// Whether an event waits for the next entry: one injected, or one whose delivery was cut off by an exit.
    fn has_pending(&self) -> bool;

    /// Whether the guest would take an external interrupt now: IF set, no shadow, nothing pending.
    fn can_take_interrupt(&self) -> bool;

    /// Whether interrupts are held off for one instruction, behind STI or a load of SS.
    fn in_interrupt_shadow(&self) -> bool;

    /// Whether the guest would take an NMI now.
    fn can_take_nmi(&self) -> bool;

    /// Asks for an exit with [`Reason::InterruptWindow`] as soon as the guest can take such an interrupt, or takes that back.
    /// It opens once.
    fn request_window(&mut self, wanted: Option<Window>);

    /// Goes on behind the instruction that exited: sets RIP and ends the interrupt shadow.
    fn advance_to(&mut self, next_rip: u64);

    /// CR2, for page faults that the host injects.
    fn set_cr2(&mut self, address: u64);

    /// XCR0; the caller has checked it against the guest's baseline.
    fn set_xcr0(&mut self, value: u64);

    /// Carries out the guest's own write of CR4. `false`: the guest's baseline does not offer a bit of `value`, or long mode
    /// forbids it; nothing changed, and the write raises #GP(0).
    fn write_cr4(&mut self, value: u64) -> bool;

    /// The task priority as CR8 has it, 4 bits.
    fn task_priority(&self) -> u8;

    /// Sets CR8.
    fn set_task_priority(&mut self, priority: u8);

    /// Reads one of the MSRs that are part of [`CpuState`] but not passed through, or `None` where it is none of them.
    fn read_msr(&self, msr: u32) -> Option<u64>;

    /// Writes one of them. `Some(false)` refuses the value (#GP), `None` means that it is none of them.
    fn write_msr(&mut self, msr: u32, value: u64) -> Option<bool>;

    /// What is added to the host's time stamp counter (as all its CPUs agree on it, and
    /// [scaled](Self::set_tsc_rate)) to give the guest's.
    fn tsc_offset(&self) -> u64;

    /// Sets what is added, wrapping.
    fn set_tsc_offset(&mut self, offset: u64);

    /// Has runs end with [`Reason::Pause`] where the guest waits in a loop of PAUSE, or takes that back: after as many
    /// as the processor counts, and never where it counts none.
    fn stop_at_pause(&mut self, wanted: bool);

    /// Asks for an exit at each RDTSC ([`Reason::ReadTsc`]) and RDTSCP ([`Reason::ReadTscp`]), or takes that back. The privilege
    /// that CR4.TSD asks for was checked before the exit.
    fn intercept_tsc(&mut self, wanted: bool);

    /// Whether the processor can give the guest a time stamp counter of another rate than the host's.
    fn has_tsc_scaling(&self) -> bool {
        false
    }

    /// Has the guest's time stamp counter run at `guest_hz` where the host's runs at `host_hz`. The offset is added to the scaled
    /// counter: set it afterwards. `false`: nothing changed, for the processor cannot scale, or not by so much.
    fn set_tsc_rate(&mut self, guest_hz: u64, host_hz: u64) -> bool {
        let _ = (guest_hz, host_hz);
        false
    }
}
