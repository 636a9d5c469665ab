//! One virtual CPU of a guest.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use godwit_frames::HostFrame;
use godwit_guest::{
    VcpuIndex,
    cpu::{Activity, CpuState},
    emulate::KnownCode,
    vcpu::{Exit, StateError, VirtualCpu},
};
use spin::{
    Once,
    mutex::{TicketMutex, TicketMutexGuard},
};

use super::{
    ExitCounters, GuestClock,
    epoch::{Entered, Epoch},
    table::Scene,
};
use crate::scheduler::{Account, TaskKey};

/// What the host CPU that runs a virtual CPU works with.
pub struct Core {
    /// The processor's half.
    pub cpu: Box<dyn VirtualCpu>,
    /// Whether it executes, or what it waits for.
    pub activity: Activity,
    /// Why it stopped so far.
    pub exits: ExitCounters,
    /// Where the code lies that it stopped in last.
    pub known_code: KnownCode,
    /// Nothing older is remembered of the nested tables.
    epoch: u64,
}

impl Core {
    /// One that has not run here yet.
    pub(crate) fn new(cpu: Box<dyn VirtualCpu>, activity: Activity) -> Self {
        Self {
            cpu,
            activity,
            exits: ExitCounters::default(),
            known_code: KnownCode::default(),
            epoch: Epoch::FIRST,
        }
    }

    /// Its whole state, where its guest's time stamp counter shows `tsc`.
    pub(crate) fn saved(&self, tsc: u64) -> CpuState {
        CpuState { activity: self.activity, tsc, ..self.cpu.state() }
    }

    /// Changes its whole state; its time stamp counter goes on.
    ///
    /// # Errors
    /// The processor does not take it; nothing changed.
    pub(super) fn change(
        &mut self,
        clock: &GuestClock,
        change: impl FnOnce(&mut CpuState),
    ) -> Result<(), StateError> {
        let mut state = CpuState { activity: self.activity, ..self.cpu.state() };
        change(&mut state);
        self.cpu.set_state(&state)?;
        self.cpu.set_tsc_offset(clock.tsc_offset());
        self.activity = state.activity;
        Ok(())
    }
}

/// A virtual CPU: its [`Core`] behind a lock that its host CPU holds while it runs it, from the scheduler's pick until it is put back.
pub struct Vcpu {
    /// Its number.
    pub index: VcpuIndex,
    core: TicketMutex<Core>,
    /// Others who want the core: its host CPU lets go of it after the next exit.
    wanted: AtomicU32,
    /// Since when it is in the guest.
    entered: Entered,
    /// Its name with the scheduler, once it has one.
    task: Once<TaskKey>,
}

impl Vcpu {
    pub(super) fn new(index: VcpuIndex, core: Core) -> Self {
        Self {
            index,
            core: TicketMutex::new(core),
            wanted: AtomicU32::new(0),
            entered: Entered::default(),
            task: Once::new(),
        }
    }

    /// Says its name with the scheduler.
    pub(super) fn admitted(&self, task: TaskKey) {
        self.task.call_once(|| task);
    }

    pub(super) fn task(&self) -> Option<TaskKey> {
        self.task.get().copied()
    }

    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// The core, for the host CPU that runs it.
    pub(super) fn own(&self) -> TicketMutexGuard<'_, Core> {
        self.core.lock()
    }

    /// Takes the core between two exits. Waits for at most one exit, which is asked for.
    pub(crate) fn take(&self, scene: Scene<'_>) -> TicketMutexGuard<'_, Core> {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        if let Some(task) = self.task() {
            scene.scheduler.interrupt(scene.machine, task);
        }
        let core = self.core.lock();
        self.wanted.fetch_sub(1, Ordering::AcqRel);
        core
    }

    /// Runs the guest on this host CPU until it stops, with nothing remembered of its nested tables from before `epoch`.
    pub(super) fn run(&self, core: &mut Core, tables: HostFrame, epoch: &Epoch) -> Exit {
        let entered = self.entered.enter(epoch);
        if core.epoch != entered {
            core.cpu.flush_tables();
            core.epoch = entered;
        }
        let exit = core.cpu.run(tables);
        self.entered.leave();
        exit
    }

    /// Whether it is in the guest since before `epoch`.
    pub(super) fn is_in_guest_before(&self, epoch: u64) -> bool {
        self.entered.is_before(epoch)
    }

    /// Has it leave the guest, where it is there since before `epoch`.
    pub(super) fn expel(&self, scene: Scene<'_>, epoch: u64) {
        if self.is_in_guest_before(epoch)
            && let Some(task) = self.task()
        {
            scene.scheduler.interrupt(scene.machine, task);
        }
    }

    /// Has it look at what came for it.
    pub(crate) fn wake(&self, scene: Scene<'_>) {
        if let Some(task) = self.task() {
            scene.scheduler.wake(scene.machine, task);
        }
    }

    /// CPU time that it had here.
    pub(crate) fn account(&self, scene: Scene<'_>) -> Option<Account> {
        scene.scheduler.account(scene.machine, self.task()?)
    }
}
