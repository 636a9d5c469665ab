//! What a pretended virtual CPU writes to its guest's memory: through nested tables, as a processor does that remembers what it walked.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex},
};

use godwit_frames::HostFrame;
use godwit_guest::vcpu::NestedFault;

use crate::fake::FakeMemory;

/// Bits of an entry (APM vol. 2, 5.4.1).
const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What a guest's virtual CPUs do next, whichever comes first.
pub(crate) type Plan = Arc<Mutex<VecDeque<Act>>>;

/// Something that a guest does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Writes to this guest frame.
    Write(u64),
    /// Has the host write to this guest frame, whose first bytes the clock page takes.
    AskForClock(u64),
}

/// A leaf that may be written without walking again: the guest frames, and the first host frame.
type Remembered = (Range<u64>, u64);

/// The memory half of one virtual CPU.
pub(crate) struct Writer {
    memory: Arc<FakeMemory>,
    plan: Plan,
    remembered: Vec<Remembered>,
}

impl Writer {
    pub(crate) fn new(memory: Arc<FakeMemory>, plan: Plan) -> Self {
        Self { memory, plan, remembered: Vec::new() }
    }

    /// Forgets what it walked.
    pub(crate) fn flush(&mut self) {
        self.remembered.clear();
    }

    /// The next thing to do; a write is done, unless it faults and is to be tried again.
    pub(crate) fn next(&mut self, root: HostFrame) -> Option<Result<Act, NestedFault>> {
        let act = *self.plan.lock().unwrap().front()?;
        if let Act::Write(frame) = act
            && let Err(fault) = self.write(root, frame)
        {
            return Some(Err(fault));
        }
        self.plan.lock().unwrap().pop_front();
        Some(Ok(act))
    }

    fn write(&mut self, root: HostFrame, frame: u64) -> Result<(), NestedFault> {
        let known = self.remembered.iter().find(|(frames, _)| frames.contains(&frame)).cloned();
        let (frames, host) = match known {
            Some(known) => known,
            None => self.walk(root, frame)?,
        };
        self.memory.change_word((host + frame - frames.start) << 12, |word| word.wrapping_add(1));
        Ok(())
    }

    /// Walks to a leaf that may be written, marks it, and remembers it.
    fn walk(&mut self, root: HostFrame, frame: u64) -> Result<Remembered, NestedFault> {
        let fault = |present| NestedFault {
            address: frame << 12,
            write: true,
            fetch: false,
            present,
            reserved: false,
            in_walk: false,
        };
        let mut table = root.number();
        for level in (0..4).rev() {
            let span = 1_u64 << (9 * level);
            let at = (table << 12) + frame / span % 512 * 8;
            let entry = self.memory.change_word(at, |entry| entry);
            if entry & PRESENT == 0 {
                return Err(fault(false));
            }
            if level > 0 && entry & LARGE == 0 {
                table = (entry & ADDRESS) >> 12;
                continue;
            }
            if entry & WRITE == 0 {
                return Err(fault(true));
            }
            self.memory.change_word(at, |entry| entry | ACCESSED | DIRTY);
            let start = frame & !(span - 1);
            let leaf = (start..start + span, (entry & ADDRESS) >> 12);
            self.remembered.push(leaf.clone());
            return Ok(leaf);
        }
        Err(fault(false))
    }
}
