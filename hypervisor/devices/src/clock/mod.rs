//! kvmclock: the guest's time as a function of its TSC, in a page of its own memory for each CPU
//! (Linux, `Documentation/virt/kvm/x86/msr.rst`).
//!
//! A page says: at TSC `tsc_timestamp` the time was `system_time`, and this is how fast the TSC counts. It is written when the CPU
//! asks for it, and again after a pause.
//!
//! **Time never goes back**, whichever CPUs read it one after the other: the TSC is the same on all of them, and all pages in force
//! say the same words. So a CPU that asks for a page gets those that the others have. Only after a pause, when no CPU reads, do
//! all get new ones; these never begin before the latest time that any of the old ones could have given.
//!
//! **How it migrates**: the MSRs, the pages' versions, what they say and the latest time that the guest can have read are saved, as
//! one state for all CPUs. The pages themselves travel as guest memory and are rewritten on arrival by
//! [`after_pause`](ParavirtualClock::after_pause), with the rate of the TSC there.

mod page;
mod saved;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;

use godwit_guest::{GuestAddress, GuestMemory, MAX_VCPUS, VcpuIndex};

use crate::refused::Refused;
use crate::time::{GuestTime, NANOSECONDS_PER_SECOND, Now};
use page::{Flags, Scale, TimePage};

/// Where a CPU's time page is, and whether it is wanted.
pub(crate) const SYSTEM_TIME_MSRS: [u32; 2] = [0x12, 0x4b56_4d01];
/// Where to write the wall clock at the guest's start: one for all CPUs.
pub(crate) const WALL_CLOCK_MSRS: [u32; 2] = [0x11, 0x4b56_4d00];

/// System time MSR: the page is kept up.
const ENABLED: u64 = 1 << 0;
/// Pages lie at multiples of 4 bytes.
const ALIGNMENT: u64 = 4;

/// The clock of a guest.
#[derive(Debug)]
pub(crate) struct ParavirtualClock {
    /// The wall clock at time 0, in seconds since 1970.
    wall_clock_start_s: i64,
    scale: Scale,
    wall_clock_msr: u64,
    /// Of the wall clock's page; odd while it is being written, so even here.
    wall_clock_version: u32,
    /// One for each CPU.
    cpus: Vec<CpuClock>,
    /// What the guest can have read at least once before: off a page that was given up, or before it moved.
    promised: GuestTime,
}

/// What one CPU has of it.
#[derive(Clone, Debug, Default)]
struct CpuClock {
    system_time_msr: u64,
    /// Of the page written last, even as above.
    version: u32,
    /// What the CPU reads now, where it reads anything.
    page: Option<TimePage>,
}

impl ParavirtualClock {
    pub(crate) fn new(cpus: u8, wall_clock_start_s: i64, tsc_hz: u64) -> Self {
        Self {
            wall_clock_start_s,
            scale: Scale::new(tsc_hz),
            wall_clock_msr: 0,
            wall_clock_version: 0,
            cpus: vec![CpuClock::default(); usize::from(cpus).clamp(1, MAX_VCPUS)],
            promised: GuestTime(0),
        }
    }

    /// The rate of the guest's TSC from now on; the pages say so from the next pause on.
    pub(crate) fn set_tsc_hz(&mut self, hz: u64) {
        self.scale = Scale::new(hz);
    }

    /// A CPU's own register; 0 where there is no such CPU.
    pub(crate) fn system_time_msr(&self, vcpu: VcpuIndex) -> u64 {
        self.cpus.get(vcpu.index()).map_or(0, |cpu| cpu.system_time_msr)
    }

    pub(crate) fn wall_clock_msr(&self) -> u64 {
        self.wall_clock_msr
    }

    /// Starts, moves or stops a CPU's time page.
    ///
    /// # Errors
    /// The address is not aligned, there is no RAM or no such CPU; nothing changed.
    pub(crate) fn set_system_time_msr(
        &mut self,
        now: Now,
        vcpu: VcpuIndex,
        value: u64,
        memory: &dyn GuestMemory,
    ) -> Result<(), Refused> {
        let others = self.cpus.iter().enumerate().filter(|(at, _)| *at != vcpu.index());
        let theirs = others.filter_map(|(_, cpu)| cpu.page).next();
        let page = theirs.unwrap_or_else(|| self.page_from(now));
        let promised = self.promised_at(now.tsc);
        let cpu = self.cpus.get_mut(vcpu.index()).ok_or(Refused)?;
        if value & ENABLED == 0 {
            cpu.page = None;
        } else {
            let at = GuestAddress(value & !ENABLED);
            if !at.0.is_multiple_of(ALIGNMENT) {
                return Err(Refused);
            }
            cpu.write(at, TimePage { flags: Flags::TSC_STABLE, ..page }, memory)?;
        }
        cpu.system_time_msr = value;
        self.promised = promised;
        Ok(())
    }

    /// Writes the wall clock at the guest's start where the guest wants it.
    ///
    /// # Errors
    /// The address is not aligned, or there is no RAM.
    pub(crate) fn set_wall_clock_msr(&mut self, value: u64, memory: &dyn GuestMemory) -> Result<(), Refused> {
        if !value.is_multiple_of(ALIGNMENT) {
            return Err(Refused);
        }
        let version = self.wall_clock_version.wrapping_add(2);
        // The format has 32 bits of seconds.
        let seconds = self.wall_clock_start_s as u32;
        page::write(memory, GuestAddress(value), version, &page::wall_clock(seconds))?;
        self.wall_clock_version = version;
        self.wall_clock_msr = value;
        Ok(())
    }

    /// The guest stood still, or came from another host: all its pages are written anew, and tell it that it was stopped. The
    /// number of pages that cannot be written: the guest keeps the old ones.
    pub(crate) fn after_pause(&mut self, now: Now, memory: &dyn GuestMemory) -> u32 {
        let page = TimePage { flags: Flags::TSC_STABLE | Flags::GUEST_STOPPED, ..self.page_from(now) };
        self.promised = self.promised_at(now.tsc);
        self.rewrite(page, memory)
    }

    /// The guest wrote its TSC, which showed `before` and now shows `now`: its pages are written anew, as the old ones say nothing of the
    /// new counts. The number of pages that cannot be written.
    pub(crate) fn after_tsc_write(&mut self, before: Now, now: Now, memory: &dyn GuestMemory) -> u32 {
        self.promised = self.promised_at(before.tsc);
        let page = TimePage {
            tsc_timestamp: now.tsc,
            system_time: now.time.max(self.promised),
            ..self.page_from(now)
        };
        self.rewrite(page, memory)
    }

    /// Writes all pages that are in force anew; the number of those that cannot be written.
    fn rewrite(&mut self, page: TimePage, memory: &dyn GuestMemory) -> u32 {
        let mut failures = 0;
        for cpu in self.cpus.iter_mut().filter(|cpu| cpu.page.is_some()) {
            let at = GuestAddress(cpu.system_time_msr & !ENABLED);
            if cpu.write(at, page, memory).is_err() {
                failures += 1;
            }
        }
        failures
    }

    /// What pages say that begin now: guest time, but never less than a page before.
    fn page_from(&self, now: Now) -> TimePage {
        let system_time = now.time.max(self.promised_at(now.tsc));
        TimePage { tsc_timestamp: now.tsc, system_time, scale: self.scale, flags: Flags::TSC_STABLE }
    }

    /// The latest time that the guest can have read up to `tsc`.
    fn promised_at(&self, tsc: u64) -> GuestTime {
        let pages = self.cpus.iter().filter_map(|cpu| cpu.page);
        pages.map(|page| page.time_at(tsc)).fold(self.promised, GuestTime::max)
    }
}

impl CpuClock {
    fn write(&mut self, at: GuestAddress, page: TimePage, memory: &dyn GuestMemory) -> Result<(), Refused> {
        let version = self.version.wrapping_add(2);
        page::write(memory, at, version, &page.body())?;
        self.version = version;
        self.page = Some(page);
        Ok(())
    }
}
