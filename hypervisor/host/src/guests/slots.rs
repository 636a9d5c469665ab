//! Where running guests are: one slot for each host CPU.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use spin::{Mutex, mutex::TicketMutex};

use super::{GuestConsole, guest::Guest};
use crate::machine::{CpuNumber, Machine, Mail};

/// Host CPUs, and so guests that can run at the same time.
pub const MAX_SLOTS: usize = 64;

/// The guest of one host CPU.
pub struct Slot {
    guest: TicketMutex<Option<Box<Guest>>>,
    /// Others who want the guest: its CPU lets go of it after the next exit.
    wanted: AtomicU32,
    /// Set where the guest is another than the one that the CPU ran last.
    is_new: AtomicBool,
    /// Set where something happened that the first CPU has to look at.
    notice: AtomicBool,
    /// The guest's console, apart from the guest, so that looking at it never waits for the guest.
    pub console: Mutex<GuestConsole>,
}

/// All slots. It belongs to no CPU: the first CPU's services and the CPUs that run guests share it.
pub struct GuestTable {
    slots: [Slot; MAX_SLOTS],
}

impl Slot {
    const fn new() -> Self {
        Self {
            guest: TicketMutex::new(None),
            wanted: AtomicU32::new(0),
            is_new: AtomicBool::new(false),
            notice: AtomicBool::new(false),
            console: Mutex::new(GuestConsole::new()),
        }
    }

    /// Whether somebody waits for the guest.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// Says that the guest is a new one.
    pub(super) fn renew(&self) {
        self.is_new.store(true, Ordering::Release);
    }

    /// Whether the guest is a new one; asking answers it.
    pub(super) fn take_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed) && self.is_new.swap(false, Ordering::AcqRel)
    }

    /// Asks the first CPU to look at this slot.
    pub(super) fn notify(&self, machine: &dyn Machine) {
        if !self.notice.swap(true, Ordering::AcqRel) {
            wake(machine, CpuNumber(0));
        }
    }

    /// Whether the slot has to be looked at; asking answers it.
    pub(super) fn take_notice(&self) -> bool {
        self.notice.load(Ordering::Relaxed) && self.notice.swap(false, Ordering::AcqRel)
    }
}

impl GuestTable {
    /// A table without guests.
    pub const fn new() -> Self {
        Self { slots: [const { Slot::new() }; MAX_SLOTS] }
    }

    /// The slot of a CPU.
    pub fn slot(&self, cpu: CpuNumber) -> Option<&Slot> {
        self.slots.get(usize::from(cpu.0))
    }

    /// Calls `act` with what is in the slot of `cpu`, while its CPU keeps its hands off. `None` where there is no such slot.
    ///
    /// Waits for at most one exit of the guest, which is asked for.
    pub fn with<R>(
        &self,
        machine: &dyn Machine,
        cpu: CpuNumber,
        act: impl FnOnce(&mut Option<Box<Guest>>) -> R,
    ) -> Option<R> {
        let slot = self.slot(cpu)?;
        slot.wanted.fetch_add(1, Ordering::AcqRel);
        if cpu != machine.this_cpu() {
            wake(machine, cpu);
        }
        let mut guest = slot.guest.lock();
        slot.wanted.fetch_sub(1, Ordering::AcqRel);
        let result = act(&mut guest);
        drop(guest);
        Some(result)
    }

    /// Calls `act` with the guest of `cpu`; `None` where there is none.
    pub fn with_guest<R>(
        &self,
        machine: &dyn Machine,
        cpu: CpuNumber,
        act: impl FnOnce(&mut Guest) -> R,
    ) -> Option<R> {
        self.with(machine, cpu, |guest| guest.as_deref_mut().map(act)).flatten()
    }

    /// The guest of the CPU that calls, for running it.
    pub(super) fn own(
        &self,
        cpu: CpuNumber,
    ) -> Option<(&Slot, spin::mutex::TicketMutexGuard<'_, Option<Box<Guest>>>)> {
        let slot = self.slot(cpu)?;
        Some((slot, slot.guest.lock()))
    }
}

impl Default for GuestTable {
    fn default() -> Self {
        Self::new()
    }
}

/// Has the CPU's loop look around. A full mailbox wakes it as well.
pub(super) fn wake(machine: &dyn Machine, cpu: CpuNumber) {
    let _ = machine.post(cpu, Mail::Look);
}
