//! A guest that has memory: what its virtual CPUs share.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use godwit_devices::{Board, BoardConfig};
use godwit_frames::CpuFrames;
use godwit_guest::{
    VcpuIndex, VcpuSet, baseline::Baseline, description::GuestDescription, msr_policy::MsrPolicy,
};
use godwit_nested::Leaf;
use spin::{
    Mutex,
    mutex::{TicketMutex, TicketMutexGuard},
};

use super::{
    GuestClock, Ram,
    epoch::Epoch,
    life::{End, Life, RunState},
    paging::{Paging, Tables},
    table::Scene,
    vcpu::{Core, Vcpu},
};
use crate::{guests::ConsoleHandle, machine::HostMemory};

/// A guest. What several CPUs change is behind locks; a CPU that holds the lock of a virtual CPU may take the board's or the tables',
/// and not the other way round.
pub struct Guest {
    /// What it is.
    pub description: GuestDescription,
    /// Its RAM.
    pub ram: Ram,
    /// Its nested tables.
    pub paging: Paging,
    /// Its virtual CPUs, by number.
    pub vcpus: Vec<Vcpu>,
    /// What its devices were made with.
    pub config: BoardConfig,
    /// Its clocks.
    pub clock: GuestClock,
    /// What its CPUID answers.
    pub baseline: Baseline,
    /// Whose it is.
    pub trust_domain: TrustDomain,
    /// Whether it may run.
    pub life: Life,
    /// Its console, which outlives it.
    pub console: ConsoleHandle,
    /// Of its nested tables, for what processors remember of them.
    pub(super) epoch: Epoch,
    board: TicketMutex<Board>,
    msr_policy: TicketMutex<MsrPolicy>,
    /// The virtual CPU that crashed, until the first CPU has looked at it.
    crashed: Mutex<Option<VcpuIndex>>,
    /// Set where something happened that the first CPU has to look at.
    notice: AtomicBool,
}

/// What a guest consists of besides its memory.
pub(crate) struct Parts {
    /// One for each virtual CPU, in the order of their numbers.
    pub(crate) cores: Vec<Core>,
    pub(crate) board: Board,
    pub(crate) config: BoardConfig,
    pub(crate) clock: GuestClock,
    pub(crate) baseline: Baseline,
    pub(crate) state: RunState,
    pub(crate) console: ConsoleHandle,
}

/// Names those guests of a host that need no wall between them: the same for guests of one domain, and for no others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrustDomain(pub(super) u64);

impl Guest {
    /// Puts a guest together.
    pub(super) fn new(
        description: GuestDescription,
        ram: Ram,
        tables: Tables,
        trust_domain: TrustDomain,
        parts: Parts,
    ) -> Self {
        let Parts { cores, board, config, clock, baseline, state, console } = parts;
        let vcpus = VcpuIndex::first(cores.len()).zip(cores).map(|(index, core)| Vcpu::new(index, core));
        Self {
            description,
            ram,
            paging: Paging::new(tables),
            vcpus: vcpus.collect(),
            config,
            clock,
            baseline,
            trust_domain,
            life: Life::new(state),
            console,
            epoch: Epoch::new(),
            board: TicketMutex::new(board),
            msr_policy: TicketMutex::new(MsrPolicy::new()),
            crashed: Mutex::new(None),
            notice: AtomicBool::new(false),
        }
    }

    /// One of its virtual CPUs.
    pub fn vcpu(&self, index: VcpuIndex) -> Option<&Vcpu> {
        self.vcpus.get(index.index())
    }

    /// Calls `act` with the devices, then tells the virtual CPUs that got something by it; `own`, whose CPU calls, looks by
    /// itself.
    pub(crate) fn with_board<R>(
        &self,
        scene: Scene<'_>,
        own: Option<VcpuIndex>,
        act: impl FnOnce(&mut Board) -> R,
    ) -> R {
        let mut board = self.board.lock();
        let result = act(&mut board);
        let mut attention = board.take_attention();
        drop(board);
        if let Some(own) = own {
            attention.remove(own);
        }
        self.wake(scene, attention);
        result
    }

    /// Has virtual CPUs look at what came for them.
    pub(crate) fn wake(&self, scene: Scene<'_>, which: VcpuSet) {
        for vcpu in which.iter().filter_map(|index| self.vcpu(index)) {
            vcpu.wake(scene);
        }
    }

    /// Has all virtual CPUs look around.
    pub(crate) fn wake_all(&self, scene: Scene<'_>) {
        self.vcpus.iter().for_each(|vcpu| vcpu.wake(scene));
    }

    /// What other MSRs answer.
    pub(super) fn msr_policy(&self) -> TicketMutexGuard<'_, MsrPolicy> {
        self.msr_policy.lock()
    }

    /// Calls `act` while no virtual CPU runs, with all of them in the order of their numbers. Waits for at most one exit of each.
    pub(crate) fn at_rest<R>(
        &self,
        scene: Scene<'_>,
        act: impl FnOnce(&mut [TicketMutexGuard<'_, Core>]) -> R,
    ) -> R {
        let mut cores: Vec<_> = self.vcpus.iter().map(|vcpu| vcpu.take(scene)).collect();
        act(&mut cores)
    }

    /// Comes to an end by what its virtual CPU `by` did; whoever says so first is believed.
    pub(super) fn end(&self, scene: Scene<'_>, by: VcpuIndex, end: End) -> bool {
        let is_first = self.life.end(end);
        if is_first {
            if end.is_crash() {
                *self.crashed.lock() = Some(by);
            }
            self.wake_all(scene);
            self.notify(scene);
        }
        is_first
    }

    /// The virtual CPU that crashed, for whoever asks first.
    pub(super) fn take_crashed(&self) -> Option<VcpuIndex> {
        self.crashed.lock().take()
    }

    /// Asks the first CPU to look at this guest.
    pub(super) fn notify(&self, scene: Scene<'_>) {
        if !self.notice.swap(true, Ordering::AcqRel) {
            scene.wake_first_cpu();
        }
    }

    /// Whether the guest has to be looked at; asking answers it.
    pub(super) fn take_notice(&self) -> bool {
        self.notice.load(Ordering::Relaxed) && self.notice.swap(false, Ordering::AcqRel)
    }

    /// The leaves that map its RAM, in the order of guest addresses.
    ///
    /// There may be very many: they are shown one by one and not collected. `see` looks at nothing else of the tables.
    pub fn each_leaf(&self, memory: &dyn HostMemory, see: impl FnMut(Leaf)) {
        let tables = self.paging.lock();
        tables.nested.leaves(&tables.frames.look(memory), 0..u64::MAX).for_each(see);
    }

    /// Gives everything back.
    pub fn dismantle(mut self: Box<Self>, frames: &mut CpuFrames<'_, '_>) {
        // Nothing runs on the tables any more: no CPU has any of its virtual CPUs.
        self.vcpus.clear();
        self.paging.lock().frames.free(frames);
        self.ram.free(frames);
        frames.drain();
    }

    /// A guest that no CPU can run any more, as its only owner; `None` where somebody else has it still.
    pub(super) fn alone(guest: Arc<Self>) -> Option<Box<Self>> {
        Arc::into_inner(guest).map(Box::new)
    }
}
