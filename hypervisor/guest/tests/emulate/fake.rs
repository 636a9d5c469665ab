//! A virtual CPU that never runs, RAM in a vector, and devices that remember what they were told.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use arrayvec::ArrayVec;
use godwit_frames::HostFrame;
use godwit_guest::{
    GuestAddress, GuestMemory, NotRam,
    cpu::{Attributes, CpuState, General, Registers, Segment},
    emulate::{self, Bus, EmulateError, Emulated},
    vcpu::{Event, Exit, NestedFault, Reason, StateError, SystemState, VirtualCpu, Window},
};

/// Where the devices' page lies.
pub(crate) const DEVICE: u64 = 0xfee0_0000;
/// RAM bytes.
pub(crate) const RAM_BYTES: usize = 1 << 20;
/// Where instructions are put.
pub(crate) const CODE: u64 = 0x8000;

pub(crate) const CR0_PROTECTED: u64 = 1;
pub(crate) const CR0_WRITE_PROTECT: u64 = 1 << 16;
pub(crate) const CR0_PAGING: u64 = 1 << 31;
pub(crate) const EFER_LONG: u64 = (1 << 8) | (1 << 10);

#[derive(Debug)]
pub(crate) struct FakeCpu {
    pub(crate) registers: Registers,
    pub(crate) system: SystemState,
    pub(crate) cr2: Option<u64>,
    pub(crate) pending: Option<Event>,
    /// Where it was told to go on with RFLAGS.TF set: a real one traps there.
    pub(crate) steps: Vec<u64>,
}

impl FakeCpu {
    /// What it takes in CR4.
    pub(crate) const CR4_MASK: u64 = 0x1_0000_00ff;

    fn flat(attributes: u16) -> Segment {
        Segment {
            selector: 8,
            attributes: Attributes::from_bits_retain(attributes),
            limit: u32::MAX,
            base: 0,
        }
    }

    fn new(cr0: u64, efer: u64, code: u16) -> Self {
        let data = Self::flat(0xc93);
        let segments = godwit_guest::cpu::Segments {
            cs: Self::flat(code),
            ds: Segment { selector: 0x10, ..data },
            es: data,
            ss: data,
            fs: data,
            gs: data,
            ..Default::default()
        };
        let control = godwit_guest::cpu::Control { cr0, efer, ..Default::default() };
        let registers = Registers { rip: CODE, rflags: 2, ..Default::default() };
        Self {
            registers,
            system: SystemState { control, segments },
            cr2: None,
            pending: None,
            steps: Vec::new(),
        }
    }

    /// 64-bit mode. The tables are those of [`Memory::identity`].
    pub(crate) fn long() -> Self {
        let mut cpu = Self::new(CR0_PROTECTED | CR0_PAGING | CR0_WRITE_PROTECT, EFER_LONG, 0xa9b);
        cpu.system.control.cr3 = 0x1000;
        cpu.system.control.cr4 = 1 << 5;
        cpu
    }

    /// 32-bit protected mode without paging.
    pub(crate) fn protected() -> Self {
        Self::new(CR0_PROTECTED, 0, 0xc9b)
    }

    /// Real mode, with segments that reach all memory.
    pub(crate) fn real() -> Self {
        let mut cpu = Self::new(0, 0, 0x9b);
        cpu.system.segments.cs.limit = 0xffff;
        cpu
    }

    pub(crate) fn with(mut self, register: General, value: u64) -> Self {
        self.registers.set(register, value);
        self
    }
}

impl VirtualCpu for FakeCpu {
    fn registers(&mut self) -> &mut Registers {
        &mut self.registers
    }
    fn system(&self) -> SystemState {
        self.system
    }
    fn state(&self) -> CpuState {
        CpuState { registers: self.registers, ..CpuState::default() }
    }
    fn set_state(&mut self, _: &CpuState) -> Result<(), StateError> {
        Err(StateError("a fake"))
    }
    fn run(&mut self, _: HostFrame) -> Exit {
        exit(Reason::Host)
    }
    fn flush_tables(&mut self) {}
    fn inject(&mut self, event: Event) {
        assert_eq!(self.pending.replace(event), None, "one event at a time");
    }
    fn has_pending(&self) -> bool {
        self.pending.is_some()
    }
    fn can_take_interrupt(&self) -> bool {
        false
    }
    fn in_interrupt_shadow(&self) -> bool {
        false
    }
    fn can_take_nmi(&self) -> bool {
        false
    }
    fn request_window(&mut self, _: Option<Window>) {}
    fn advance_to(&mut self, next_rip: u64) {
        if self.registers.rflags & 1 << 8 != 0 {
            self.steps.push(next_rip);
        }
        self.registers.rip = next_rip;
    }
    fn set_cr2(&mut self, address: u64) {
        self.cr2 = Some(address);
    }
    fn set_xcr0(&mut self, _: u64) {}
    fn write_cr4(&mut self, value: u64) -> bool {
        let taken = value & !Self::CR4_MASK == 0;
        if taken {
            self.system.control.cr4 = value;
        }
        taken
    }
    fn task_priority(&self) -> u8 {
        0
    }
    fn set_task_priority(&mut self, _: u8) {}
    fn read_msr(&self, _: u32) -> Option<u64> {
        None
    }
    fn write_msr(&mut self, _: u32, _: u64) -> Option<bool> {
        None
    }
    fn tsc_offset(&self) -> u64 {
        0
    }
    fn set_tsc_offset(&mut self, _: u64) {}
    fn stop_at_pause(&mut self, _: bool) {}

    fn intercept_tsc(&mut self, _: bool) {}
}

pub(crate) struct Memory {
    bytes: RefCell<Vec<u8>>,
    reads: Cell<u32>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { bytes: RefCell::new(vec![0; RAM_BYTES]), reads: Cell::new(0) }
    }

    /// 4-level tables at 0x1000 to 0x4fff: the first 2 MiB by 4 KiB pages, all else of the first 4 GiB by 1 GiB pages, at the same
    /// addresses; user, writable.
    pub(crate) fn identity() -> Self {
        let memory = Self::new();
        memory.put(0x1000, &0x2027u64.to_le_bytes());
        memory.put(0x2000, &0x3027u64.to_le_bytes());
        for gib in 1..4u64 {
            memory.put(0x2000 + gib * 8, &((gib << 30) | 0xe7).to_le_bytes());
        }
        memory.put(0x3000, &0x4027u64.to_le_bytes());
        for page in 0..512u64 {
            memory.put(0x4000 + page * 8, &((page << 12) | 0x67).to_le_bytes());
        }
        memory
    }

    pub(crate) fn put(&self, at: u64, bytes: &[u8]) {
        self.write(GuestAddress(at), bytes).unwrap();
    }

    pub(crate) fn get<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut out = [0; N];
        self.read(GuestAddress(at), &mut out).unwrap();
        out
    }

    /// Reads since this was asked last.
    pub(crate) fn take_reads(&self) -> u32 {
        self.reads.take()
    }

    /// The page-table entry of the 4 KiB page at `address` in [`identity`](Self::identity)'s tables.
    pub(crate) const fn entry_of(address: u64) -> u64 {
        0x4000 + (address >> 12) * 8
    }

    fn range(at: GuestAddress, bytes: usize) -> Result<std::ops::Range<usize>, NotRam> {
        let start = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let end = start.checked_add(bytes).filter(|end| *end <= RAM_BYTES).ok_or(NotRam { at })?;
        Ok(start..end)
    }
}

impl GuestMemory for Memory {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        self.reads.set(self.reads.get() + 1);
        out.copy_from_slice(&self.bytes.borrow()[Self::range(at, out.len())?]);
        Ok(())
    }
    fn write(&self, at: GuestAddress, bytes: &[u8]) -> Result<(), NotRam> {
        self.bytes.borrow_mut()[Self::range(at, bytes.len())?].copy_from_slice(bytes);
        Ok(())
    }
}

/// What the devices were asked, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Read { at: u64, bytes: u8 },
    Write { at: u64, bytes: u8, value: u64 },
    In { port: u16, bytes: u8 },
    Out { port: u16, bytes: u8, value: u32 },
}

/// Devices whose registers are plain bytes, in one page; a port answers with how often it was read.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) bytes: BTreeMap<u64, u8>,
    pub(crate) asked: Vec<Asked>,
    reads: u32,
}

impl Devices {
    pub(crate) fn holding(value: u64) -> Self {
        let mut devices = Self::default();
        devices.hold(DEVICE, value);
        devices
    }

    pub(crate) fn hold(&mut self, at: u64, value: u64) {
        for (byte, at) in value.to_le_bytes().into_iter().zip(at..) {
            self.bytes.insert(at, byte);
        }
    }

    pub(crate) fn value(&self, at: u64, bytes: u8) -> u64 {
        let byte = |at| u64::from(self.bytes.get(&at).copied().unwrap_or(0xff));
        (0..u64::from(bytes)).fold(0, |value, place| value | byte(at.wrapping_add(place)) << (place * 8))
    }
}

impl Bus for Devices {
    fn read_port(&mut self, port: u16, bytes: u8) -> u32 {
        self.asked.push(Asked::In { port, bytes });
        self.reads += 1;
        self.reads
    }
    fn write_port(&mut self, port: u16, bytes: u8, value: u32) {
        self.asked.push(Asked::Out { port, bytes, value });
    }
    fn has_mmio(&self, address: u64) -> bool {
        address & !0xfff == DEVICE
    }
    fn read_mmio(&mut self, at: u64, bytes: u8) -> u64 {
        assert!(matches!(bytes, 1 | 2 | 4 | 8));
        self.asked.push(Asked::Read { at, bytes });
        self.value(at, bytes)
    }
    fn write_mmio(&mut self, at: u64, bytes: u8, value: u64) {
        assert!(matches!(bytes, 1 | 2 | 4 | 8));
        assert_eq!(value.checked_shr(u32::from(bytes) * 8).unwrap_or(0), 0, "bits beyond the access");
        self.asked.push(Asked::Write { at, bytes, value });
        if self.has_mmio(at) {
            for (byte, at) in value.to_le_bytes().into_iter().take(bytes.into()).zip(at..) {
                self.bytes.insert(at, byte);
            }
        }
    }
}

pub(crate) fn exit(reason: Reason) -> Exit {
    Exit { reason, next_rip: None, instruction: None }
}

/// An access to the devices' page, as the processor reports it.
pub(crate) const FAULT: NestedFault = NestedFault {
    address: DEVICE,
    write: true,
    fetch: false,
    present: false,
    reserved: false,
    in_walk: false,
};

/// Puts `code` where the CPU stands and emulates it.
pub(crate) fn emulate(
    cpu: &mut FakeCpu,
    memory: &Memory,
    devices: &mut Devices,
    code: &[u8],
) -> Result<Emulated, EmulateError> {
    memory.put(cpu.system.segments.cs.base + cpu.registers.rip, code);
    emulate::mmio(cpu, memory, &exit(Reason::NestedFault(FAULT)), &FAULT, devices)
}

/// As [`emulate`], with the bytes handed over by the processor.
pub(crate) fn emulate_given(
    cpu: &mut FakeCpu,
    memory: &Memory,
    devices: &mut Devices,
    code: &[u8],
) -> Result<Emulated, EmulateError> {
    let instruction = Some(code.iter().copied().collect::<ArrayVec<_, 15>>());
    let exit = Exit { reason: Reason::NestedFault(FAULT), next_rip: None, instruction };
    emulate::mmio(cpu, memory, &exit, &FAULT, devices)
}
