//! The MC146818's registers by name.

use bitflags::bitflags;

/// Register numbers. The century is at the place that the FADT names.
pub(super) mod register {
    pub(in super::super) const SECOND: u8 = 0x00;
    pub(in super::super) const ALARM_SECOND: u8 = 0x01;
    pub(in super::super) const MINUTE: u8 = 0x02;
    pub(in super::super) const ALARM_MINUTE: u8 = 0x03;
    pub(in super::super) const HOUR: u8 = 0x04;
    pub(in super::super) const ALARM_HOUR: u8 = 0x05;
    pub(in super::super) const WEEKDAY: u8 = 0x06;
    pub(in super::super) const DAY: u8 = 0x07;
    pub(in super::super) const MONTH: u8 = 0x08;
    pub(in super::super) const YEAR: u8 = 0x09;
    pub(in super::super) const RATE: u8 = 0x0a;
    pub(in super::super) const CONTROL: u8 = 0x0b;
    pub(in super::super) const FLAGS: u8 = 0x0c;
    pub(in super::super) const VALID: u8 = 0x0d;
    pub(in super::super) const CENTURY: u8 = crate::rtc::CENTURY_REGISTER;
}

bitflags! {
    /// Register B.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Control: u8 {
        const DAYLIGHT_SAVING = 1 << 0;
        const HOURS_24 = 1 << 1;
        const BINARY = 1 << 2;
        const SQUARE_WAVE = 1 << 3;
        const UPDATE_INTERRUPT = 1 << 4;
        const ALARM_INTERRUPT = 1 << 5;
        const PERIODIC_INTERRUPT = 1 << 6;
        const SET = 1 << 7;
    }

    /// Register C: what happened since it was read, each at the place of its enable bit in register B.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct Flags: u8 {
        const UPDATED = 1 << 4;
        const ALARM = 1 << 5;
        const PERIODIC = 1 << 6;
        const INTERRUPT = 1 << 7;
    }
}

/// Register A: divider and rate of the periodic interrupt. The update bit is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RateControl(pub(super) u8);

impl RateControl {
    /// As firmware leaves it: a 32 kHz crystal, 1024 Hz.
    pub(super) const DEFAULT: Self = Self(0x26);
    /// An update is under way or near.
    pub(super) const UPDATING: u8 = 1 << 7;

    /// Whether the divider counts. Only the 32 kHz crystal's setting does here.
    pub(super) const fn counts(self) -> bool {
        self.0 & 0x70 == 0x20
    }

    /// Ticks of the 32,768 Hz crystal between periodic interrupts.
    pub(super) const fn period_ticks(self) -> Option<u64> {
        match self.0 & 0xf {
            0 => None,
            // The two lowest settings repeat what 8 and 9 give (data sheet, table 5).
            rate @ (1 | 2) => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }
}
