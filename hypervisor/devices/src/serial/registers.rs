//! The 16550's registers by name (PC16550D data sheet, table 2).

use bitflags::bitflags;

bitflags! {
    /// Interrupt enable register.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct InterruptEnable: u8 {
        const RECEIVED = 1 << 0;
        const TRANSMITTER_EMPTY = 1 << 1;
        const LINE_STATUS = 1 << 2;
        const MODEM_STATUS = 1 << 3;
    }

    /// FIFO control register, write only.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct FifoControl: u8 {
        const ENABLE = 1 << 0;
        const RESET_RECEIVER = 1 << 1;
        const TRIGGER = 0b11 << 6;
    }

    /// Line control register. Word length, stop bits and parity are kept and mean nothing here.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct LineControl: u8 {
        const DIVISOR_ACCESS = 1 << 7;
    }

    /// Modem control register.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct ModemControl: u8 {
        const DTR = 1 << 0;
        const RTS = 1 << 1;
        const OUT1 = 1 << 2;
        const OUT2 = 1 << 3;
        const LOOP = 1 << 4;
    }

    /// Line status register.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct LineStatus: u8 {
        const DATA_READY = 1 << 0;
        const OVERRUN = 1 << 1;
        const HOLDING_EMPTY = 1 << 5;
        const TRANSMITTER_EMPTY = 1 << 6;
    }

    /// Modem status register.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) struct ModemStatus: u8 {
        const CTS_CHANGED = 1 << 0;
        const DSR_CHANGED = 1 << 1;
        const RING_ENDED = 1 << 2;
        const DCD_CHANGED = 1 << 3;
        const CTS = 1 << 4;
        const DSR = 1 << 5;
        const RING = 1 << 6;
        const DCD = 1 << 7;
    }
}

impl FifoControl {
    /// Bytes received at which "received" rather than "timeout" is the cause.
    pub(super) fn trigger_bytes(self) -> usize {
        if !self.contains(Self::ENABLE) {
            return 1;
        }
        match self.bits() >> 6 {
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }
}

impl ModemControl {
    /// The modem lines as loopback wires them: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
    pub(super) fn looped_back(self) -> ModemStatus {
        let mut lines = ModemStatus::empty();
        lines.set(ModemStatus::DSR, self.contains(Self::DTR));
        lines.set(ModemStatus::CTS, self.contains(Self::RTS));
        lines.set(ModemStatus::RING, self.contains(Self::OUT1));
        lines.set(ModemStatus::DCD, self.contains(Self::OUT2));
        lines
    }
}

impl ModemStatus {
    /// The lines of a terminal that is connected and ready.
    pub(super) const READY: Self = Self::CTS.union(Self::DSR).union(Self::DCD);
    /// The half that says what changed.
    pub(super) const CHANGES: Self =
        Self::CTS_CHANGED.union(Self::DSR_CHANGED).union(Self::RING_ENDED).union(Self::DCD_CHANGED);

    /// The change bits for lines that went from `before` to `after`; the ring bit says only when it ends.
    pub(super) fn changes(before: Self, after: Self) -> Self {
        let mut changed = before ^ after;
        changed.set(Self::RING, (before - after).contains(Self::RING));
        Self::from_bits_truncate(changed.bits() >> 4)
    }
}

/// The divisor latch: kept, without effect on the speed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Divisor {
    pub(super) low: u8,
    pub(super) high: u8,
}

impl Default for Divisor {
    /// 9600 baud.
    fn default() -> Self {
        Self { low: 12, high: 0 }
    }
}
