//! The two cascaded 8259A interrupt controllers of a PC, with the edge/level registers of the PIIX.
//!
//! The first serves interrupts 0 to 7, the second 8 to 15 through the first one's input 2. An edge that was
//! seen stays requested even if the line falls again before the CPU asks, as in KVM (a real 8259A would
//! answer with interrupt 7).
//!
//! **How it migrates**: all registers, the initialization step and the levels of the inputs are saved. The
//! output is recomputed. Nothing in it depends on time.

mod chip;
mod saved;
#[cfg(test)]
mod tests;

use chip::Chip;

/// The input of the first chip that the second one's output is wired to.
const CASCADE: u8 = 2;
/// The inputs that may be level-triggered: not the timer, the keyboard, the cascade, the RTC and the
/// coprocessor.
const LEVEL_CAPABLE: [u8; 2] = [0xf8, 0xde];
/// Both chips' interrupts that firmware leaves level-triggered: 9, which ACPI uses.
const LEVEL_AFTER_RESET: [u8; 2] = [0, 1 << 1];

/// Both chips.
#[derive(Debug)]
pub(crate) struct Pic {
    primary: Chip,
    secondary: Chip,
}

impl Pic {
    /// Both chips as firmware leaves them: everything masked.
    pub(crate) fn new() -> Self {
        let [primary, secondary] = LEVEL_AFTER_RESET;
        Self { primary: Chip::new(primary), secondary: Chip::new(secondary) }
    }

    /// Sets the level of ISA interrupt `irq` (0 to 15); 2 is the cascade and cannot be set.
    pub(crate) fn set_line(&mut self, irq: u8, level: bool) {
        match irq {
            CASCADE => {}
            0..=7 => self.primary.set_line(irq, level),
            8..=15 => self.secondary.set_line(irq - 8, level),
            _ => {}
        }
        self.update_cascade();
    }

    /// The output to the CPU.
    pub(crate) fn has_interrupt(&self) -> bool {
        self.primary.offered().is_some()
    }

    /// The CPU's acknowledge cycles: the vector. Where nothing is requested any more it is that of interrupt
    /// 7.
    pub(crate) fn acknowledge(&mut self) -> u8 {
        let irq = self.primary.acknowledge();
        let vector = if irq == Some(CASCADE) {
            let irq = self.secondary.acknowledge();
            self.secondary.vector(irq)
        } else {
            self.primary.vector(irq)
        };
        self.update_cascade();
        vector
    }

    /// Reads port 0x20, 0x21, 0xa0 or 0xa1: `chip` 0 or 1, `offset` 0 or 1.
    pub(crate) fn read(&mut self, chip: usize, offset: u16) -> u8 {
        let value = self.chip(chip).read(offset);
        self.update_cascade();
        value
    }

    /// Writes one of these ports.
    pub(crate) fn write(&mut self, chip: usize, offset: u16, value: u8) {
        self.chip(chip).write(offset, value);
        self.update_cascade();
    }

    /// Reads port 0x4d0 (`chip` 0) or 0x4d1 (1): which inputs are level-triggered.
    pub(crate) fn read_level_triggered(&mut self, chip: usize) -> u8 {
        self.chip(chip).level_triggered()
    }

    /// Writes one of these ports.
    pub(crate) fn write_level_triggered(&mut self, chip: usize, value: u8) {
        let capable = if chip == 0 { LEVEL_CAPABLE[0] } else { LEVEL_CAPABLE[1] };
        self.chip(chip).set_level_triggered(value & capable);
        self.update_cascade();
    }

    fn chip(&mut self, chip: usize) -> &mut Chip {
        if chip == 0 { &mut self.primary } else { &mut self.secondary }
    }

    fn update_cascade(&mut self) {
        let wanted = self.secondary.offered().is_some();
        self.primary.set_request(CASCADE, wanted);
    }
}
