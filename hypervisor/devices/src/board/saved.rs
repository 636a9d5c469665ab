//! All devices' states together.

use alloc::vec;
use alloc::vec::Vec;

use super::interrupts::Interrupts;
use super::{Board, BoardConfig, BoardCounters};
use crate::clock::ParavirtualClock;
use crate::io_apic::IoApic;
use crate::local_apic::LocalApic;
use crate::pci::PciConfiguration;
use crate::pic::Pic;
use crate::pit::Pit;
use crate::power::PowerManagement;
use crate::reset::Reset;
use crate::rtc::Rtc;
use crate::saved::{RestoreError, SavedDevice, decode, encode};
use crate::serial::Serial;
use crate::time::Now;

impl Board {
    /// The state of all devices, one entry each. `now` is when the guest last ran: whatever it may have read
    /// off its clocks until then will hold where it arrives.
    pub fn save(&self, now: Now) -> Vec<SavedDevice> {
        vec![
            encode(&self.serial.save()),
            encode(&self.interrupts.pic.save()),
            encode(&self.pit.save()),
            encode(&self.interrupts.local_apic.save()),
            encode(&self.interrupts.io_apic.save()),
            encode(&self.rtc.save()),
            encode(&self.power.save()),
            encode(&self.clock.save(now)),
            encode(&self.reset.save()),
            encode(&self.pci.save()),
        ]
    }

    /// A board in the saved state, brought up to `now`. Where the guest was not running meanwhile,
    /// [`after_pause`](Self::after_pause) comes next.
    ///
    /// Of `config` only the TSC's rate counts: memory and the wall clock are part of the state.
    ///
    /// # Errors
    /// A device's state is missing, there twice, of an unknown version, unreadable or impossible.
    pub fn restore(config: &BoardConfig, now: Now, saved: &[SavedDevice]) -> Result<Self, RestoreError> {
        let rtc = Rtc::restore(&decode(saved)?)?;
        let power = PowerManagement::restore(&decode(saved)?, rtc.has_alarm())?;
        let mut board = Self {
            serial: Serial::restore(&decode(saved)?)?,
            pit: Pit::restore(decode(saved)?)?,
            rtc,
            power,
            reset: Reset::restore(&decode(saved)?)?,
            pci: PciConfiguration::restore(&decode(saved)?)?,
            clock: ParavirtualClock::restore(&decode(saved)?, config.tsc_hz)?,
            interrupts: Interrupts {
                pic: Pic::restore(decode(saved)?)?,
                io_apic: IoApic::restore(&decode(saved)?)?,
                local_apic: LocalApic::restore(&decode(saved)?, config.tsc_hz)?,
            },
            counters: BoardCounters::default(),
        };
        board.advance(now);
        Ok(board)
    }
}
