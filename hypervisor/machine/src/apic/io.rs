//! IO-APICs (Intel 82093AA data sheet): every input masked but those that the host asks for.

use alloc::vec::Vec;

use bitflags::bitflags;
use spin::Mutex;
use x86_64::VirtAddr;

const SELECT: u64 = 0x00;
const WINDOW: u64 = 0x10;
const VERSION: u8 = 0x01;
const REDIRECTION: u8 = 0x10;
/// Inputs whose two registers an 8-bit index can name.
const MAX_INPUTS: u32 = (256 - REDIRECTION as u32) / 2;

bitflags! {
    /// The low half of a redirection entry beside the vector (82093AA, 3.2.4).
    #[derive(Clone, Copy)]
    struct Redirection: u32 {
        /// Active when low.
        const ACTIVE_LOW = 1 << 13;
        /// Level-triggered.
        const LEVEL = 1 << 15;
        /// Not delivered.
        const MASKED = 1 << 16;
    }
}

/// How an input signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Active when low.
    pub active_low: bool,
    /// Level-triggered, else on the edge.
    pub level: bool,
}

/// One IO-APIC.
struct IoApic {
    registers: VirtAddr,
    first_input: u32,
    inputs: u32,
}

static IO_APICS: Mutex<Vec<IoApic>> = Mutex::new(Vec::new());

/// Adds an IO-APIC whose inputs count from global interrupt `first_input`, and masks them all.
///
/// # Safety
/// `registers` is the uncacheable mapping of an IO-APIC that nothing else drives.
pub unsafe fn add(registers: VirtAddr, first_input: u32) {
    let mut io_apic = IoApic { registers, first_input, inputs: 0 };
    io_apic.inputs = (io_apic.read(VERSION) >> 16 & 0xff) + 1;
    for input in 0..io_apic.inputs.min(MAX_INPUTS) {
        io_apic.write(REDIRECTION + 2 * input as u8, Redirection::MASKED.bits());
    }
    IO_APICS.lock().push(io_apic);
}

/// Routes global interrupt `input` to `vector` on the processor with APIC id `to`. False where no IO-APIC has that
/// input, or the id does not fit the 8 bits that the entry has.
pub fn route(input: u32, signal: Signal, vector: u8, to: u32) -> bool {
    let io_apics = IO_APICS.lock();
    let Some(io_apic) = io_apics
        .iter()
        .find(|io_apic| input.checked_sub(io_apic.first_input).is_some_and(|inside| inside < io_apic.inputs))
    else {
        return false;
    };
    let (Ok(inside), Ok(to)) = (
        u8::try_from(input - io_apic.first_input),
        u8::try_from(to).ok().filter(|&to| to != u8::MAX).ok_or(()),
    ) else {
        return false;
    };
    let Some(entry) = inside.checked_mul(2).and_then(|twice| twice.checked_add(REDIRECTION)) else {
        return false;
    };
    let mut how = Redirection::empty();
    how.set(Redirection::ACTIVE_LOW, signal.active_low);
    how.set(Redirection::LEVEL, signal.level);
    io_apic.write(entry + 1, u32::from(to) << 24);
    io_apic.write(entry, how.bits() | u32::from(vector));
    true
}

impl IoApic {
    fn read(&self, register: u8) -> u32 {
        // SAFETY: `add`'s caller mapped the two registers; the lock around the list keeps select and window together.
        unsafe {
            (self.registers + SELECT).as_mut_ptr::<u32>().write_volatile(u32::from(register));
            (self.registers + WINDOW).as_ptr::<u32>().read_volatile()
        }
    }

    fn write(&self, register: u8, value: u32) {
        // SAFETY: as in `read`; a redirection entry routes to a vector that has a gate.
        unsafe {
            (self.registers + SELECT).as_mut_ptr::<u32>().write_volatile(u32::from(register));
            (self.registers + WINDOW).as_mut_ptr::<u32>().write_volatile(value);
        }
    }
}
