//! kvmclock: the guest's time as a function of its TSC, in a page of its own memory
//! (Linux, `Documentation/virt/kvm/x86/msr.rst`).
//!
//! The page says: at TSC `tsc_timestamp` the time was `system_time`, and this is how fast the TSC counts. It
//! is written when the guest asks for it, and again after a pause. A guest may have read the old page until
//! the pause, so the new one never begins before the latest time that the old one could have given.
//!
//! **How it migrates**: the two MSRs, the page's version, what the page says and the latest time that the
//! guest can have read are saved. The page itself travels as guest memory and is rewritten on arrival by
//! [`after_pause`](ParavirtualClock::after_pause), with the rate of the TSC there.

mod page;
mod saved;
#[cfg(test)]
mod tests;

use godwit_guest::{GuestAddress, GuestMemory};

use crate::refused::Refused;
use crate::time::{GuestTime, NANOSECONDS_PER_SECOND, Now};
use page::{Flags, Scale, TimePage};

/// Where the time page is, and whether it is wanted.
pub(crate) const SYSTEM_TIME_MSRS: [u32; 2] = [0x12, 0x4b56_4d01];
/// Where to write the wall clock at the guest's start.
pub(crate) const WALL_CLOCK_MSRS: [u32; 2] = [0x11, 0x4b56_4d00];

/// System time MSR: the page is kept up.
const ENABLED: u64 = 1 << 0;
/// Pages lie at multiples of 4 bytes.
const ALIGNMENT: u64 = 4;

/// The clock of one CPU.
#[derive(Debug)]
pub(crate) struct ParavirtualClock {
    /// The wall clock at time 0, in seconds since 1970.
    wall_clock_start_s: i64,
    scale: Scale,
    system_time_msr: u64,
    wall_clock_msr: u64,
    /// Of the pages written last; odd while one is being written, so even here.
    version: u32,
    /// What the guest reads now, where it reads anything.
    page: Option<TimePage>,
    /// What the guest can have read at least once before: off a page that was given up, or before it moved.
    promised: GuestTime,
}

impl ParavirtualClock {
    pub(crate) fn new(wall_clock_start_s: i64, tsc_hz: u64) -> Self {
        Self {
            wall_clock_start_s,
            scale: Scale::new(tsc_hz),
            system_time_msr: 0,
            wall_clock_msr: 0,
            version: 0,
            page: None,
            promised: GuestTime(0),
        }
    }

    /// The rate of the guest's TSC from now on; the page says so from the next time it is written.
    pub(crate) fn set_tsc_hz(&mut self, hz: u64) {
        self.scale = Scale::new(hz);
    }

    pub(crate) fn system_time_msr(&self) -> u64 {
        self.system_time_msr
    }

    pub(crate) fn wall_clock_msr(&self) -> u64 {
        self.wall_clock_msr
    }

    /// Starts, moves or stops the time page.
    ///
    /// # Errors
    /// The address is not aligned, or there is no RAM; nothing changed.
    pub(crate) fn set_system_time_msr(
        &mut self,
        now: Now,
        value: u64,
        memory: &dyn GuestMemory,
    ) -> Result<(), Refused> {
        if value & ENABLED == 0 {
            self.promised = self.promised_at(now.tsc);
            self.system_time_msr = value;
            self.page = None;
            return Ok(());
        }
        let at = GuestAddress(value & !ENABLED);
        if !at.0.is_multiple_of(ALIGNMENT) {
            return Err(Refused);
        }
        let page = self.page_at(now, Flags::TSC_STABLE);
        self.write_page(at, page, memory)?;
        self.system_time_msr = value;
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
        let version = self.version.wrapping_add(2);
        // The format has 32 bits of seconds.
        let seconds = self.wall_clock_start_s as u32;
        page::write(memory, GuestAddress(value), version, &page::wall_clock(seconds))?;
        self.version = version;
        self.wall_clock_msr = value;
        Ok(())
    }

    /// The guest stood still, or came from another host: its page is written anew, and tells it that it was
    /// stopped. `false` where the page cannot be written: the guest keeps the old one.
    pub(crate) fn after_pause(&mut self, now: Now, memory: &dyn GuestMemory) -> bool {
        if self.page.is_none() {
            return true;
        }
        let at = GuestAddress(self.system_time_msr & !ENABLED);
        let page = self.page_at(now, Flags::TSC_STABLE | Flags::GUEST_STOPPED);
        self.write_page(at, page, memory).is_ok()
    }

    /// The guest wrote its TSC, which showed `before` and now shows `now`: its page is written anew, as the old one says nothing of the
    /// new counts. `false` where the page cannot be written.
    pub(crate) fn after_tsc_write(&mut self, before: Now, now: Now, memory: &dyn GuestMemory) -> bool {
        self.promised = self.promised_at(before.tsc);
        if self.page.take().is_none() {
            return true;
        }
        let at = GuestAddress(self.system_time_msr & !ENABLED);
        let page = self.page_at(now, Flags::TSC_STABLE);
        self.write_page(at, page, memory).is_ok()
    }

    /// What a page written now says: guest time, but never less than the page before.
    fn page_at(&self, now: Now, flags: Flags) -> TimePage {
        let system_time = now.time.max(self.promised_at(now.tsc));
        TimePage { tsc_timestamp: now.tsc, system_time, scale: self.scale, flags }
    }

    /// The latest time that the guest can have read up to `tsc`.
    fn promised_at(&self, tsc: u64) -> GuestTime {
        self.page.map_or(self.promised, |page| page.time_at(tsc).max(self.promised))
    }

    fn write_page(
        &mut self,
        at: GuestAddress,
        page: TimePage,
        memory: &dyn GuestMemory,
    ) -> Result<(), Refused> {
        let version = self.version.wrapping_add(2);
        page::write(memory, at, version, &page.body())?;
        self.version = version;
        self.page = Some(page);
        Ok(())
    }
}
