//! The APIC base MSR: off, xAPIC, x2APIC (SDM vol. 3, 11.4.4 and 11.12.1).

use godwit_guest::VcpuIndex;

use super::{BASE, LocalApic};
use crate::refused::Refused;

/// IA32_APIC_BASE.
pub(crate) const BASE_MSR: u32 = 0x1b;

/// This CPU booted.
const BOOT_CPU: u64 = 1 << 8;
/// x2APIC mode.
const EXTENDED: u64 = 1 << 10;
/// The APIC is on.
const ENABLED: u64 = 1 << 11;

/// On, in xAPIC mode.
pub(super) const fn after_reset(vcpu: VcpuIndex) -> u64 {
    let boot_cpu = if vcpu.index() == VcpuIndex::BOOT.index() { BOOT_CPU } else { 0 };
    BASE | boot_cpu | ENABLED
}

/// Whether the MSR of this CPU can have this value.
pub(super) fn is_possible_for(vcpu: VcpuIndex, value: u64) -> bool {
    is_possible(value) && (value ^ after_reset(vcpu)) & BOOT_CPU == 0
}

/// Whether the MSR can have this value at all.
fn is_possible(value: u64) -> bool {
    value & !(BOOT_CPU | EXTENDED | ENABLED) == BASE && value & (EXTENDED | ENABLED) != EXTENDED
}

impl LocalApic {
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Changes the mode.
    ///
    /// # Errors
    /// Reserved bits, another base address, or a change that must not be: from off to x2APIC, from x2APIC to
    /// xAPIC.
    pub(crate) fn set_base(&mut self, value: u64) -> Result<(), Refused> {
        let mode = (self.base & (EXTENDED | ENABLED), value & (EXTENDED | ENABLED));
        const BOTH: u64 = EXTENDED | ENABLED;
        if !is_possible(value) || matches!(mode, (0, BOTH) | (BOTH, ENABLED)) {
            return Err(Refused);
        }
        // A CPU that has yet to obey INIT would not have written this, and the mode is what INIT leaves alone.
        if self.starting.init {
            return Ok(());
        }
        // The bit that says which CPU booted is not the guest's to change.
        let value = value & !BOOT_CPU | self.base & BOOT_CPU;
        if value & ENABLED == 0 {
            // What is not the APIC's own stays: the level at its pin, what other CPUs asked of this one, whose turn it is.
            *self = Self {
                pin0: self.pin0,
                starting: self.starting,
                took_last: self.took_last,
                attention: self.attention,
                ..Self::reset(value, self.id, self.tsc_hz)
            };
        }
        self.base = value;
        Ok(())
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.base & ENABLED != 0
    }

    pub(super) fn is_x2apic(&self) -> bool {
        self.base & (EXTENDED | ENABLED) == EXTENDED | ENABLED
    }
}
