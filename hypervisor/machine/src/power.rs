//! Switching off and starting again.

use godwit_host::machine::PowerError;
use x86_64::{
    VirtAddr,
    instructions::{
        interrupts,
        port::{Port, PortWriteOnly},
        tables::lidt,
    },
    structures::{
        DescriptorTablePointer,
        paging::{FrameAllocator, Size4KiB},
    },
};

use crate::{
    acpi::{AcpiEnable, Platform, Pm1, PowerOff, Register},
    register::Reachable,
    time::tsc,
};

/// How long each way gets to act before the next is tried.
const PATIENCE_NS: u64 = 500_000_000;

/// Width of the PM1 registers.
const PM1_BYTES: u64 = 2;

/// A pair of registers whose bits are taken together.
#[derive(Clone, Copy, Debug)]
struct Pair {
    a: Reachable,
    b: Option<Reachable>,
}

impl Pair {
    fn reach(pm1: Pm1, reach: &mut impl FnMut(Register, u64) -> Option<Reachable>) -> Option<Self> {
        let b = match pm1.b {
            Some(b) => Some(reach(b, PM1_BYTES)?),
            None => None,
        };
        Some(Self { a: reach(pm1.a, PM1_BYTES)?, b })
    }

    fn each(self) -> impl Iterator<Item = Reachable> {
        core::iter::once(self.a).chain(self.b)
    }
}

#[derive(Clone, Copy, Debug)]
enum Off {
    Pm1 { status: Option<Pair>, control: Pair, types: [u8; 2], enable: Option<AcpiEnable> },
    SleepControl { register: Reachable, sleep_type: u8 },
}

/// The ways that this machine has.
#[derive(Clone, Copy, Debug)]
pub struct Power {
    off: Option<Off>,
    reset: Option<(Reachable, u8)>,
}

impl Power {
    /// Makes the registers that the firmware names reachable.
    pub fn find(platform: &Platform, frames: &mut impl FrameAllocator<Size4KiB>) -> Self {
        // SAFETY: the FADT names these as its registers; this module uses them as ACPI 6.5, 4.8.3 and 7.4.2 say.
        let mut reach = |register, bytes| unsafe { Reachable::new(register, bytes, frames) };
        let off = platform.power_off.and_then(|off| match off {
            PowerOff::Pm1 { status, control, sleep_types, enable } => Some(Off::Pm1 {
                status: status.and_then(|status| Pair::reach(status, &mut reach)),
                control: Pair::reach(control, &mut reach)?,
                types: [sleep_types.a, sleep_types.b],
                enable,
            }),
            PowerOff::SleepControl { register, sleep_type } => {
                Some(Off::SleepControl { register: reach(register, 1)?, sleep_type })
            }
        });
        let reset = platform.reset.and_then(|reset| Some((reach(reset.register, 1)?, reset.value)));
        Self { off, reset }
    }

    /// Switches the machine off; returns only when it could not.
    pub fn off(&self) -> PowerError {
        interrupts::disable();
        match self.off {
            None => {
                return PowerError(
                    "the firmware names no way to switch this machine off; hold its power button",
                );
            }
            Some(Off::Pm1 { status, control, types, enable }) => {
                take_over(control.a, enable);
                if let Some(status) = status {
                    // Pending events are cleared by writing ones.
                    status.each().for_each(|register| register.write_16(u16::MAX));
                }
                // First the type, to both blocks, then the command: a machine with two blocks acts on the first write.
                for (register, sleep_type) in control.each().zip(types) {
                    register
                        .write_16(PowerOff::pm1_control(register.read_16(), sleep_type) & !PowerOff::SLP_EN);
                }
                for (register, sleep_type) in control.each().zip(types) {
                    register.write_16(PowerOff::pm1_control(register.read_16(), sleep_type));
                }
            }
            Some(Off::SleepControl { register, sleep_type }) => {
                register.write_8(PowerOff::sleep_control(sleep_type));
            }
        }
        wait(PATIENCE_NS, || false);
        PowerError("the machine did not obey its power-off register; hold its power button")
    }

    /// Starts the machine again: by the firmware's register, then the chipset's, then the keyboard controller's, then by a
    /// triple fault, which always does.
    pub fn reset(&self) -> PowerError {
        interrupts::disable();
        if let Some((register, value)) = self.reset {
            register.write_8(value);
            wait(PATIENCE_NS, || false);
        }
        // SAFETY: the reset control register of PC chipsets (Intel ICH, RST_CNT): system and CPU reset. Then the
        // keyboard controller's command 0xfe, pulse the reset line.
        unsafe {
            PortWriteOnly::<u8>::new(0xcf9).write(0x02);
            PortWriteOnly::<u8>::new(0xcf9).write(0x06);
            wait(PATIENCE_NS, || false);
            PortWriteOnly::<u8>::new(0x64).write(0xfe);
            wait(PATIENCE_NS, || false);
        }
        let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
        // SAFETY: with no gates left the next exception shuts the processor down, which resets the machine: what was asked for.
        unsafe {
            lidt(&nothing);
            core::arch::asm!("int3");
        }
        PowerError("the machine obeyed none of its reset registers; press its reset button")
    }
}

/// Takes the power management registers over from the firmware (ACPI 6.5, 4.8.2.5).
fn take_over(control: Reachable, enable: Option<AcpiEnable>) {
    let Some(enable) = enable else { return };
    if control.read_16() & PowerOff::SCI_EN != 0 {
        return;
    }
    // SAFETY: the FADT names the SMI command port and the value that hands the registers over.
    unsafe { Port::<u8>::new(enable.port).write(enable.value) };
    wait(PATIENCE_NS, || control.read_16() & PowerOff::SCI_EN != 0);
}

/// Waits `nanoseconds` or until `done`.
fn wait(nanoseconds: u64, done: impl Fn() -> bool) {
    let start = tsc::now().as_nanoseconds();
    while !done() && tsc::now().as_nanoseconds().saturating_sub(start) < nanoseconds {
        core::hint::spin_loop();
    }
}
