//! Random operations on a board, and what each answers.

use std::cell::RefCell;

use godwit_devices::{Board, BoardConfig, GuestTime, Now, Start};
use godwit_guest::{GuestAddress, GuestMemory, MAX_VCPUS, NotRam, VcpuIndex, VcpuSet};
use proptest::prelude::*;

/// How many CPUs the boards here have, where nothing else is said.
pub(crate) const CPUS: usize = 4;

pub(crate) const CONFIG: BoardConfig = BoardConfig {
    cpus: CPUS as u8,
    memory_bytes: 1 << 30,
    tsc_hz: 2_500_000_000,
    wall_clock_start_s: 1_790_000_000,
};

/// A guest's first 64 KiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Memory(RefCell<Vec<u8>>);

impl Memory {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(vec![0; 1 << 16]))
    }
}

impl GuestMemory for Memory {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        let bytes = self.0.borrow();
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        out.copy_from_slice(bytes.get(from..).and_then(|it| it.get(..out.len())).ok_or(NotRam { at })?);
        Ok(())
    }

    fn write(&self, at: GuestAddress, new: &[u8]) -> Result<(), NotRam> {
        let mut bytes = self.0.borrow_mut();
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let to = bytes.get_mut(from..).and_then(|it| it.get_mut(..new.len())).ok_or(NotRam { at })?;
        to.copy_from_slice(new);
        Ok(())
    }
}

/// One thing that a guest or its host does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    In(u16, u8),
    Out(u16, u8, u32),
    Load(u64, u8),
    Store(u64, u8, u64),
    ReadMsr(u32),
    WriteMsr(u32, u64),
    Advance,
    Accept,
    TakeNmi,
    TakeStart,
    SetTaskPriority(u8),
    TakeRequest,
    TakeOutput,
    Type(u8),
    PressPowerButton,
    AfterPause,
}

/// What a board says after an operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    value: Option<u64>,
    start: Option<Start>,
    output: Vec<u8>,
    attention: VcpuSet,
    /// Of every CPU, and of the one that was driven once more: there may be no such CPU.
    cpus: Vec<CpuAnswer>,
}

/// What it says of one CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
struct CpuAnswer {
    has_interrupt: bool,
    held_back_class: Option<u8>,
    task_priority: u8,
    deadline: Option<GuestTime>,
}

/// Carries out what `vcpu`, or the host for it, does, and says what was to be seen.
pub(crate) fn drive(
    board: &mut Board,
    now: Now,
    vcpu: VcpuIndex,
    operation: Operation,
    memory: &Memory,
) -> Answer {
    let mut start = None;
    let mut output = Vec::new();
    let value = match operation {
        Operation::In(port, bytes) => Some(board.read_port(now, port, bytes).into()),
        Operation::Out(port, bytes, value) => {
            board.write_port(now, port, bytes, value);
            None
        }
        Operation::Load(address, bytes) => Some(board.read_mmio(now, vcpu, address, bytes)),
        Operation::Store(address, bytes, value) => {
            board.write_mmio(now, vcpu, address, bytes, value);
            None
        }
        Operation::ReadMsr(msr) => board.read_msr(now, vcpu, msr).and_then(Result::ok),
        Operation::WriteMsr(msr, value) => {
            board.write_msr(now, vcpu, msr, value, memory).map(|result| u64::from(result.is_ok()))
        }
        Operation::Advance => {
            board.advance(now);
            None
        }
        Operation::Accept => board.accept_interrupt(vcpu).map(u64::from),
        Operation::TakeNmi => Some(board.take_nmi(vcpu).into()),
        Operation::TakeStart => {
            start = board.take_start(vcpu);
            None
        }
        Operation::SetTaskPriority(priority) => {
            board.set_task_priority(vcpu, priority);
            None
        }
        Operation::TakeRequest => board.take_request().map(|request| request as u64),
        Operation::TakeOutput => {
            board.take_output(&mut |bytes| output.extend_from_slice(bytes));
            None
        }
        Operation::Type(byte) => Some(board.type_byte(now, byte).into()),
        Operation::PressPowerButton => {
            board.press_power_button(now);
            None
        }
        Operation::AfterPause => {
            board.after_pause(now, memory);
            None
        }
    };
    let cpus = VcpuIndex::first(CPUS).chain([vcpu]).map(|vcpu| CpuAnswer {
        has_interrupt: board.has_interrupt(vcpu),
        held_back_class: board.held_back_class(vcpu),
        task_priority: board.task_priority(vcpu),
        deadline: board.deadline(now, vcpu),
    });
    let cpus = cpus.collect();
    Answer { value, start, output, attention: board.take_attention(), cpus }
}

/// Operations that the host does by itself, and those of every guest.
pub(crate) fn hosts() -> impl Strategy<Value = Operation> + Clone {
    prop_oneof![
        3 => Just(Operation::Advance),
        3 => Just(Operation::Accept),
        1 => Just(Operation::TakeNmi),
        2 => Just(Operation::TakeStart),
        1 => any::<u8>().prop_map(Operation::SetTaskPriority),
        1 => Just(Operation::TakeRequest),
        1 => Just(Operation::TakeOutput),
        2 => any::<u8>().prop_map(Operation::Type),
        1 => Just(Operation::PressPowerButton),
        1 => Just(Operation::AfterPause),
    ]
}

/// Accesses to these ports.
pub(crate) fn ports(ports: &'static [u16]) -> impl Strategy<Value = Operation> + Clone {
    let port = prop::sample::select(ports);
    let bytes = prop_oneof![8 => Just(1u8), 1 => Just(2u8), 1 => Just(4u8)];
    let value = prop_oneof![any::<u8>().prop_map(u32::from), any::<u32>()];
    (port, bytes, value, any::<bool>()).prop_map(|(port, bytes, value, write)| {
        if write { Operation::Out(port, bytes, value) } else { Operation::In(port, bytes) }
    })
}

/// Most often a CPU that the boards here have.
pub(crate) fn vcpus() -> impl Strategy<Value = VcpuIndex> + Clone {
    let index = prop_oneof![4 => Just(0), 6 => 0..CPUS, 1 => 0..MAX_VCPUS];
    index.prop_map(|index| VcpuIndex::new(index).unwrap_or_default())
}

/// How far both clocks go between two operations: nanoseconds.
pub(crate) fn steps() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0u64..2_000, 0u64..3_000_000, 0u64..4_000_000_000]
}

/// Both clocks after `nanoseconds`.
pub(crate) fn after(now: Now, nanoseconds: u64) -> Now {
    Now {
        time: now.time.after(nanoseconds),
        tsc: now.tsc.wrapping_add((u128::from(nanoseconds) * 5 / 2) as u64),
    }
}
