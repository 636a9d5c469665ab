//! A guest that has memory: everything its CPU needs to run it.

use alloc::boxed::Box;

use godwit_devices::{Board, BoardConfig};
use godwit_frames::CpuFrames;
use godwit_guest::{
    baseline::Baseline, cpu::Activity, description::GuestDescription, emulate::KnownCode,
    msr_policy::MsrPolicy, vcpu::VirtualCpu,
};
use godwit_nested::{Leaf, NestedTables, Npt};

use super::{ExitCounters, GuestClock, Ram, TableFrames};
use crate::machine::HostMemory;

/// Whether the guest may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunState {
    /// Its CPU runs it.
    Running,
    /// Somebody stopped it for a while.
    Paused,
    /// It came to an end; its memory is still there.
    Ended(End),
}

/// How a guest came to an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It switched itself off.
    PoweredOff,
    /// It asked to be started again.
    Reset,
    /// A triple fault.
    TripleFault {
        /// Where.
        rip: u64,
    },
    /// It did what cannot be carried out.
    Stuck {
        /// What.
        why: &'static str,
        /// Where.
        rip: u64,
        /// The address or number that belongs to it.
        detail: u64,
    },
    /// The processor does not run its state.
    Refused(&'static str),
}

/// The parts of a guest that its CPU works with.
pub struct Guest {
    /// What it is.
    pub description: GuestDescription,
    /// Its RAM.
    pub ram: Ram,
    /// Where its nested tables are.
    pub table_frames: TableFrames,
    /// Its nested tables.
    pub tables: NestedTables<Npt>,
    /// Its CPU.
    pub vcpu: Box<dyn VirtualCpu>,
    /// Whether its CPU waits in HLT.
    pub activity: Activity,
    /// Its devices.
    pub board: Board,
    /// What its devices were made with.
    pub config: BoardConfig,
    /// Its clocks.
    pub clock: GuestClock,
    /// What its CPUID answers.
    pub baseline: Baseline,
    /// What other MSRs answer.
    pub msr_policy: MsrPolicy,
    /// Whether it may run.
    pub state: RunState,
    /// Why it stopped so far.
    pub exits: ExitCounters,
    /// Where the code lies that it stopped in last.
    pub known_code: KnownCode,
}

impl Guest {
    /// The leaves that map its RAM, in the order of guest addresses.
    ///
    /// There may be very many: they are shown one by one and not collected.
    pub fn each_leaf(&self, memory: &dyn HostMemory, see: impl FnMut(Leaf)) {
        self.tables.leaves(&self.table_frames.look(memory), 0..u64::MAX).for_each(see);
    }

    /// Gives everything back.
    pub fn dismantle(mut self, frames: &mut CpuFrames<'_, '_>) {
        // Nothing runs on the tables any more: the guest is out of its slot.
        drop(self.vcpu);
        self.table_frames.free(frames);
        self.ram.free(frames);
        frames.drain();
    }
}
