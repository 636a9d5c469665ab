//! The one door between a running host and the machine under it.

mod memory;
mod network;

use alloc::boxed::Box;
use core::{fmt, time::Duration};

use godwit_guest::{
    baseline::Baseline,
    vcpu::{VcpuError, VirtualCpu},
};

use crate::description::Description;

pub use memory::{HostMemory, OutsideRun};
pub use network::{MAX_HEADER_BYTES, MAX_PIECES, NetworkCounters, NetworkDevice, Piece, TransmitError};

/// A point on the machine's monotonic clock: nanoseconds since boot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant {
    nanoseconds: u64,
}

impl Instant {
    /// The point `nanoseconds` after boot.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds }
    }

    /// Nanoseconds since boot.
    pub const fn as_nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// Time from `earlier` to here, zero where `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }

    /// The point `duration` after this one, saturating.
    pub fn after(self, duration: Duration) -> Self {
        let more = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds: self.nanoseconds.saturating_add(more) }
    }
}

/// A host CPU by number, 0 (the one that booted) to 63.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct CpuNumber(pub u16);

impl fmt::Display for CpuNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{}", self.0)
    }
}

/// A random 128-bit name of one boot of one host; a new boot has a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Incarnation(pub u128);

/// This machine has no hardware randomness that passed its checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRandomness;

/// A short message from one CPU's loop to another's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mail {
    /// Look around: something changed that concerns you. It takes no answer.
    Look,
    /// Answer with [`Mail::Pong`] and the same number.
    Ping {
        /// Who asks.
        from: CpuNumber,
        /// Chosen by the asker.
        number: u32,
    },
    /// The answer to [`Mail::Ping`].
    Pong {
        /// Who answers.
        from: CpuNumber,
        /// As asked.
        number: u32,
    },
    /// Give frames held in this CPU's cache back, then answer with [`Mail::Pong`].
    DrainFrames {
        /// Who asks.
        from: CpuNumber,
        /// Chosen by the asker.
        number: u32,
    },
    /// Raise a fault. Only a CPU that went on in spite of it answers, with [`Mail::Pong`].
    Provoke {
        /// Who asks.
        from: CpuNumber,
        /// Chosen by the asker.
        number: u32,
        /// What to raise.
        fault: Fault,
    },
}

/// The CPU's mailbox holds as many messages as it can; serve your own and try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxFull;

/// A fault that the machine can raise on purpose, so that its report can be tested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A Rust panic.
    Panic,
    /// #DE: division by zero.
    DivideError,
    /// #UD: an undefined instruction.
    InvalidOpcode,
    /// #GP: a non-canonical address.
    GeneralProtection,
    /// #PF: an address that is not mapped.
    PageFault,
    /// #PF: a write to the image's own code.
    WriteToCode,
    /// #PF: a write to the image's own code where the map of all RAM shows it a second time.
    WriteToCodeAlias,
    /// #PF: execution of data.
    ExecuteData,
    /// #DF: a fault whose own gate is broken.
    DoubleFault,
    /// Recursion into the guard page under the stack.
    StackOverflow,
    /// A non-maskable interrupt, by IPI to the CPU that raises it.
    Nmi,
}

/// Why the machine is still here after it was told to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerError(pub &'static str);

/// What a host needs of the machine it runs on. Calls act for the CPU that makes them.
pub trait Machine: Sync {
    /// The monotonic clock; never goes back, on one CPU or across CPUs.
    fn now(&self) -> Instant;

    /// Fills `out` from the hardware's random number generator.
    ///
    /// # Errors
    /// [`NoRandomness`] where the machine has none, or it failed its checks; `out` is then zeroed.
    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness>;

    /// This boot's random name, or `None` where there is no hardware randomness.
    fn incarnation(&self) -> Option<Incarnation>;

    /// The CPU that asks.
    fn this_cpu(&self) -> CpuNumber;

    /// The RAM behind frame runs.
    fn memory(&self) -> &dyn HostMemory;

    /// The network adapter, where there is one.
    fn network(&self) -> Option<&dyn NetworkDevice>;

    /// A new virtual CPU in its reset state, which takes no state that `baseline` does not offer.
    ///
    /// # Errors
    /// [`VcpuError`] with the reason: the processor cannot, or memory is short.
    fn create_vcpu(&self, baseline: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError>;

    /// Says that the guest which runs next on this CPU is of another trust domain than the last: what the processor learnt from
    /// that one (branch predictions, and the first-level cache where it leaks) is dropped, as far as
    /// [`mitigations`](Description::mitigations) says. A guest that goes on where it ran last needs no word.
    fn forget_last_guest(&self);

    /// CPUID of the CPU that asks: EAX, EBX, ECX, EDX.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];

    /// Seconds since 1970, or `None` where the machine has no clock that shows a date.
    fn wall_clock_s(&self) -> Option<i64>;

    /// The time stamp counter, the same on every CPU: the zero of a virtual CPU's
    /// [`set_tsc_offset`](VirtualCpu::set_tsc_offset).
    fn tsc(&self) -> u64;

    /// Interrupts this CPU at `deadline`, which ends a guest's run; `None` takes that back. [`idle`](Self::idle) sets its own.
    fn set_timer(&self, deadline: Option<Instant>);

    /// Bytes of the heap in use, or `None` where the machine does not count them.
    fn heap_used_bytes(&self) -> Option<u64> {
        None
    }

    /// What was found at boot.
    fn description(&self) -> &Description;

    /// Puts `mail` into the mailbox of `to` and wakes it.
    ///
    /// # Errors
    /// [`MailboxFull`]; nothing was sent.
    fn post(&self, to: CpuNumber, mail: Mail) -> Result<(), MailboxFull>;

    /// The oldest message in this CPU's own mailbox.
    fn take_mail(&self) -> Option<Mail>;

    /// Sleeps until an interrupt, mail, or `deadline`, and on CPU 0, which serves the console, also until input or a
    /// console disturbance; may return early.
    ///
    /// Returns at once where one of these came since the caller last looked: a loop that found nothing must not sleep
    /// over what came after.
    fn idle(&self, deadline: Option<Instant>);

    /// Writes to the console as the bytes are; `\n` becomes a line break there.
    fn console_write(&self, bytes: &[u8]);

    /// One byte typed at the console.
    fn console_read(&self) -> Option<u8>;

    /// How many log lines others wrote to the console so far: a line editor redraws when it moves.
    fn console_disturbances(&self) -> u64;

    /// Switches the machine off; returns only when it could not.
    fn power_off(&self) -> PowerError;

    /// Starts the machine again; returns only when it could not.
    fn reset(&self) -> PowerError;

    /// Raises `fault` on this CPU. What happens next is the machine's fault report.
    fn provoke(&self, fault: Fault);
}
