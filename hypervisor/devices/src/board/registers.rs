//! Devices behind memory addresses and model-specific registers.

use godwit_guest::{GuestMemory, VcpuIndex};

use super::Board;
use crate::clock::{SYSTEM_TIME_MSRS, WALL_CLOCK_MSRS};
use crate::local_apic::{BASE_MSR, TSC_DEADLINE_MSR, X2APIC_MSRS};
use crate::refused::Refused;
use crate::time::Now;
use crate::{io_apic, local_apic};

/// Bits of an address within a page.
const IN_PAGE: u64 = 0xfff;

/// A page of device registers.
enum Page {
    LocalApic,
    IoApic,
}

impl Page {
    const fn of(address: u64) -> Option<Self> {
        match address & !IN_PAGE {
            local_apic::BASE => Some(Self::LocalApic),
            io_apic::BASE => Some(Self::IoApic),
            _ => None,
        }
    }
}

/// A model-specific register of a device.
enum Msr {
    ApicBase,
    X2Apic(u32),
    TscDeadline,
    SystemTime,
    WallClock,
}

impl Msr {
    fn of(msr: u32) -> Option<Self> {
        match msr {
            BASE_MSR => Some(Self::ApicBase),
            TSC_DEADLINE_MSR => Some(Self::TscDeadline),
            _ if X2APIC_MSRS.contains(&msr) => Some(Self::X2Apic(msr - X2APIC_MSRS.start())),
            _ if SYSTEM_TIME_MSRS.contains(&msr) => Some(Self::SystemTime),
            _ if WALL_CLOCK_MSRS.contains(&msr) => Some(Self::WallClock),
            _ => None,
        }
    }
}

impl Board {
    /// Whether device registers are at this guest-physical address: the local APIC's page, the IO-APIC's
    /// page.
    pub fn has_mmio(&self, address: u64) -> bool {
        Page::of(address).is_some()
    }

    /// Reads `bytes` (1, 2, 4 or 8) of device registers as `vcpu` sees them; all ones where none are.
    pub fn read_mmio(&mut self, now: Now, vcpu: VcpuIndex, address: u64, bytes: u8) -> u64 {
        self.advance(now);
        let offset = address & IN_PAGE;
        let value = match Page::of(address) {
            Some(Page::LocalApic) => {
                let apic = self.interrupts.apics.get_mut(vcpu);
                apic.map_or(u64::MAX, |apic| apic.read_page(now, offset, bytes))
            }
            Some(Page::IoApic) => self.interrupts.io_apic.read(offset, bytes),
            None => u64::MAX,
        };
        self.settle();
        value
    }

    /// `vcpu` writes the low `bytes` (1, 2, 4 or 8) of `value` to device registers.
    pub fn write_mmio(&mut self, now: Now, vcpu: VcpuIndex, address: u64, bytes: u8, value: u64) {
        self.advance(now);
        let offset = address & IN_PAGE;
        let interrupts = &mut self.interrupts;
        match Page::of(address) {
            Some(Page::LocalApic) => {
                if let Some(apic) = interrupts.apics.get_mut(vcpu) {
                    let effect = apic.write_page(now, offset, bytes, value);
                    interrupts.carry_out(vcpu, effect);
                }
            }
            Some(Page::IoApic) => interrupts.io_apic.write(offset, bytes, value, &mut interrupts.apics),
            None => {}
        }
        self.settle();
    }

    /// RDMSR on `vcpu`. `None` where the register is no device's; a refusal is #GP(0).
    pub fn read_msr(&mut self, now: Now, vcpu: VcpuIndex, msr: u32) -> Option<Result<u64, Refused>> {
        self.advance(now);
        let apic = self.interrupts.apics.get_mut(vcpu)?;
        Some(match Msr::of(msr)? {
            Msr::ApicBase => Ok(apic.base()),
            Msr::X2Apic(number) => apic.read_msr(now, number),
            Msr::TscDeadline => Ok(apic.tsc_deadline()),
            Msr::SystemTime => Ok(self.clock.system_time_msr(vcpu)),
            Msr::WallClock => Ok(self.clock.wall_clock_msr()),
        })
    }

    /// WRMSR on `vcpu`. `None` where the register is no device's; a refusal is #GP(0), and nothing changed.
    pub fn write_msr(
        &mut self,
        now: Now,
        vcpu: VcpuIndex,
        msr: u32,
        value: u64,
        memory: &dyn GuestMemory,
    ) -> Option<Result<(), Refused>> {
        self.advance(now);
        let interrupts = &mut self.interrupts;
        let apic = interrupts.apics.get_mut(vcpu)?;
        let result = match Msr::of(msr)? {
            Msr::ApicBase => apic.set_base(value),
            Msr::X2Apic(number) => {
                apic.write_msr(now, number, value).map(|effect| interrupts.carry_out(vcpu, effect))
            }
            Msr::TscDeadline => {
                apic.set_tsc_deadline(now, value);
                Ok(())
            }
            Msr::SystemTime => self.clock.set_system_time_msr(now, vcpu, value, memory),
            Msr::WallClock => self.clock.set_wall_clock_msr(value, memory),
        };
        self.settle();
        Some(result)
    }
}
