//! How a guest asks for a reset: port 0xcf9 (ICH9 data sheet, 13.7.5), which is also the FADT's reset
//! register, or a pulse of the keyboard controller's reset line. There is no keyboard controller beside that
//! line: its status reads as idle, so that nobody waits for it.
//!
//! **How it migrates**: the register's value, and what was asked for and not carried out yet, are saved.

use serde::{Deserialize, Serialize};

use crate::saved::{DeviceId, Layout, RestoreError, ensure};

/// The reset control register.
pub(crate) const CONTROL_PORT: u16 = 0xcf9;
/// What the FADT says to write there: a full reset.
pub(crate) const CONTROL_RESET: u8 = 0x06;
/// The keyboard controller's command and status port.
pub(crate) const KEYBOARD_PORT: u16 = 0x64;

/// Reset control: a hard rather than a soft reset. Kept only.
const SYSTEM_RESET: u8 = 1 << 1;
/// Reset control: setting it resets.
const CPU_RESET: u8 = 1 << 2;
/// Keyboard controller: pulse the reset line, by the commands that leave bit 0 of the output port clear.
const PULSE_RESET: u8 = 0xfe;

/// What a guest asked its machine to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PowerRequest {
    /// Switch off (ACPI S5).
    PowerOff,
    /// Start again.
    Reset,
}

/// Both ways to reset, and the request that waits to be taken.
#[derive(Debug, Default)]
pub(crate) struct Reset {
    control: u8,
    request: Option<PowerRequest>,
}

impl Reset {
    pub(crate) fn control(&self) -> u8 {
        self.control
    }

    pub(crate) fn set_control(&mut self, value: u8) {
        let sets = value & CPU_RESET != 0 && self.control & CPU_RESET == 0;
        self.control = value & SYSTEM_RESET;
        if sets {
            self.ask(PowerRequest::Reset);
        }
    }

    pub(crate) fn keyboard_command(&mut self, value: u8) {
        if value == PULSE_RESET {
            self.ask(PowerRequest::Reset);
        }
    }

    /// The first thing asked for holds until it is taken.
    pub(crate) fn ask(&mut self, request: PowerRequest) {
        self.request.get_or_insert(request);
    }

    pub(crate) fn take(&mut self) -> Option<PowerRequest> {
        self.request.take()
    }

    pub(crate) fn save(&self) -> ResetV1 {
        ResetV1 { control: self.control, request: self.request }
    }

    pub(crate) fn restore(saved: &ResetV1) -> Result<Self, RestoreError> {
        ensure(saved.control & !SYSTEM_RESET == 0, DeviceId::Reset, "reserved bits are set")?;
        Ok(Self { control: saved.control, request: saved.request })
    }
}

/// First layout.
#[derive(Serialize, Deserialize)]
pub(crate) struct ResetV1 {
    control: u8,
    request: Option<PowerRequest>,
}

impl Layout for ResetV1 {
    const DEVICE: DeviceId = DeviceId::Reset;
    const VERSION: u16 = 1;
}
