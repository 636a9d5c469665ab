//! The six counting modes as functions of how long a counter has been counting.

use serde::{Deserialize, Serialize};

/// A counting mode (data sheet, "Mode Definitions").
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Mode {
    /// 0: high when the count has run out.
    InterruptOnTerminalCount,
    /// 1: low from a rising gate until the count has run out.
    OneShot,
    /// 2: low for one tick of each period.
    RateGenerator,
    /// 3: high for the first half of each period.
    SquareWave,
    /// 4: low for one tick when the count has run out.
    SoftwareStrobe,
    /// 5: the same, from a rising gate on.
    HardwareStrobe,
}

impl Mode {
    /// From the three bits of a control word; 6 and 7 are 2 and 3.
    pub(super) fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::InterruptOnTerminalCount,
            1 => Self::OneShot,
            2 | 6 => Self::RateGenerator,
            3 | 7 => Self::SquareWave,
            4 => Self::SoftwareStrobe,
            _ => Self::HardwareStrobe,
        }
    }

    /// As in a control word.
    pub(super) fn bits(self) -> u8 {
        self as u8
    }

    /// Starts over when its count has run out.
    pub(super) fn is_periodic(self) -> bool {
        matches!(self, Self::RateGenerator | Self::SquareWave)
    }

    /// Starts with a rising gate rather than with a count.
    pub(super) fn starts_by_gate(self) -> bool {
        matches!(self, Self::OneShot | Self::HardwareStrobe)
    }

    /// A low gate holds the count.
    pub(super) fn is_held_by_gate(self) -> bool {
        matches!(self, Self::InterruptOnTerminalCount | Self::SoftwareStrobe)
    }

    /// The output before anything was counted.
    pub(super) fn idle_output(self) -> bool {
        self != Self::InterruptOnTerminalCount
    }

    /// What the counter holds `elapsed` ticks after it was loaded with `count` (1 to 65536), modulo
    /// `modulus`.
    pub(super) fn value(self, elapsed: u64, count: u64, modulus: u64) -> u64 {
        let value = match self {
            Self::RateGenerator => count - elapsed % count,
            // It counts down by two, twice a period; an odd count loses its odd one on the way.
            Self::SquareWave => {
                let high = count.div_ceil(2);
                let within = elapsed % count;
                let step = if within < high { within } else { within - high };
                (count & !1).saturating_sub(2 * step)
            }
            _ => (count % modulus + modulus - elapsed % modulus) % modulus,
        };
        value % modulus
    }

    /// The output `elapsed` ticks after it was loaded with `count`.
    pub(super) fn output(self, elapsed: u64, count: u64) -> bool {
        match self {
            Self::InterruptOnTerminalCount | Self::OneShot => elapsed >= count,
            Self::RateGenerator => elapsed % count != count - 1,
            Self::SquareWave => elapsed % count < count.div_ceil(2),
            Self::SoftwareStrobe | Self::HardwareStrobe => elapsed != count,
        }
    }

    /// The first moment after `elapsed` at which the output rises.
    pub(super) fn next_rise(self, elapsed: u64, count: u64) -> Option<u64> {
        let rise = match self {
            Self::InterruptOnTerminalCount | Self::OneShot => count,
            Self::RateGenerator | Self::SquareWave => (elapsed / count + 1).checked_mul(count)?,
            Self::SoftwareStrobe | Self::HardwareStrobe => count + 1,
        };
        (rise > elapsed).then_some(rise)
    }
}
