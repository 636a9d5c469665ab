//! `amd64-v1`: what each leaf answers (APM vol. 3, appendix E; Linux `Documentation/virt/kvm/x86/cpuid.rst`).

use super::{
    CpuidContext, CpuidResult, Cr4, Xcr0,
    features::{Register, word},
};

/// The width of guest-physical addresses: what QEMU emulates, and every processor has.
pub(super) const PHYSICAL_ADDRESS_BITS: u8 = 40;
/// The width of virtual addresses: four levels of page tables.
const VIRTUAL_ADDRESS_BITS: u8 = 48;
/// State components.
pub(super) const XCR0: Xcr0 = Xcr0::all();

/// Where the upper halves of YMM registers lie in an XSAVE area: behind the legacy area and the header.
pub(super) const AVX_AT: u32 = 576;
/// Their length.
pub(super) const AVX_BYTES: u32 = 256;

/// The highest basic leaf.
const MAX_BASIC: u32 = 0xd;
/// The highest extended leaf.
const MAX_EXTENDED: u32 = 0x8000_0008;
/// Hypervisors begin here; KVM's interface is what Linux knows.
const HYPERVISOR: u32 = 0x4000_0000;
/// KVM's features.
const HYPERVISOR_FEATURES: u32 = HYPERVISOR + 1;

/// `AuthenticAMD` in EBX, EDX, ECX.
pub(super) const VENDOR: [u32; 3] = [letters(*b"Auth"), letters(*b"enti"), letters(*b"cAMD")];
/// KVM's signature in EBX, ECX, EDX.
const KVM_SIGNATURE: [u32; 3] = [letters(*b"KVMK"), letters(*b"VMKV"), letters(*b"M\0\0\0")];
/// Family 0x17, model 0x31, stepping 0: Zen 2. A kernel chooses its mitigations by it.
const FAMILY_MODEL_STEPPING: u32 = 0x0083_0f10;
/// The brand, padded with NULs.
const BRAND: [u8; 48] = *b"Godwit amd64-v1 virtual processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// The line that CLFLUSH flushes, in units of 8 bytes, in leaf 1.
const CLFLUSH_QUADWORDS: u32 = 8;
/// EDX bits of leaf 1 that the extended leaf repeats on AMD.
const REPEATED: u32 = 0x0183_f3ff;
/// More than one logical processor shares the package, in EDX of leaf 1.
const HTT: u32 = 1 << 28;
/// These processors are cores, not threads, in ECX of 0x8000_0001.
const COMPATIBLE_LEGACY: u32 = 1 << 1;
const OSXSAVE: u32 = 1 << 27;

/// What a KVM guest may use: clock sources old and new, no delays after port I/O, and a clock that is the same on every
/// virtual CPU.
const KVM_FEATURES: u32 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 24;

const fn letters(four: [u8; 4]) -> u32 {
    u32::from_le_bytes(four)
}

/// Bytes of an XSAVE area in the standard format with the components of `xcr0`.
pub(super) const fn xsave_bytes(xcr0: u64) -> u32 {
    if xcr0 & Xcr0::AVX.bits() != 0 { AVX_AT + AVX_BYTES } else { AVX_AT }
}

pub(super) fn answer(leaf: u32, subleaf: u32, cpu: &CpuidContext) -> CpuidResult {
    let [eax, ebx, ecx, edx] = match leaf {
        0 | 0x8000_0000 => {
            let [ebx, edx, ecx] = VENDOR;
            [if leaf == 0 { MAX_BASIC } else { MAX_EXTENDED }, ebx, ecx, edx]
        }
        1 => basic(cpu),
        6 => [word(leaf, Register::Eax), 0, 0, 0],
        7 if subleaf == 0 => [0, word(leaf, Register::Ebx), 0, 0],
        0xb => topology(subleaf, cpu),
        0xd => extended_state(subleaf, cpu),
        HYPERVISOR => {
            let [ebx, ecx, edx] = KVM_SIGNATURE;
            [HYPERVISOR_FEATURES, ebx, ecx, edx]
        }
        HYPERVISOR_FEATURES => [KVM_FEATURES, 0, 0, 0],
        0x8000_0001 => extended(leaf, cpu),
        0x8000_0002..=0x8000_0004 => brand(leaf - 0x8000_0002),
        0x8000_0005..=0x8000_0006 => caches(leaf),
        0x8000_0007 => [0, 0, 0, word(leaf, Register::Edx)],
        0x8000_0008 => address_sizes(cpu),
        _ => [0; 4],
    };
    CpuidResult { eax, ebx, ecx, edx }
}

fn basic(cpu: &CpuidContext) -> [u32; 4] {
    let ebx = CLFLUSH_QUADWORDS << 8 | (cpu.cpus & 0xff) << 16 | (cpu.apic_id & 0xff) << 24;
    let osxsave = if cpu.cr4 & Cr4::OSXSAVE.bits() != 0 { OSXSAVE } else { 0 };
    let htt = if cpu.cpus > 1 { HTT } else { 0 };
    [FAMILY_MODEL_STEPPING, ebx, word(1, Register::Ecx) | osxsave, word(1, Register::Edx) | htt]
}

fn extended(leaf: u32, cpu: &CpuidContext) -> [u32; 4] {
    let legacy = if cpu.cpus > 1 { COMPATIBLE_LEGACY } else { 0 };
    let edx = word(leaf, Register::Edx) | word(1, Register::Edx) & REPEATED;
    [FAMILY_MODEL_STEPPING, 0, word(leaf, Register::Ecx) | legacy, edx]
}

/// Extended topology: one thread a core, all cores in one package.
fn topology(subleaf: u32, cpu: &CpuidContext) -> [u32; 4] {
    const THREADS: u32 = 1;
    const CORES: u32 = 2;
    match subleaf {
        0 => [0, 1, THREADS << 8, cpu.apic_id],
        1 => [apic_id_bits(cpu.cpus), cpu.cpus, CORES << 8 | 1, cpu.apic_id],
        _ => [0, 0, subleaf & 0xff, cpu.apic_id],
    }
}

/// Bits of an APIC id that tell `cpus` processors apart.
fn apic_id_bits(cpus: u32) -> u32 {
    cpus.saturating_sub(1).checked_ilog2().map_or(0, |highest| highest + 1)
}

fn extended_state(subleaf: u32, cpu: &CpuidContext) -> [u32; 4] {
    match subleaf {
        0 => [XCR0.bits() as u32, xsave_bytes(cpu.xcr0), xsave_bytes(XCR0.bits()), 0],
        2 => [AVX_BYTES, AVX_AT, 0, 0],
        _ => [0; 4],
    }
}

fn brand(part: u32) -> [u32; 4] {
    let mut words = [0; 4];
    let letters_of = BRAND.chunks_exact(4).skip(part as usize * 4);
    for (word, four) in words.iter_mut().zip(letters_of) {
        *word = four.try_into().map_or(0, letters);
    }
    words
}

/// Caches and TLBs of a Zen 2 core: guests that size their buffers by them get sensible ones.
fn caches(leaf: u32) -> [u32; 4] {
    match leaf {
        // TLBs of 64 entries, fully associative; L1 caches of 32 KiB, 8 ways, lines of 64 bytes.
        0x8000_0005 => [0xff40_ff40, 0xff40_ff40, 0x2008_0140, 0x2008_0140],
        // L2 TLBs of 1024 and 2048 entries; an L2 cache of 512 KiB, 8 ways, lines of 64 bytes; an L3 cache of 16 MiB, 16 ways.
        _ => [0x6400_2400, 0x6800_4400, 0x0200_6140, 0x0080_8140],
    }
}

fn address_sizes(cpu: &CpuidContext) -> [u32; 4] {
    let widths = u32::from(PHYSICAL_ADDRESS_BITS) | u32::from(VIRTUAL_ADDRESS_BITS) << 8;
    let cores = cpu.cpus.saturating_sub(1) & 0xff | apic_id_bits(cpu.cpus) << 12;
    [widths, 0, cores, 0]
}
