//! The lines that were entered, to be called back by the up and down keys.

use arrayvec::ArrayVec;

use super::line::LineText;

/// Lines that are remembered.
const MAX_ENTRIES: usize = 32;

/// Entered lines, oldest first, and the place where the up and down keys stand.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    entries: ArrayVec<LineText, MAX_ENTRIES>,
    /// How far back the line shown is: 0 is the line that is being typed.
    back: usize,
    /// The line that was being typed when the first up key was pressed.
    draft: LineText,
}

impl History {
    /// Remembers an entered line, unless it is empty or the same as the last one, and returns to the line being typed.
    pub(super) fn remember(&mut self, line: &LineText) {
        self.leave();
        if line.trim().is_empty() || self.entries.last() == Some(line) {
            return;
        }
        if self.entries.is_full() {
            self.entries.remove(0);
        }
        self.entries.push(*line);
    }

    /// Returns to the line being typed.
    pub(super) fn leave(&mut self) {
        self.back = 0;
    }

    /// One line further back from `shown`; `None` at the oldest one.
    pub(super) fn up(&mut self, shown: &str) -> Option<LineText> {
        let entry =
            self.entries.len().checked_sub(self.back + 1).and_then(|index| self.entries.get(index))?;
        if self.back == 0 {
            self.draft = LineText::from(shown).unwrap_or_default();
        }
        self.back += 1;
        Some(*entry)
    }

    /// One line towards the one being typed; `None` where it is already there.
    pub(super) fn down(&mut self) -> Option<LineText> {
        self.back = self.back.checked_sub(1)?;
        if self.back == 0 {
            return Some(self.draft);
        }
        self.entries.len().checked_sub(self.back).and_then(|index| self.entries.get(index)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{History, LineText, MAX_ENTRIES};

    fn text(line: &str) -> LineText {
        LineText::from(line).unwrap()
    }

    #[test]
    fn up_and_down_walk_the_lines_and_come_back_to_the_draft() {
        let mut history = History::default();
        for line in ["frames", "cpus", "cpus", "  "] {
            history.remember(&text(line));
        }
        assert_eq!(history.up("dra"), Some(text("cpus")));
        assert_eq!(history.up("cpus"), Some(text("frames")));
        assert_eq!(history.up("frames"), None);
        assert_eq!(history.down(), Some(text("cpus")));
        assert_eq!(history.down(), Some(text("dra")));
        assert_eq!(history.down(), None);
    }

    #[test]
    fn the_oldest_line_is_forgotten_first() {
        let mut history = History::default();
        for number in 0..=MAX_ENTRIES {
            history.remember(&text(&format!("log {number}")));
        }
        let mut oldest = None;
        while let Some(line) = history.up("") {
            oldest = Some(line);
        }
        assert_eq!(oldest, Some(text("log 1")));
    }

    #[test]
    fn an_entered_line_ends_the_walk() {
        let mut history = History::default();
        history.remember(&text("a"));
        history.remember(&text("b"));
        assert_eq!((history.up(""), history.up("")), (Some(text("b")), Some(text("a"))));
        history.remember(&text("c"));
        assert_eq!(history.up(""), Some(text("c")));
    }
}
