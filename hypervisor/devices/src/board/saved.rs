//! All devices' states together.

use alloc::vec;
use alloc::vec::Vec;

use super::interrupts::Interrupts;
use super::{Board, BoardConfig, BoardCounters};
use crate::clock::ParavirtualClock;
use crate::io_apic::IoApic;
use crate::local_apic::LocalApics;
use crate::pci::PciConfiguration;
use crate::pic::Pic;
use crate::pit::Pit;
use crate::power::PowerManagement;
use crate::reset::Reset;
use crate::rtc::Rtc;
use crate::saved::{RestoreError, SavedDevice, decode, decode_all, encode};
use crate::serial::Serial;
use crate::time::Now;

impl Board {
    /// The state of all devices: one entry each, but one for each CPU's local APIC. `now` is when the guest last ran: whatever it may have read
    /// off its clocks until then will hold where it arrives.
    pub fn save(&self, now: Now) -> Vec<SavedDevice> {
        let mut saved = vec![
            encode(&self.serial.save()),
            encode(&self.interrupts.pic.save()),
            encode(&self.pit.save()),
            encode(&self.interrupts.io_apic.save()),
            encode(&self.rtc.save()),
            encode(&self.power.save()),
            encode(&self.clock.save(now)),
            encode(&self.reset.save()),
            encode(&self.pci.save()),
        ];
        saved.extend(self.interrupts.apics.save().map(|state| encode(&state)));
        saved
    }

    /// A board in the saved state, brought up to `now`. Where the guest was not running meanwhile,
    /// [`after_pause`](Self::after_pause) comes next.
    ///
    /// Of `config` the number of CPUs, which the state has to fit, and the TSC's rate count: memory and the wall clock are part of
    /// the state.
    ///
    /// # Errors
    /// A device's state is missing, there twice, of an unknown version, unreadable, impossible, or of a CPU that the guest has not.
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
            clock: ParavirtualClock::restore(&decode(saved)?, config.cpus, config.tsc_hz)?,
            interrupts: Interrupts {
                pic: Pic::restore(decode(saved)?)?,
                io_apic: IoApic::restore(&decode(saved)?)?,
                apics: LocalApics::restore(decode_all(saved), config.cpus, config.tsc_hz)?,
            },
            counters: BoardCounters::default(),
        };
        board.advance(now);
        Ok(board)
    }
}
