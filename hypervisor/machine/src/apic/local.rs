//! The local APIC, in x2APIC mode where the processor has it, else memory-mapped (SDM vol. 3, chapter 12; APM vol. 2, chapter 16).

use core::{
    arch::x86_64::{_mm_lfence, _mm_mfence},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bitflags::bitflags;
use x86_64::{VirtAddr, registers::model_specific::Msr};

use crate::interrupts::vectors;

/// IA32_APIC_BASE and its bits.
const APIC_BASE: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
/// The destination that means every processor in xAPIC mode; ids from here on cannot be named.
pub const XAPIC_BROADCAST: u32 = 0xff;
/// Register offsets in the memory-mapped page; x2APIC's MSR is `0x800 + offset / 16`.
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS_VECTOR: u32 = 0xf0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND_LOW: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const INITIAL_COUNT: u32 = 0x380;
const CURRENT_COUNT: u32 = 0x390;
const DIVIDE: u32 = 0x3e0;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const LVT_MASKED: u32 = 1 << 16;
const LVT_NMI: u32 = 0b100 << 8;
const DIVIDE_BY_1: u32 = 0b1011;
bitflags! {
    /// The low half of the interrupt command register beside the vector (SDM vol. 3, 12.6.1).
    #[derive(Clone, Copy)]
    struct Command: u32 {
        /// Delivery mode: non-maskable interrupt.
        const NMI = 0b100 << 8;
        /// Delivery mode: INIT.
        const INIT = 0b101 << 8;
        /// Delivery mode: start-up.
        const STARTUP = 0b110 << 8;
        /// The last command was not accepted yet.
        const PENDING = 1 << 12;
        /// Level assert, as every message but one of INIT's has it.
        const ASSERT = 1 << 14;
    }
}

/// Status reads before an interrupt command is believed to be stuck.
const COMMAND_TRIES: u32 = 1 << 20;

static X2APIC: AtomicBool = AtomicBool::new(false);
/// Where the registers are mapped; 0 before [`set_up`], and unused in x2APIC mode.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

/// Chooses the mode for all processors, on the boot processor.
///
/// # Safety
/// `registers` is the uncacheable mapping of the local APIC's page where `x2apic` is false, and `x2apic` is true only
/// where CPUID reports it.
pub unsafe fn set_up(x2apic: bool, registers: VirtAddr) {
    X2APIC.store(x2apic, Ordering::Relaxed);
    REGISTERS.store(registers.as_u64(), Ordering::Relaxed);
}

/// Whether the local APICs run in x2APIC mode.
pub fn is_x2apic() -> bool {
    X2APIC.load(Ordering::Relaxed)
}

/// Physical address of the calling processor's local APIC registers.
pub fn registers() -> u64 {
    // SAFETY: the register exists on every x86-64 processor; reading it has no side effect.
    unsafe { Msr::new(APIC_BASE).read() & 0x000f_ffff_ffff_f000 }
}

/// Turns on the calling processor's local APIC: timer masked, LINT0 masked (the legacy controllers are silent), LINT1 NMI.
pub fn enable() {
    let mut base = Msr::new(APIC_BASE);
    // SAFETY: sets the enable bits of this processor's own APIC, x2APIC only where `set_up`'s caller saw it in CPUID; the
    // base address stays as it is. Going from xAPIC to x2APIC is the one allowed direction (SDM vol. 3, 12.12.5).
    unsafe {
        let value = base.read() | BASE_ENABLE;
        base.write(value);
        if is_x2apic() {
            base.write(value | BASE_X2APIC);
        }
    }
    write(TASK_PRIORITY, 0);
    write(LVT_TIMER, LVT_MASKED | u32::from(vectors::TIMER));
    write(LVT_LINT0, LVT_MASKED);
    write(LVT_LINT1, LVT_NMI);
    write(LVT_ERROR, LVT_MASKED);
    write(DIVIDE, DIVIDE_BY_1);
    write(ERROR_STATUS, 0);
    write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(vectors::SPURIOUS));
    end_of_interrupt();
}

/// The calling processor's APIC id.
pub fn id() -> u32 {
    if is_x2apic() { read(ID) } else { read(ID) >> 24 }
}

/// Tells the APIC that the interrupt in service is done.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Interrupts the processor with APIC id `to`.
pub fn send(to: u32, vector: u8) {
    command(to, Command::empty(), vector);
}

/// Sends a non-maskable interrupt to the processor with APIC id `to`. Does nothing before [`set_up`].
pub fn send_nmi(to: u32) {
    command(to, Command::NMI, 0);
}

/// Resets the processor with APIC id `to` to wait for a start-up message.
pub fn send_init(to: u32) {
    command(to, Command::INIT, 0);
}

/// Starts the processor with APIC id `to` in real mode at `page * 4096`.
pub fn send_startup(to: u32, page: u8) {
    command(to, Command::STARTUP, page);
}

/// Starts the timer: one interrupt at [`vectors::TIMER`] after `count` ticks.
pub fn start_timer(count: u32) {
    write(LVT_TIMER, u32::from(vectors::TIMER));
    write(INITIAL_COUNT, count);
}

/// Starts the timer without an interrupt, for measuring how fast it counts.
pub fn start_silent_timer(count: u32) {
    write(LVT_TIMER, LVT_MASKED | u32::from(vectors::TIMER));
    write(INITIAL_COUNT, count);
}

/// Stops the timer.
pub fn stop_timer() {
    write(INITIAL_COUNT, 0);
}

/// What is left of the timer's count.
pub fn timer_count() -> u32 {
    read(CURRENT_COUNT)
}

fn command(to: u32, mode: Command, vector: u8) {
    let low = (Command::ASSERT | mode).bits() | u32::from(vector);
    if is_x2apic() {
        // Orders earlier stores (mail) before the interrupt: writing this MSR does not, and a locked instruction does not
        // order it either (SDM vol. 3, 12.12.3: MFENCE, then LFENCE).
        // SAFETY: fences have no effect on memory.
        unsafe {
            _mm_mfence();
            _mm_lfence();
        }
        // SAFETY: MSR 0x830 is the interrupt command register in x2APIC mode, written whole. What is sent is one of this
        // module's messages: a vector with a gate, NMI (served on its own stack), or INIT and start-up.
        unsafe { Msr::new(0x830).write(u64::from(to) << 32 | u64::from(low)) };
        return;
    }
    for _ in 0..COMMAND_TRIES {
        if !Command::from_bits_retain(read(COMMAND_LOW)).contains(Command::PENDING) {
            break;
        }
        core::hint::spin_loop();
    }
    write(COMMAND_HIGH, to << 24);
    write(COMMAND_LOW, low);
}

fn read(register: u32) -> u32 {
    if is_x2apic() {
        // SAFETY: the MSR exists in x2APIC mode for every register that this module reads.
        return unsafe { Msr::new(0x800 + (register >> 4)).read() } as u32;
    }
    let base = REGISTERS.load(Ordering::Relaxed);
    if base == 0 {
        return 0;
    }
    // SAFETY: `set_up`'s caller mapped the APIC's page there; the offset is one of this module's, inside the page, aligned.
    unsafe { ((base + u64::from(register)) as *const u32).read_volatile() }
}

fn write(register: u32, value: u32) {
    if is_x2apic() {
        // SAFETY: the MSR exists in x2APIC mode and is writable for every register that this module writes there.
        unsafe { Msr::new(0x800 + (register >> 4)).write(u64::from(value)) };
        return;
    }
    let base = REGISTERS.load(Ordering::Relaxed);
    if base != 0 {
        // SAFETY: as in `read`; the registers written here are writable.
        unsafe { ((base + u64::from(register)) as *mut u32).write_volatile(value) };
    }
}
