//! Exceptions that a trial provokes on purpose.

use core::{
    fmt,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use crate::interrupts::Frame;

/// Where the CPU goes on after the exception, 0 where none is expected. Swapped out by the exception.
static RESUME: AtomicU64 = AtomicU64::new(0);
static VECTOR: AtomicU64 = AtomicU64::new(u64::MAX);
static ERROR: AtomicU64 = AtomicU64::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);
/// Looks at each exception first; says whether the instruction can be tried again.
static MENDER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

type Mender = fn(&mut Frame, u64) -> bool;

/// An exception that was caught.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caught {
    pub(crate) vector: u8,
    pub(crate) error_code: u64,
    /// CR2 at that moment.
    pub(crate) address: u64,
    pub(crate) rip: u64,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exception {} error {:#x} cr2 {:#x} rip {:#x}",
            self.vector, self.error_code, self.address, self.rip
        )
    }
}

/// The exception of an instruction, or `None` where there was none, as text.
pub(crate) struct Shown(pub(crate) Option<Caught>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(caught) => caught.fmt(f),
            None => f.write_str("no exception"),
        }
    }
}

/// Called by the entries for every exception.
pub(crate) fn arrived(frame: &mut Frame, address: u64) {
    let mender = MENDER.load(Ordering::Relaxed);
    if !mender.is_null() {
        // SAFETY: the pointer was made from a `Mender` in `mend_with`.
        let mender = unsafe { core::mem::transmute::<*mut (), Mender>(mender) };
        if mender(frame, address) {
            return;
        }
    }
    let resume = RESUME.swap(0, Ordering::Relaxed);
    assert!(
        resume != 0,
        "unexpected exception {} error {:#x} at {:#x}, cr2 {address:#x}, rsp {:#x}",
        frame.vector,
        frame.error_code,
        frame.rip,
        frame.rsp
    );
    VECTOR.store(frame.vector, Ordering::Relaxed);
    ERROR.store(frame.error_code, Ordering::Relaxed);
    ADDRESS.store(address, Ordering::Relaxed);
    RIP.store(frame.rip, Ordering::Relaxed);
    frame.rip = resume;
}

/// Lets `mender` see each exception first, or nobody.
pub(crate) fn mend_with(mender: Option<Mender>) {
    let pointer = mender.map_or(core::ptr::null_mut(), |mender| mender as *mut ());
    MENDER.store(pointer, Ordering::Relaxed);
}

/// Where [`catch`] leaves the address to go on at.
pub(crate) fn resume_slot() -> *mut u64 {
    VECTOR.store(u64::MAX, Ordering::Relaxed);
    RESUME.as_ptr()
}

/// What came since [`resume_slot`] was asked for, and expects nothing more.
pub(crate) fn take() -> Option<Caught> {
    RESUME.store(0, Ordering::Relaxed);
    let vector = u8::try_from(VECTOR.swap(u64::MAX, Ordering::Relaxed)).ok()?;
    Some(Caught {
        vector,
        error_code: ERROR.load(Ordering::Relaxed),
        address: ADDRESS.load(Ordering::Relaxed),
        rip: RIP.load(Ordering::Relaxed),
    })
}

/// Executes assembly that may raise an exception, and answers which. The first operand list is for `asm!`; nothing but what
/// it names may change.
macro_rules! catch {
    ($($line:literal),+ ; $($operands:tt)*) => {{
        let slot = $crate::faults::resume_slot();
        // SAFETY: the exception handler goes on at label 77 with all registers as they were.
        unsafe {
            core::arch::asm!(
                "lea {resume}, [rip + 77f]",
                "mov [{slot}], {resume}",
                $($line,)+
                "77:",
                slot = in(reg) slot,
                resume = out(reg) _,
                $($operands)*
            );
        }
        $crate::faults::take()
    }};
}
pub(crate) use catch;
