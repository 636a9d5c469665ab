//! What INIT and start-up messages ask of a CPU (SDM vol. 3, 9.4 and 11.4.7.3).
//!
//! INIT resets the local APIC at once, so that nothing that is sent after it gets lost or arrives too early, and once more when
//! the CPU obeys: what it wrote to its registers in between it would not have written.

use super::LocalApic;

/// What a message asks of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// The CPU goes back to its state after INIT, and waits for a start-up message. Its local APIC is there already.
    Init,
    /// The CPU, which waits for this, begins in real mode at the start of a page.
    StartUp {
        /// The page's number: it begins at `vector` × 4096.
        vector: u8,
    },
}

/// How far a CPU is on its way from INIT to its first instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Starting {
    /// A start-up message would be heard.
    pub(super) waits: bool,
    /// INIT came and the CPU has not obeyed yet.
    pub(super) init: bool,
    /// A start-up message came and the CPU has not obeyed yet: the vector.
    pub(super) start_up: Option<u8>,
}

impl Starting {
    /// The first CPU runs from the beginning.
    pub(super) const RUNS: Self = Self { waits: false, init: false, start_up: None };
    /// All others wait.
    pub(super) const WAITS: Self = Self { waits: true, ..Self::RUNS };

    /// Whether messages can lead here.
    pub(super) const fn is_possible(self) -> bool {
        match self.start_up {
            Some(_) => !self.waits,
            None => self.waits || !self.init,
        }
    }
}

impl LocalApic {
    /// Takes what is asked of the CPU, in the order in which it was asked.
    pub(crate) fn take_start(&mut self) -> Option<Start> {
        if !self.starting.init {
            return self.starting.start_up.take().map(|vector| Start::StartUp { vector });
        }
        let (starting, nmi_pending) = (Starting { init: false, ..self.starting }, self.nmi_pending);
        *self = Self { starting, nmi_pending, ..self.after_init() };
        Some(Start::Init)
    }

    /// INIT: a start-up message that the CPU has not obeyed yet is forgotten with all the rest.
    pub(super) fn receive_init(&mut self) {
        let starting = Starting { init: true, ..Starting::WAITS };
        *self = Self { starting, attention: true, ..self.after_init() };
    }

    /// A start-up message: only the first after INIT counts.
    pub(super) fn receive_start_up(&mut self, vector: u8) {
        if self.starting.waits {
            self.starting = Starting { waits: false, start_up: Some(vector), ..self.starting };
            self.attention = true;
        }
    }

    /// The state after INIT: as after reset, but the id and the base register with the mode in it stay, and so does what is
    /// not the APIC's own: the level at its pin, whose turn it is in arbitration.
    fn after_init(&self) -> Self {
        Self {
            pin0: self.pin0,
            took_last: self.took_last,
            attention: self.attention,
            ..Self::reset(self.base, self.id, self.tsc_hz)
        }
    }
}
