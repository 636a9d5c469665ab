//! The tiny guest: one frame of 32-bit code and data, shown to it by four tables, and one that it misses at first.

use alloc::vec::Vec;

use godwit_frames::{FRAME_BYTES, FrameRun, HostFrame};
use godwit_guest::cpu::{Attributes, CpuState, General, Segment, Segments, Table};

use crate::machine::{HostMemory, OutsideRun};

/// Frames of the whole guest: four tables, the frame that it has, and the one that it misses.
pub(super) const FRAMES: u64 = 6;
const TABLES: u64 = 4;
const LAST_TABLE: u64 = (TABLES - 1) * FRAME_BYTES;
const GUEST: u64 = TABLES * FRAME_BYTES;
const MISSED: u64 = GUEST + FRAME_BYTES;
/// Present, writable, user (and for EPT: readable, writable, executable); with these no more than that in both formats.
const ENTRY: u64 = 0b111;

/// What each CPUID of the program adds to RIP.
pub(super) const CPUID_BYTES: u64 = 2;
/// Likewise OUT to a port named in the instruction.
pub(super) const OUT_BYTES: u64 = 2;
/// Likewise HLT.
pub(super) const HLT_BYTES: u64 = 1;

/// Where the program begins.
pub(super) const START: u64 = 0x000;
/// Where its loop of CPUID and a jump begins.
pub(super) const LOOP: u64 = 0x060;
/// Port that it writes the sum of EAX and EBX to.
pub(super) const SUM_PORT: u16 = 0x80;
/// Port that its interrupt handler writes to.
pub(super) const INTERRUPT_PORT: u16 = 0x81;
/// Port that its handler of NMIs writes to.
pub(super) const NMI_PORT: u16 = 0x82;
/// The interrupt that it has a handler for.
pub(super) const VECTOR: u8 = 0x20;
/// The interrupt whose gate is the first thing in the frame that it misses.
pub(super) const MISSED_VECTOR: u8 = 0xe0;
/// Where that frame belongs.
pub(super) const MISSED_ADDRESS: u64 = FRAME_BYTES;
/// What it loads into XMM0.
pub(super) const PATTERN: [u8; 16] = *b"a godwit's flock";
/// Where it stores XMM0 after an exit.
pub(super) const STORED: u64 = 0x810;

/// Where its interrupt handler begins.
pub(super) const HANDLER: u64 = 0x080;
/// Where its handler of NMIs begins.
pub(super) const NMI_HANDLER: u64 = 0x090;
/// Where it fills XMM0 to XMM7 and DR0 to DR3, up to a CPUID.
pub(super) const FILL: u64 = 0x100;
/// Where it stores XMM0 to XMM7, and loads [`SHOWN`] from DR0 to DR3, up to a CPUID.
pub(super) const SHOW: u64 = 0x180;
/// The registers that show DR0 to DR3.
pub(super) const SHOWN: [General; 4] = [General::Rax, General::Rbx, General::Rsi, General::Rdi];
/// Where it stores XMM0 to XMM7.
const SEEN: u64 = 0x600;
/// How many of them 32-bit code has.
const XMM_REGISTERS: u8 = 8;
const LOADED: u64 = 0x800;
const DESCRIPTORS: u64 = 0x880;
const INTERRUPTS: u64 = MISSED_ADDRESS - 8 * MISSED_VECTOR as u64;
const STACK_TOP: u64 = FRAME_BYTES;
const CODE_SELECTOR: u16 = 0x08;
const DATA_SELECTOR: u16 = 0x10;

const MAIN: [u8; 34] = [
    0x0f, 0xa2, // cpuid
    0x01, 0xd8, // add eax, ebx
    0xe7, 0x80, // out 0x80, eax
    0x0f, 0x10, 0x05, 0x00, 0x08, 0x00, 0x00, // movups xmm0, [0x800]
    0x0f, 0xa2, // cpuid
    0x0f, 0x11, 0x05, 0x10, 0x08, 0x00, 0x00, // movups [0x810], xmm0
    0xf4, // hlt
    0xfb, // sti
    0x90, // nop
    0x90, // nop
    0x0f, 0xa2, // cpuid
    0x0f, 0xa2, // cpuid
    0x0f, 0xa2, // cpuid
    0xeb, 0xfe, // jmp to itself
];
const CPUID_LOOP: [u8; 4] = [0x0f, 0xa2, 0xeb, 0xfc]; // cpuid; jmp to it
const INTERRUPT_HANDLER: [u8; 3] = [0xe6, 0x81, 0xcf]; // out 0x81, al; iret
const NON_MASKABLE_HANDLER: [u8; 3] = [0xe6, 0x82, 0xcf]; // out 0x82, al; iret

/// What is at [`FILL`].
fn fill() -> Vec<u8> {
    let mut code = Vec::new();
    for register in 0..XMM_REGISTERS {
        code.extend([0x0f, 0x10, register << 3 | 0b101]); // movups xmm_, [LOADED]
        code.extend((LOADED as u32).to_le_bytes());
    }
    code.push(0xb8); // mov eax, 0x05ec4e75
    code.extend(0x05ec_4e75_u32.to_le_bytes());
    for register in 0..SHOWN.len() as u8 {
        code.extend([0x0f, 0x23, 0xc0 | register << 3]); // mov dr_, eax
    }
    code.extend([0x0f, 0xa2]); // cpuid
    code
}

/// What is at [`SHOW`].
fn show() -> Vec<u8> {
    let mut code = Vec::new();
    for register in 0..XMM_REGISTERS {
        code.extend([0x0f, 0x11, register << 3 | 0b101]); // movups [SEEN + 16 * _], xmm_
        code.extend((SEEN as u32 + 16 * u32::from(register)).to_le_bytes());
    }
    for (register, shown) in SHOWN.into_iter().enumerate() {
        code.extend([0x0f, 0x21, 0xc0 | (register as u8) << 3 | shown as u8]); // mov SHOWN, dr_
    }
    code.extend([0x0f, 0xa2]); // cpuid
    code
}

/// A 32-bit interrupt gate (APM vol. 2, 4.8.4).
const fn gate(handler: u64) -> u64 {
    handler | (CODE_SELECTOR as u64) << 16 | 0x8e << 40
}

/// Writes tables and program into `run`, which has [`FRAMES`] frames at least.
pub(super) fn write(memory: &dyn HostMemory, run: &FrameRun) -> Result<(), OutsideRun> {
    memory.zero(run, 0, FRAMES * FRAME_BYTES)?;
    for level in 0..TABLES {
        let next = run.start().number() + level + 1;
        memory.store(run, level * FRAME_BYTES, HostFrame::new(next).address() | ENTRY)?;
    }
    memory.store(run, GUEST + INTERRUPTS + 8 * 2, gate(NMI_HANDLER))?;
    memory.store(run, GUEST + INTERRUPTS + 8 * u64::from(VECTOR), gate(HANDLER))?;
    memory.store(run, MISSED, gate(HANDLER))?;
    // Flat code and data of 4 GiB (APM vol. 2, 4.7).
    memory.store(run, GUEST + DESCRIPTORS + u64::from(CODE_SELECTOR), 0x00cf_9b00_0000_ffff)?;
    memory.store(run, GUEST + DESCRIPTORS + u64::from(DATA_SELECTOR), 0x00cf_9300_0000_ffff)?;
    let pieces: [(u64, &[u8]); 8] = [
        // Anything but what a new guest's registers are.
        (SEEN, &[0xff; 16 * XMM_REGISTERS as usize]),
        (FILL, &fill()),
        (SHOW, &show()),
        (START, &MAIN),
        (LOOP, &CPUID_LOOP),
        (HANDLER, &INTERRUPT_HANDLER),
        (NMI_HANDLER, &NON_MASKABLE_HANDLER),
        (LOADED, &PATTERN),
    ];
    pieces.iter().try_for_each(|(at, bytes)| memory.write(run, GUEST + at, bytes))
}

/// Gives the guest the frame that it misses.
pub(super) fn give_missed(memory: &dyn HostMemory, run: &FrameRun) -> Result<(), OutsideRun> {
    let frame = HostFrame::new(run.start().number() + MISSED / FRAME_BYTES);
    memory.store(run, LAST_TABLE + 8, frame.address() | ENTRY)
}

/// What the guest stored of XMM0.
pub(super) fn stored(memory: &dyn HostMemory, run: &FrameRun) -> Result<[u8; 16], OutsideRun> {
    let mut bytes = [0; 16];
    memory.read(run, GUEST + STORED, &mut bytes)?;
    Ok(bytes)
}

/// Whether all that the guest stored of XMM0 to XMM7 is zero.
pub(super) fn saw_nothing(memory: &dyn HostMemory, run: &FrameRun) -> Result<bool, OutsideRun> {
    let mut bytes = [0; 16 * XMM_REGISTERS as usize];
    memory.read(run, GUEST + SEEN, &mut bytes)?;
    Ok(bytes == [0; _])
}

/// The state at reset, changed to 32-bit protected mode without paging, at the start of the program.
pub(super) fn enter(state: &mut CpuState) {
    const CR0: u64 = 0x11; // PE, ET
    const CR4: u64 = 1 << 9; // OSFXSR
    let data = Segment { selector: DATA_SELECTOR, attributes: Attributes(0xc93), limit: u32::MAX, base: 0 };
    let code = Segment { selector: CODE_SELECTOR, attributes: Attributes(0xc9b), ..data };
    let Segments { ldtr, tr, .. } = state.segments;
    state.segments = Segments { es: data, cs: code, ss: data, ds: data, fs: data, gs: data, ldtr, tr };
    state.gdtr = Table { limit: 0x17, base: DESCRIPTORS };
    state.idtr = Table { limit: 8 * u16::from(MISSED_VECTOR) + 7, base: INTERRUPTS };
    state.control.cr0 = CR0;
    state.control.cr4 = CR4;
    state.registers.rip = START;
    state.registers.set(General::Rsp, STACK_TOP);
}
