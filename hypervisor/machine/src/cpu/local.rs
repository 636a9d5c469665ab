//! What each processor keeps for itself, found through its GS base.

use core::{
    arch::asm,
    mem::offset_of,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

use arrayvec::ArrayVec;
use godwit_host::machine::{CpuNumber, Mail, MailboxFull};
use spin::Mutex;
use x86_64::{VirtAddr, registers::model_specific::GsBase};

use super::MAX_CPUS;

/// Messages one mailbox holds.
const MAILBOX: usize = 128;

/// One processor's own state. Others may read it and post mail to it.
pub struct Cpu {
    /// Its own address: what the GS base points to, so that one load finds it.
    own: AtomicPtr<Cpu>,
    number: CpuNumber,
    apic_id: AtomicU32,
    alive: AtomicBool,
    timer_hz: AtomicU64,
    /// What to add to its time stamp counter so that it does not lag.
    tsc_offset: AtomicU64,
    mailbox: Mutex<ArrayVec<Mail, MAILBOX>>,
    /// Where the processor was when it was stopped for a fault report elsewhere; `rip` 0 while it runs.
    stopped_rip: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = {
    let mut cpus = [const { Cpu::new(CpuNumber(0)) }; MAX_CPUS];
    let mut number = 0;
    while number < MAX_CPUS {
        cpus[number].number = CpuNumber(number as u16);
        number += 1;
    }
    cpus
};
static COUNT: AtomicUsize = AtomicUsize::new(1);

impl Cpu {
    const fn new(number: CpuNumber) -> Self {
        Self {
            own: AtomicPtr::new(core::ptr::null_mut()),
            number,
            apic_id: AtomicU32::new(0),
            alive: AtomicBool::new(false),
            timer_hz: AtomicU64::new(0),
            tsc_offset: AtomicU64::new(0),
            mailbox: Mutex::new(ArrayVec::new_const()),
            stopped_rip: AtomicU64::new(0),
        }
    }

    /// The processor's number.
    pub fn number(&self) -> CpuNumber {
        self.number
    }

    /// The id of its local APIC.
    pub fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    /// Notes the id of its local APIC.
    pub fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    /// Whether it reached its own Rust code.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Says that it reached its own Rust code.
    pub fn set_alive(&self) {
        self.alive.store(true, Ordering::Release);
    }

    /// Counts per second of its local APIC timer, 0 before calibration.
    pub fn timer_hz(&self) -> u64 {
        self.timer_hz.load(Ordering::Relaxed)
    }

    /// Notes the counts per second of its local APIC timer.
    pub fn set_timer_hz(&self, hz: u64) {
        self.timer_hz.store(hz, Ordering::Relaxed);
    }

    /// What to add to its time stamp counter, in ticks.
    pub fn tsc_offset(&self) -> u64 {
        self.tsc_offset.load(Ordering::Relaxed)
    }

    /// Adds `ticks` to what is added to its time stamp counter. Only the processor itself calls it.
    pub fn advance_tsc(&self, ticks: u64) {
        self.tsc_offset.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Puts `mail` at the end of its mailbox.
    ///
    /// # Errors
    /// [`MailboxFull`]; nothing was added.
    pub fn post(&self, mail: Mail) -> Result<(), MailboxFull> {
        self.mailbox.lock().try_push(mail).map_err(|_| MailboxFull)
    }

    /// The oldest message in its mailbox.
    pub fn take_mail(&self) -> Option<Mail> {
        self.mailbox.lock().pop_at(0)
    }

    /// Whether a message waits.
    pub fn has_mail(&self) -> bool {
        !self.mailbox.lock().is_empty()
    }

    /// Where it was stopped for a fault report, or `None` while it runs.
    pub fn stopped_at(&self) -> Option<u64> {
        match self.stopped_rip.load(Ordering::Acquire) {
            0 => None,
            rip => Some(rip),
        }
    }

    /// Notes where it was stopped. Address 0 is kept as 1: it must not read as running.
    pub fn set_stopped(&self, rip: u64) {
        // The first place counts: an NMI may find a processor that stopped by itself.
        let _ = self.stopped_rip.compare_exchange(0, rip.max(1), Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// All processors that have a number so far.
pub fn all() -> &'static [Cpu] {
    let count = COUNT.load(Ordering::Acquire).min(MAX_CPUS);
    CPUS.get(..count).unwrap_or(&CPUS)
}

/// The processor with this number, or `None` where there is none.
pub fn get(number: CpuNumber) -> Option<&'static Cpu> {
    all().get(usize::from(number.0))
}

/// Says how many processors have a number.
pub fn set_count(count: usize) {
    COUNT.store(count.clamp(1, MAX_CPUS), Ordering::Release);
}

/// Makes the calling processor the one with this number: from then on [`this`] finds it.
///
/// # Safety
/// Each processor calls it once, with a number that no other has, before any code there calls [`this`].
pub unsafe fn adopt(number: CpuNumber) {
    if let Some(cpu) = CPUS.get(usize::from(number.0)) {
        // The GS base carries the address; a static never moves.
        cpu.own.store(core::ptr::from_ref(cpu).cast_mut(), Ordering::Relaxed);
        GsBase::write(VirtAddr::from_ptr(cpu));
    }
}

/// The processor that asks.
pub fn this() -> &'static Cpu {
    let cpu: *const Cpu;
    // SAFETY: `adopt` ran on this processor before anything that asks, so the GS base is the address of an element of
    // the static `CPUS`, whose `own` is that address too; nothing else writes either. To read it by RDMSR would be
    // many times as slow, and a world switch asks several times.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) cpu, const offset_of!(Cpu, own), options(nostack, preserves_flags, pure, readonly));
        &*cpu
    }
}
