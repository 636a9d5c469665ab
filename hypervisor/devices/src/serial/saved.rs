//! The serial port's saved state.

use alloc::vec::Vec;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::registers::{Divisor, FifoControl, InterruptEnable, LineControl, ModemControl, ModemStatus};
use super::{OUTPUT_BYTES, Serial};
use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct SerialV1 {
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    modem_changes: u8,
    divisor: [u8; 2],
    scratch: u8,
    received: Vec<u8>,
    overrun: bool,
    transmitter_empty_pending: bool,
    output: Vec<u8>,
}

impl Layout for SerialV1 {
    const DEVICE: DeviceId = DeviceId::Serial;
    const VERSION: u16 = 1;
}

impl Serial {
    pub(crate) fn save(&self) -> SerialV1 {
        SerialV1 {
            interrupt_enable: self.interrupt_enable.bits(),
            fifo_control: self.fifo_control.bits(),
            line_control: self.line_control.bits(),
            modem_control: self.modem_control.bits(),
            modem_changes: self.modem_changes.bits(),
            divisor: [self.divisor.low, self.divisor.high],
            scratch: self.scratch,
            received: self.received.to_vec(),
            overrun: self.overrun,
            transmitter_empty_pending: self.transmitter_empty_pending,
            output: self.output.clone(),
        }
    }

    pub(crate) fn restore(saved: &SerialV1) -> Result<Self, RestoreError> {
        let ensure = |possible, what| ensure(possible, DeviceId::Serial, what);
        let reserved = "reserved bits are set";
        let fifo_control = FifoControl::from_bits(saved.fifo_control);
        let fifo_control = fifo_control.filter(|it| {
            !it.contains(FifoControl::RESET_RECEIVER) && (it.is_empty() || it.contains(FifoControl::ENABLE))
        });
        let interrupt_enable = InterruptEnable::from_bits(saved.interrupt_enable);
        let modem_control = ModemControl::from_bits(saved.modem_control);
        let modem_changes =
            ModemStatus::from_bits(saved.modem_changes).filter(|it| ModemStatus::CHANGES.contains(*it));
        let (Some(fifo_control), Some(interrupt_enable), Some(modem_control), Some(modem_changes)) =
            (fifo_control, interrupt_enable, modem_control, modem_changes)
        else {
            return Err(RestoreError::Impossible { device: DeviceId::Serial, what: reserved });
        };
        let [low, high] = saved.divisor;
        let mut serial = Self {
            interrupt_enable,
            fifo_control,
            line_control: LineControl::from_bits_retain(saved.line_control),
            modem_control,
            modem_changes,
            divisor: Divisor { low, high },
            scratch: saved.scratch,
            received: ArrayVec::new(),
            overrun: saved.overrun,
            transmitter_empty_pending: saved.transmitter_empty_pending,
            ..Self::new()
        };
        ensure(
            saved.received.len() <= serial.receive_capacity(),
            "more was received than there is room for",
        )?;
        ensure(saved.output.len() <= OUTPUT_BYTES, "more waits to be sent than there is room for")?;
        serial.received.extend(saved.received.iter().copied());
        serial.output.extend_from_slice(&saved.output);
        Ok(serial)
    }
}
