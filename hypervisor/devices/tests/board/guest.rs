//! A guest with several CPUs, as tests drive it.

use godwit_devices::{Board, BoardConfig, Now, Start};
use godwit_guest::{VcpuIndex, VcpuSet};

use crate::drive::{CONFIG, Memory};

/// The local APIC's page and some of its registers.
const LOCAL_APIC: u64 = 0xfee0_0000;
pub(crate) const TASK_PRIORITY: u64 = 0x80;
pub(crate) const END: u64 = 0xb0;
pub(crate) const LOGICAL_DESTINATION: u64 = 0xd0;
pub(crate) const DESTINATION_FORMAT: u64 = 0xe0;
pub(crate) const SPURIOUS: u64 = 0xf0;
pub(crate) const COMMAND: u64 = 0x300;
pub(crate) const COMMAND_HIGH: u64 = 0x310;
pub(crate) const TIMER: u64 = 0x320;
pub(crate) const INITIAL_COUNT: u64 = 0x380;
const IO_APIC: u64 = 0xfec0_0000;
pub(crate) const APIC_BASE: u32 = 0x1b;

pub(crate) fn cpu(index: usize) -> VcpuIndex {
    VcpuIndex::new(index).expect("guests have so many")
}

pub(crate) fn set(cpus: &[usize]) -> VcpuSet {
    let mut set = VcpuSet::EMPTY;
    for index in cpus {
        set.insert(cpu(*index));
    }
    set
}

pub(crate) struct Guest {
    pub(crate) board: Board,
    pub(crate) memory: Memory,
    pub(crate) now: Now,
    cpus: usize,
}

impl Guest {
    /// As firmware leaves it: all but the first CPU wait.
    pub(crate) fn at_start(cpus: u8) -> Self {
        let board = Board::new(&BoardConfig { cpus, ..CONFIG });
        Self { board, memory: Memory::new(), now: Now::default(), cpus: cpus.into() }
    }

    /// All CPUs run with their local APICs on, in xAPIC mode, flat logical ids.
    pub(crate) fn new(cpus: u8) -> Self {
        let mut guest = Self::at_start(cpus);
        for index in 0..guest.cpus {
            if index > 0 {
                guest.send(0, (index as u64) << 24, 0x4608);
                assert_eq!(guest.take_start(index), Some(Start::StartUp { vector: 8 }));
            }
            guest.store(index, SPURIOUS, 0x1ff);
            guest.store(index, LOGICAL_DESTINATION, 1 << (24 + index % 8));
        }
        guest.board.take_attention();
        guest
    }

    /// As [`new`](Self::new), and all CPUs in x2APIC mode.
    pub(crate) fn x2apic(cpus: u8) -> Self {
        let mut guest = Self::new(cpus);
        for index in 0..guest.cpus {
            let base = guest.read_msr(index, APIC_BASE).expect("it can be read");
            assert!(guest.write_msr(index, APIC_BASE, base | 0x400));
        }
        guest
    }

    pub(crate) fn store(&mut self, index: usize, offset: u64, value: u64) {
        self.board.write_mmio(self.now, cpu(index), LOCAL_APIC + offset, 4, value);
    }

    pub(crate) fn load(&mut self, index: usize, offset: u64) -> u64 {
        self.board.read_mmio(self.now, cpu(index), LOCAL_APIC + offset, 4)
    }

    pub(crate) fn read_msr(&mut self, index: usize, msr: u32) -> Option<u64> {
        self.board.read_msr(self.now, cpu(index), msr).and_then(Result::ok)
    }

    /// Whether the register took the value.
    pub(crate) fn write_msr(&mut self, index: usize, msr: u32, value: u64) -> bool {
        self.board
            .write_msr(self.now, cpu(index), msr, value, &self.memory)
            .is_some_and(|answer| answer.is_ok())
    }

    /// Sends a message by xAPIC registers.
    pub(crate) fn send(&mut self, from: usize, high: u64, low: u64) {
        self.store(from, COMMAND_HIGH, high);
        self.store(from, COMMAND, low);
    }

    pub(crate) fn set_io_apic_entry(&mut self, pin: u64, entry: u64) {
        for (register, half) in [(0x11, entry >> 32), (0x10, entry & 0xffff_ffff)] {
            self.board.write_mmio(self.now, cpu(0), IO_APIC, 4, register + 2 * pin);
            self.board.write_mmio(self.now, cpu(0), IO_APIC + 0x10, 4, half);
        }
    }

    pub(crate) fn io_apic_entry(&mut self, pin: u64) -> u64 {
        self.board.write_mmio(self.now, cpu(0), IO_APIC, 4, 0x10 + 2 * pin);
        self.board.read_mmio(self.now, cpu(0), IO_APIC + 0x10, 4)
    }

    pub(crate) fn out(&mut self, port: u16, value: u32) {
        self.board.write_port(self.now, port, 1, value);
    }

    pub(crate) fn advance(&mut self, nanoseconds: u64) {
        self.now = crate::drive::after(self.now, nanoseconds);
        self.board.advance(self.now);
    }

    pub(crate) fn accept(&mut self, index: usize) -> Option<u8> {
        self.board.accept_interrupt(cpu(index))
    }

    pub(crate) fn take_start(&mut self, index: usize) -> Option<Start> {
        self.board.take_start(cpu(index))
    }

    /// Who was offered `vector` and nothing else; they take and end it.
    pub(crate) fn takers(&mut self, vector: u8) -> Vec<usize> {
        let mut takers = Vec::new();
        for index in 0..self.cpus {
            if let Some(taken) = self.accept(index) {
                assert_eq!(taken, vector);
                takers.push(index);
                let is_x2apic = self.read_msr(index, APIC_BASE).is_some_and(|base| base & 0x400 != 0);
                if is_x2apic {
                    assert!(self.write_msr(index, 0x80b, 0));
                } else {
                    self.store(index, END, 0);
                }
            }
            assert_eq!(self.accept(index), None);
        }
        takers
    }
}
