//! Control registers and model-specific registers that bring-up sets on every processor.

use core::arch::asm;

use x86_64::registers::{
    control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags},
    model_specific::Msr,
    xcontrol::XCr0,
};

use crate::{features::Features, virtual_cpu::extended_state::Format};

/// IA32_MCG_CAP, IA32_MCG_CTL and the first bank's control register (SDM vol. 3, 17.3; APM vol. 2, 9.3).
const MCG_CAP: u32 = 0x179;
const MCG_CTL: u32 = 0x17b;
const MC0_CTL: u32 = 0x400;
/// IA32_PAT and its value at power-on: WB, WT, UC-, UC, twice (SDM vol. 3, 13.12.4).
const PAT: u32 = 0x277;
const PAT_POWER_ON: u64 = 0x0007_0406_0007_0406;
/// Banks that registers from MC0_CTL on can name: further ones lie elsewhere, where the processor has them at all.
const MAX_BANKS: u64 = 32;
const MCG_CTL_PRESENT: u64 = 1 << 8;

/// Turns on what protects the host: no-execute pages, write protection, SMEP, SMAP, UMIP, machine checks; and gives page table
/// entries the memory types that they name.
pub fn protect(features: &Features) {
    // SAFETY: nearly every bit set here only narrows what code may do, or makes a machine check a vector instead of a shutdown;
    // no host page is a user page, so SMEP and SMAP change no access of ours. The IDT is loaded. Global pages, of which the host
    // has none, and 4 MiB pages, which long mode does not know, are on because 64-bit guests have them on: emulators flush once
    // more each time a world switch changes them.
    unsafe {
        if features.nx {
            Efer::update(|efer| efer.insert(EferFlags::NO_EXECUTE_ENABLE));
        }
        Cr0::update(|cr0| cr0.insert(Cr0Flags::WRITE_PROTECT | Cr0Flags::NUMERIC_ERROR));
        Cr4::update(|cr4| {
            cr4.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features.smep);
            cr4.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
            cr4.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.umip);
            cr4.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, features.machine_check);
            cr4.insert(Cr4Flags::PAGE_GLOBAL | Cr4Flags::PAGE_SIZE_EXTENSION);
        });
    }
    if features.pat {
        // SAFETY: CPUID reports the register; the power-on value makes "cache disabled and write-through" uncacheable, as device
        // mappings expect, and changes no other mapping of the host's.
        unsafe { Msr::new(PAT).write(PAT_POWER_ON) };
    }
    if features.machine_check {
        enable_machine_check_banks();
    }
}

/// Lets the calling processor save and restore the extended state of guests. The host's own code uses SSE only.
pub fn enable_extended_state(format: &Format) {
    if !format.has_xsave() {
        return;
    }
    // SAFETY: the processor has XSAVE and all of these components, x87 and SSE among them.
    unsafe {
        Cr4::update(|cr4| cr4.insert(Cr4Flags::OSXSAVE));
        XCr0::write_raw(format.components());
    }
}

/// The bits that MXCSR can have, as FXSAVE stores them: 0 from processors that do not say (APM vol. 2, 11.4.4).
pub fn mxcsr_mask() -> u32 {
    #[repr(align(16))]
    struct Image([u32; 128]);
    let mut image = Image([0; 128]);
    // SAFETY: the image is 512 bytes, aligned to 16, and SSE is on since the boot path.
    unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
    image.0[7]
}

/// Banks that MCG_CAP counts, as far as they can be named.
fn bank_count(capabilities: u64) -> u32 {
    (capabilities & 0xff).min(MAX_BANKS) as u32
}

/// Reports every kind of error in every bank.
fn enable_machine_check_banks() {
    // SAFETY: CPUID reported the machine-check architecture, so MCG_CAP exists and its low byte counts the banks that
    // exist; MCG_CTL is written only where MCG_CAP says that it exists. Clearing a status register drops what firmware left.
    unsafe {
        let capabilities = Msr::new(MCG_CAP).read();
        if capabilities & MCG_CTL_PRESENT != 0 {
            Msr::new(MCG_CTL).write(u64::MAX);
        }
        for bank in 0..bank_count(capabilities) {
            Msr::new(MC0_CTL + 4 * bank).write(u64::MAX);
            Msr::new(MC0_CTL + 4 * bank + 1).write(0);
        }
    }
}

/// Calls `see` with the number, status and address of each machine-check bank that holds an error.
pub fn machine_check_banks(mut see: impl FnMut(u32, u64, u64)) {
    const VALID: u64 = 1 << 63;
    const ADDRESS_VALID: u64 = 1 << 58;
    // SAFETY: only reached from a machine check or after `protect` saw the architecture: the banks that MCG_CAP counts exist,
    // and an address register exists where the status says that it is valid.
    unsafe {
        for bank in 0..bank_count(Msr::new(MCG_CAP).read()) {
            let status = Msr::new(MC0_CTL + 4 * bank + 1).read();
            if status & VALID != 0 {
                let address =
                    if status & ADDRESS_VALID != 0 { Msr::new(MC0_CTL + 4 * bank + 2).read() } else { 0 };
                see(bank, status, address);
            }
        }
    }
}
