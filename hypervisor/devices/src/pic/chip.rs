//! One 8259A (Intel data sheet 231468).

use serde::{Deserialize, Serialize};

/// Which initialization command word comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Expects {
    /// None: operation command words.
    Operation,
    /// ICW2: the vector base.
    VectorBase,
    /// ICW3: the cascade's wiring, which is fixed here.
    Cascade,
    /// ICW4: the modes.
    Modes,
}

/// Registers and modes of one chip. Bit n of every byte is input n.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Chip {
    lines: u8,
    requested: u8,
    in_service: u8,
    masked: u8,
    pub(super) level_triggered: u8,
    pub(super) vector_base: u8,
    /// The input of highest priority, 0 to 7; the others follow in a circle.
    pub(super) highest: u8,
    expects: Expects,
    /// ICW1 said that ICW4 will come.
    modes_follow: bool,
    /// ICW1 said that there is no ICW3.
    single: bool,
    automatic_end: bool,
    rotate_on_automatic_end: bool,
    special_fully_nested: bool,
    special_mask: bool,
    /// The next read acknowledges (OCW3).
    poll: bool,
    /// A read of offset 0 gives the in-service register rather than the request register.
    read_in_service: bool,
}

impl Chip {
    pub(super) fn new(level_triggered: u8) -> Self {
        Self {
            lines: 0,
            requested: 0,
            in_service: 0,
            masked: u8::MAX,
            level_triggered,
            vector_base: 0,
            highest: 0,
            expects: Expects::Operation,
            modes_follow: false,
            single: false,
            automatic_end: false,
            rotate_on_automatic_end: false,
            special_fully_nested: false,
            special_mask: false,
            poll: false,
            read_in_service: false,
        }
    }

    /// Sets the level of an input: a rising edge requests, and so does the level of a level-triggered one.
    pub(super) fn set_line(&mut self, input: u8, level: bool) {
        let bit = 1 << (input & 7);
        let rises = level && self.lines & bit == 0;
        set(&mut self.lines, bit, level);
        if self.level_triggered & bit != 0 {
            set(&mut self.requested, bit, level);
        } else if rises {
            self.requested |= bit;
        }
    }

    /// Sets the request of an input as such, whatever it was.
    pub(super) fn set_request(&mut self, input: u8, requested: bool) {
        set(&mut self.requested, 1 << (input & 7), requested);
    }

    /// The input that is offered to the CPU now.
    pub(super) fn offered(&self) -> Option<u8> {
        let candidate = self.first(self.requested & !self.masked)?;
        let mut blocking = self.in_service;
        if self.special_mask {
            blocking &= !self.masked;
        }
        if self.special_fully_nested {
            blocking &= !(1 << super::CASCADE);
        }
        match self.first(blocking) {
            Some(serviced) if self.rank(serviced) <= self.rank(candidate) => None,
            _ => Some(candidate),
        }
    }

    /// Takes what is offered into service.
    pub(super) fn acknowledge(&mut self) -> Option<u8> {
        let input = self.offered()?;
        let bit = 1 << input;
        if self.level_triggered & bit == 0 {
            self.requested &= !bit;
        }
        if !self.automatic_end {
            self.in_service |= bit;
        } else if self.rotate_on_automatic_end {
            self.make_lowest(input);
        }
        Some(input)
    }

    /// The vector of an input; of 7 where there is none (a spurious interrupt).
    pub(super) fn vector(&self, input: Option<u8>) -> u8 {
        self.vector_base | input.unwrap_or(7)
    }

    pub(super) fn read(&mut self, offset: u16) -> u8 {
        if self.poll {
            self.poll = false;
            return self.acknowledge().map_or(0, |input| 0x80 | input);
        }
        match (offset, self.read_in_service) {
            (0, false) => self.requested,
            (0, true) => self.in_service,
            _ => self.masked,
        }
    }

    pub(super) fn write(&mut self, offset: u16, value: u8) {
        if offset == 0 {
            if value & 0x10 != 0 {
                self.begin_initialization(value);
            } else if value & 0x08 != 0 {
                self.operation_command_3(value);
            } else {
                self.operation_command_2(value);
            }
            return;
        }
        match self.expects {
            Expects::Operation => self.masked = value,
            Expects::VectorBase => {
                self.vector_base = value & 0xf8;
                self.expects = if self.single { self.after_cascade() } else { Expects::Cascade };
            }
            Expects::Cascade => self.expects = self.after_cascade(),
            Expects::Modes => {
                self.special_fully_nested = value & 0x10 != 0;
                self.automatic_end = value & 0x02 != 0;
                self.expects = Expects::Operation;
            }
        }
    }

    pub(super) fn level_triggered(&self) -> u8 {
        self.level_triggered
    }

    pub(super) fn set_level_triggered(&mut self, inputs: u8) {
        self.level_triggered = inputs;
        self.requested = (self.requested & !inputs) | (self.lines & inputs);
    }

    fn after_cascade(&self) -> Expects {
        if self.modes_follow { Expects::Modes } else { Expects::Operation }
    }

    /// ICW1. Edges seen so far are forgotten, the mask is cleared.
    fn begin_initialization(&mut self, value: u8) {
        *self = Self {
            lines: self.lines,
            requested: self.lines & self.level_triggered,
            masked: 0,
            vector_base: self.vector_base,
            modes_follow: value & 0x01 != 0,
            single: value & 0x02 != 0,
            expects: Expects::VectorBase,
            ..Self::new(self.level_triggered)
        };
    }

    /// OCW2: ends of interrupts and rotation of priorities.
    fn operation_command_2(&mut self, value: u8) {
        let input = value & 7;
        match value >> 5 {
            0b000 => self.rotate_on_automatic_end = false,
            0b100 => self.rotate_on_automatic_end = true,
            command @ (0b001 | 0b101) => {
                if let Some(input) = self.first(self.in_service) {
                    self.in_service &= !(1 << input);
                    if command == 0b101 {
                        self.make_lowest(input);
                    }
                }
            }
            0b011 => self.in_service &= !(1 << input),
            0b110 => self.make_lowest(input),
            0b111 => {
                self.in_service &= !(1 << input);
                self.make_lowest(input);
            }
            _ => {}
        }
    }

    /// OCW3: what reads give, polling, the special mask mode.
    fn operation_command_3(&mut self, value: u8) {
        self.poll = value & 0x04 != 0;
        if value & 0x02 != 0 {
            self.read_in_service = value & 0x01 != 0;
        }
        if value & 0x40 != 0 {
            self.special_mask = value & 0x20 != 0;
        }
    }

    fn make_lowest(&mut self, input: u8) {
        self.highest = (input + 1) & 7;
    }

    /// How far behind the highest priority an input stands.
    fn rank(&self, input: u8) -> u8 {
        input.wrapping_sub(self.highest) & 7
    }

    /// The input of highest priority among `inputs`.
    fn first(&self, inputs: u8) -> Option<u8> {
        let rotated = inputs.rotate_right(u32::from(self.highest));
        (rotated != 0).then(|| (rotated.trailing_zeros() as u8).wrapping_add(self.highest) & 7)
    }
}

fn set(bits: &mut u8, bit: u8, value: bool) {
    if value {
        *bits |= bit;
    } else {
        *bits &= !bit;
    }
}
