//! The serial port COM1: a 16550A (National Semiconductor PC16550D data sheet).
//!
//! A byte the guest writes is sent at once, so its transmitter is empty again before it looks. Only where the
//! host has not taken [`OUTPUT_BYTES`] of it does the transmitter stay full, and the guest waits as it would
//! for a slow line. A byte that arrives is announced at once too: below the trigger level it counts as timed
//! out.
//!
//! **How it migrates**: registers, both queues (so that no typed or printed byte is lost) and the pending
//! transmit interrupt are saved. The interrupt line is recomputed. Nothing in it depends on time.

mod registers;
mod saved;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use arrayvec::ArrayVec;

use registers::{Divisor, FifoControl, InterruptEnable, LineControl, LineStatus, ModemControl, ModemStatus};

/// COM1's first port.
pub(crate) const BASE_PORT: u16 = 0x3f8;
/// COM1's last port.
pub(crate) const LAST_PORT: u16 = BASE_PORT + 7;
/// The ISA interrupt of COM1.
pub(crate) const IRQ: u8 = 4;
/// Bytes a FIFO holds.
const FIFO_BYTES: usize = 16;
/// Bytes that wait for the host before the guest has to wait.
const OUTPUT_BYTES: usize = 4096;

/// Interrupt identifications, by falling priority (table 4).
mod cause {
    pub(super) const LINE_STATUS: u8 = 0b0110;
    pub(super) const RECEIVED: u8 = 0b0100;
    pub(super) const TIMEOUT: u8 = 0b1100;
    pub(super) const TRANSMITTER_EMPTY: u8 = 0b0010;
    pub(super) const MODEM_STATUS: u8 = 0b0000;
    pub(super) const NONE: u8 = 0b0001;
    /// Both bits are set while the FIFOs are on.
    pub(super) const FIFOS_ON: u8 = 0b1100_0000;
}

/// The port's state.
#[derive(Debug)]
pub(crate) struct Serial {
    interrupt_enable: InterruptEnable,
    fifo_control: FifoControl,
    line_control: LineControl,
    modem_control: ModemControl,
    /// The lower half of the modem status: what changed since it was read.
    modem_changes: ModemStatus,
    divisor: Divisor,
    scratch: u8,
    received: ArrayVec<u8, FIFO_BYTES>,
    /// A byte came that found no room, and the line status was not read since.
    overrun: bool,
    /// The transmitter became empty and the guest was not told yet.
    transmitter_empty_pending: bool,
    output: Vec<u8>,
    /// Bytes that the guest wrote although the transmitter was full.
    lost_bytes: u64,
}

impl Serial {
    /// A port after reset, with a terminal connected that is always ready.
    pub(crate) fn new() -> Self {
        Self {
            interrupt_enable: InterruptEnable::empty(),
            fifo_control: FifoControl::empty(),
            line_control: LineControl::empty(),
            modem_control: ModemControl::empty(),
            modem_changes: ModemStatus::empty(),
            divisor: Divisor::default(),
            scratch: 0,
            received: ArrayVec::new(),
            overrun: false,
            transmitter_empty_pending: false,
            output: Vec::with_capacity(OUTPUT_BYTES),
            lost_bytes: 0,
        }
    }

    /// Reads the register at `offset` (0 to 7).
    pub(crate) fn read(&mut self, offset: u16) -> u8 {
        match offset {
            0 if self.has_divisor_access() => self.divisor.low,
            1 if self.has_divisor_access() => self.divisor.high,
            0 => self.received.pop_at(0).unwrap_or(0),
            1 => self.interrupt_enable.bits(),
            2 => self.identify_interrupt(),
            3 => self.line_control.bits(),
            4 => self.modem_control.bits(),
            5 => self.read_line_status(),
            6 => self.read_modem_status(),
            7 => self.scratch,
            _ => u8::MAX,
        }
    }

    /// Writes the register at `offset` (0 to 7).
    pub(crate) fn write(&mut self, offset: u16, value: u8) {
        match offset {
            0 if self.has_divisor_access() => self.divisor.low = value,
            1 if self.has_divisor_access() => self.divisor.high = value,
            0 => self.transmit(value),
            1 => self.enable_interrupts(InterruptEnable::from_bits_truncate(value)),
            2 => self.control_fifos(value),
            3 => self.line_control = LineControl::from_bits_retain(value),
            4 => self.control_modem(ModemControl::from_bits_truncate(value)),
            7 => self.scratch = value,
            _ => {}
        }
    }

    /// The level of the interrupt line: on a PC, OUT2 lets it through, and loopback holds OUT2 inactive
    /// (8.7.4).
    pub(crate) fn has_interrupt(&self) -> bool {
        self.modem_control.contains(ModemControl::OUT2)
            && !self.is_looped_back()
            && self.cause() != cause::NONE
    }

    /// A byte from the terminal; `false` where the port has no room for it now.
    pub(crate) fn receive(&mut self, byte: u8) -> bool {
        if self.is_looped_back() || self.received.len() >= self.receive_capacity() {
            return false;
        }
        self.received.push(byte);
        true
    }

    /// Whether the guest wrote what was not taken yet.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Hands what the guest wrote to `serve`.
    pub(crate) fn take_output(&mut self, serve: &mut dyn FnMut(&[u8])) {
        if self.output.is_empty() {
            return;
        }
        let was_full = !self.has_room();
        serve(&self.output);
        self.output.clear();
        self.transmitter_empty_pending |= was_full;
    }

    /// Bytes that the guest wrote although the transmitter was full, since this host runs it.
    pub(crate) const fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    fn has_divisor_access(&self) -> bool {
        self.line_control.contains(LineControl::DIVISOR_ACCESS)
    }

    fn is_looped_back(&self) -> bool {
        self.modem_control.contains(ModemControl::LOOP)
    }

    fn has_room(&self) -> bool {
        self.output.len() < OUTPUT_BYTES
    }

    fn receive_capacity(&self) -> usize {
        if self.fifo_control.contains(FifoControl::ENABLE) { FIFO_BYTES } else { 1 }
    }

    fn transmit(&mut self, byte: u8) {
        if self.is_looped_back() {
            self.loop_back(byte);
        } else if self.has_room() {
            self.output.push(byte);
        } else {
            self.lost_bytes = self.lost_bytes.saturating_add(1);
        }
        self.transmitter_empty_pending = self.has_room();
    }

    /// On an overrun FIFOs keep what they hold, and a receiver without FIFO the latest byte (8.6.3).
    fn loop_back(&mut self, byte: u8) {
        self.overrun |= self.received.len() >= self.receive_capacity();
        if !self.fifo_control.contains(FifoControl::ENABLE) {
            self.received.clear();
        }
        if self.received.len() < self.receive_capacity() {
            self.received.push(byte);
        }
    }

    /// Allowing the transmit interrupt while the transmitter is empty raises it again (8.6.5); drivers probe
    /// for that.
    fn enable_interrupts(&mut self, enable: InterruptEnable) {
        let newly = enable - self.interrupt_enable;
        if newly.contains(InterruptEnable::TRANSMITTER_EMPTY) && self.has_room() {
            self.transmitter_empty_pending = true;
        }
        self.interrupt_enable = enable;
    }

    fn control_fifos(&mut self, value: u8) {
        let control = FifoControl::from_bits_retain(value);
        let switched = (control ^ self.fifo_control).contains(FifoControl::ENABLE);
        if switched || control.contains(FifoControl::ENABLE | FifoControl::RESET_RECEIVER) {
            self.received.clear();
        }
        // The other bits are programmed only together with the enable bit.
        self.fifo_control = if control.contains(FifoControl::ENABLE) {
            control & (FifoControl::ENABLE | FifoControl::TRIGGER)
        } else {
            FifoControl::empty()
        };
    }

    fn control_modem(&mut self, control: ModemControl) {
        let before = self.modem_lines();
        self.modem_control = control;
        self.modem_changes |= ModemStatus::changes(before, self.modem_lines());
    }

    /// The modem's lines: a terminal that is always ready, or in loopback the port's own outputs (8.7.4).
    fn modem_lines(&self) -> ModemStatus {
        if self.is_looped_back() { self.modem_control.looped_back() } else { ModemStatus::READY }
    }

    fn read_modem_status(&mut self) -> u8 {
        let status = self.modem_lines() | self.modem_changes;
        self.modem_changes = ModemStatus::empty();
        status.bits()
    }

    fn read_line_status(&mut self) -> u8 {
        let mut status = LineStatus::empty();
        status.set(LineStatus::DATA_READY, !self.received.is_empty());
        status.set(LineStatus::OVERRUN, self.overrun);
        status.set(LineStatus::HOLDING_EMPTY | LineStatus::TRANSMITTER_EMPTY, self.has_room());
        self.overrun = false;
        status.bits()
    }

    fn cause(&self) -> u8 {
        let enable = self.interrupt_enable;
        if enable.contains(InterruptEnable::LINE_STATUS) && self.overrun {
            cause::LINE_STATUS
        } else if enable.contains(InterruptEnable::RECEIVED) && !self.received.is_empty() {
            if self.received.len() < self.fifo_control.trigger_bytes() {
                cause::TIMEOUT
            } else {
                cause::RECEIVED
            }
        } else if enable.contains(InterruptEnable::TRANSMITTER_EMPTY) && self.transmitter_empty_pending {
            cause::TRANSMITTER_EMPTY
        } else if enable.contains(InterruptEnable::MODEM_STATUS) && !self.modem_changes.is_empty() {
            cause::MODEM_STATUS
        } else {
            cause::NONE
        }
    }

    /// Reads the interrupt identification; that alone takes a transmit interrupt back.
    fn identify_interrupt(&mut self) -> u8 {
        let cause = self.cause();
        if cause == cause::TRANSMITTER_EMPTY {
            self.transmitter_empty_pending = false;
        }
        if self.fifo_control.contains(FifoControl::ENABLE) { cause | cause::FIFOS_ON } else { cause }
    }
}
