//! A guest that stopped at an instruction: any registers, mode, tables and code, spelled by an input.

use godwit_guest::{
    cpu::{Attributes, Control, Registers, Segment, Segments},
    vcpu::{Exit, NestedFault, Reason, SystemState},
};

use super::{fake_cpu::FakeCpu, fake_memory::FakeMemory};
use crate::{Input, Script};

/// RAM bytes: tables, code and data.
pub(super) const RAM_BYTES: u64 = 64 << 10;
/// Where the local APIC's page lies; the IO-APIC's is another.
pub(super) const DEVICES: [u64; 2] = [0xfee0_0000, 0xfec0_0000];
/// Where the code lies where nothing else is said.
const CODE: u64 = 0x8ff8;
/// Where the tables lie.
const TABLES: u64 = 0x1000;

const CR0_PROTECTED: u64 = 1;
const CR0_WRITE_PROTECT: u64 = 1 << 16;
const CR0_PAGING: u64 = 1 << 31;
const CR4_LARGE_PAGES: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const EFER_LONG: u64 = 1 << 8 | 1 << 10;
const EFER_NO_EXECUTE: u64 = 1 << 11;

/// How the guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Real,
    Protected,
    Legacy,
    Pae,
    Long,
    Compatibility,
    Virtual8086,
}

const MODES: [Mode; 8] = [
    Mode::Long,
    Mode::Real,
    Mode::Protected,
    Mode::Legacy,
    Mode::Pae,
    Mode::Compatibility,
    Mode::Virtual8086,
    Mode::Long,
];

/// A guest that stopped.
pub(super) struct Stopped {
    pub(super) cpu: FakeCpu,
    pub(super) memory: FakeMemory,
    pub(super) exit: Exit,
}

impl Stopped {
    /// The guest that `input` spells, stopped for `reason`.
    pub(super) fn read(input: &mut Input<'_>, reason: Reason) -> Self {
        let mode = input.pick(&MODES);
        let mut cpu = cpu(mode);
        let memory = FakeMemory::new(RAM_BYTES as usize);
        tables(mode, &memory);
        let code = input.counted(48);
        for _ in 0..input.below(8) {
            change(&mut cpu, &memory, input);
        }
        let at = cpu.system.segments.cs.base.wrapping_add(cpu.registers.rip);
        memory.put(at, code);
        let choices = input.byte();
        let instruction = (choices & 3 == 0).then(|| code.iter().copied().take(15).collect());
        if choices & 4 != 0 {
            // Another of its CPUs writes while this one's instruction is looked at.
            memory.meddle(input.below(12) as u32, input.number() % RAM_BYTES, input.number());
        }
        let next_rip = (choices & 0x38 == 0x38).then(|| input.number());
        Self { cpu, memory, exit: Exit { reason, next_rip, instruction } }
    }
}

/// An access to device memory that `input` spells.
pub(super) fn nested_fault(input: &mut Input<'_>) -> NestedFault {
    let bits = input.byte();
    NestedFault {
        address: DEVICES[usize::from(bits & 1)],
        write: bits & 2 != 0,
        fetch: bits & 0x1c == 0x1c,
        present: false,
        reserved: false,
        in_walk: bits & 0xe0 == 0xe0,
    }
}

fn segment(attributes: u16, limit: u32) -> Segment {
    Segment { selector: 8, attributes: Attributes::from_bits_retain(attributes), limit, base: 0 }
}

fn cpu(mode: Mode) -> FakeCpu {
    let (code, limit) = match mode {
        Mode::Real => (0x9b, 0xffff),
        Mode::Virtual8086 => (0xfb, 0xffff),
        Mode::Long => (0xa9b, u32::MAX),
        Mode::Protected | Mode::Legacy | Mode::Pae | Mode::Compatibility => (0xc9b, u32::MAX),
    };
    let data = segment(if mode == Mode::Virtual8086 { 0xf3 } else { 0xc93 }, limit);
    let segments = Segments {
        cs: segment(code, limit),
        ds: data,
        es: data,
        ss: data,
        fs: data,
        gs: data,
        ..Default::default()
    };
    let paging = CR0_PROTECTED | CR0_PAGING | CR0_WRITE_PROTECT;
    let (cr0, cr4, efer) = match mode {
        Mode::Real => (0, 0, 0),
        Mode::Protected => (CR0_PROTECTED, 0, 0),
        Mode::Legacy | Mode::Virtual8086 => (paging, CR4_LARGE_PAGES, 0),
        Mode::Pae => (paging, CR4_PAE, EFER_NO_EXECUTE),
        Mode::Long | Mode::Compatibility => (paging, CR4_PAE, EFER_LONG | EFER_NO_EXECUTE),
    };
    let control = Control { cr0, cr3: TABLES, cr4, efer, xcr0: 1, ..Default::default() };
    let mut general = [0; 16];
    for (register, value) in general.iter_mut().enumerate() {
        // Devices and RAM, so that most addresses lead somewhere.
        *value =
            if register % 2 == 0 { DEVICES[0] + register as u64 * 16 } else { 0x9000 + register as u64 * 8 };
    }
    general[1] = 3;
    general[4] = 0xa000;
    let rflags = if mode == Mode::Virtual8086 { 1 << 17 | 2 } else { 2 };
    let registers = Registers { general, rip: CODE, rflags };
    FakeCpu { registers, system: SystemState { control, segments }, cr2: None, pending: None, advanced: 0 }
}

/// Tables that map the first 4 GiB to themselves, the first 2 or 4 MiB of it by 4 KiB pages.
fn tables(mode: Mode, memory: &FakeMemory) {
    let put_8 = |table: u64, index: u64, entry: u64| memory.put(table + index * 8, &entry.to_le_bytes());
    match mode {
        Mode::Real | Mode::Protected => {}
        Mode::Legacy | Mode::Virtual8086 => {
            for entry in 0..1024u64 {
                let large = (entry << 22) as u32 | 0xe7;
                let small = if entry == 0 { 0x2027 } else { large };
                memory.put(TABLES + entry * 4, &small.to_le_bytes());
            }
            for page in 0..RAM_BYTES / 4096 {
                memory.put(0x2000 + page * 4, &((page << 12) as u32 | 0x67).to_le_bytes());
            }
        }
        Mode::Pae => {
            for pointer in 0..4 {
                put_8(TABLES, pointer, 0x2001 + pointer * 0x1000);
                for entry in 0..512 {
                    put_8(0x2000 + pointer * 0x1000, entry, (pointer << 30 | entry << 21) | 0xe7);
                }
            }
            put_8(0x2000, 0, 0x6027);
            for page in 0..RAM_BYTES / 4096 {
                put_8(0x6000, page, page << 12 | 0x67);
            }
        }
        Mode::Long | Mode::Compatibility => {
            put_8(TABLES, 0, 0x2027);
            for gib in 1..4 {
                put_8(0x2000, gib, gib << 30 | 0xe7);
            }
            put_8(0x2000, 0, 0x3027);
            put_8(0x3000, 0, 0x4027);
            for page in 0..RAM_BYTES / 4096 {
                put_8(0x4000, page, page << 12 | 0x67);
            }
        }
    }
}

/// One thing about the guest becomes another.
fn change(cpu: &mut FakeCpu, memory: &FakeMemory, input: &mut Input<'_>) {
    let (control, segments) = (&mut cpu.system.control, &mut cpu.system.segments);
    match input.below(12) {
        0..3 => cpu.registers.general[input.below(16)] = input.number(),
        3 => cpu.registers.general[input.below(16)] = DEVICES[0].wrapping_add(input.number()),
        4 => cpu.registers.rip = input.number(),
        5 => cpu.registers.rflags ^= input.number(),
        6 => {
            let all = [
                &mut segments.cs,
                &mut segments.ds,
                &mut segments.es,
                &mut segments.ss,
                &mut segments.fs,
                &mut segments.gs,
            ];
            let which = input.below(all.len());
            for (at, segment) in all.into_iter().enumerate() {
                if at == which {
                    segment.limit = input.number() as u32;
                    segment.attributes =
                        Attributes::from_bits_retain(segment.attributes.bits() ^ input.number() as u16);
                }
            }
        }
        7 => {
            let all =
                [&mut segments.cs, &mut segments.ds, &mut segments.es, &mut segments.ss, &mut segments.gs];
            let which = input.below(all.len());
            for (at, segment) in all.into_iter().enumerate() {
                if at == which {
                    segment.base = input.number();
                }
            }
        }
        8 => {
            let bits = input.number();
            match input.below(4) {
                0 => control.cr0 ^= bits,
                1 => control.cr4 ^= bits,
                2 => control.efer ^= bits,
                _ => control.cr3 = bits,
            }
        }
        // An entry of a table, or code and data.
        _ => {
            let at = TABLES + u64::from(input.byte()) * 8 + 0x1000 * u64::from(input.byte() % 8);
            memory.put(at, &input.number().to_le_bytes());
        }
    }
}

/// An input that spells code in 64-bit mode, with nothing changed.
pub(super) fn plain(operation: u8, mode: u8, code: &[u8]) -> Vec<u8> {
    Script::new().byte(operation).byte(0).byte(mode).counted(code).byte(0).byte(1).end()
}

/// As [`plain`], with one register changed.
pub(super) fn with_register(operation: u8, mode: u8, code: &[u8], register: u8, value: u64) -> Vec<u8> {
    let script = Script::new().byte(operation).byte(0).byte(mode).counted(code).byte(1);
    script.byte(0).byte(register).number(value).byte(1).end()
}
