//! The line that is being typed: its text, its cursor, and the edits that keys make. It draws nothing.

use arrayvec::ArrayString;

/// Bytes in the longest line.
pub(super) const MAX_LINE: usize = 160;

/// The text of a line.
pub(super) type LineText = ArrayString<MAX_LINE>;

/// A line of printable ASCII with a cursor; a byte is a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    text: LineText,
    /// 0 to the length of the text, counted in bytes.
    cursor: usize,
}

impl Line {
    /// The text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The column of the cursor, 0 to the length of the text.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// The text before the cursor.
    pub(super) fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn after_cursor(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    /// Puts `text` in at the cursor. Answers false and changes nothing where it has no room or is not printable ASCII.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !printable || self.text.len() + text.len() > MAX_LINE {
            return false;
        }
        self.splice(self.cursor, self.cursor, text);
        true
    }

    /// Replaces the whole line; the cursor goes to its end.
    pub(super) fn set(&mut self, text: &LineText) {
        self.text = *text;
        self.cursor = text.len();
    }

    /// Empties the line and answers with what it was.
    pub(super) fn take(&mut self) -> LineText {
        self.cursor = 0;
        core::mem::take(&mut self.text)
    }

    /// Moves the cursor to `column`, or to the end where the line is shorter; answers whether it moved.
    pub(super) fn move_to(&mut self, column: usize) -> bool {
        let column = column.min(self.text.len());
        let moved = column != self.cursor;
        self.cursor = column;
        moved
    }

    /// Where the word before the cursor starts, skipping spaces.
    pub(super) fn word_start(&self) -> usize {
        let words = self.before_cursor().trim_end_matches(' ');
        words.rfind(' ').map_or(0, |space| space + 1)
    }

    /// Where the word after the cursor ends, skipping spaces.
    pub(super) fn word_end(&self) -> usize {
        let after = self.after_cursor();
        let word = after.trim_start_matches(' ');
        let spaces = after.len() - word.len();
        self.cursor + spaces + word.find(' ').unwrap_or(word.len())
    }

    /// Removes the text between the cursor and `column`, on either side; answers whether there was any.
    pub(super) fn remove_to(&mut self, column: usize) -> bool {
        let column = column.min(self.text.len());
        let (start, end) = (column.min(self.cursor), column.max(self.cursor));
        self.splice(start, end, "");
        start < end
    }

    /// Replaces the text between `start` and `end` by `new`, which has room; the cursor goes after it.
    fn splice(&mut self, start: usize, end: usize, new: &str) {
        let mut text = LineText::new();
        for piece in [self.text.get(..start), Some(new), self.text.get(end..)].into_iter().flatten() {
            // Cannot fail: `insert` checked the length, and removing only shortens.
            let _ = text.try_push_str(piece);
        }
        self.text = text;
        self.cursor = start + new.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Line, MAX_LINE};

    fn line(before: &str, after: &str) -> Line {
        let mut line = Line::default();
        assert!(line.insert(before) && line.insert(after));
        line.move_to(before.len());
        line
    }

    #[test]
    fn text_goes_in_at_the_cursor() {
        let mut line = line("frs", "");
        line.move_to(2);
        assert!(line.insert("ame"));
        assert_eq!((line.text(), line.cursor()), ("frames", 5));
    }

    #[test]
    fn words_are_found_over_spaces() {
        let line = line("log  in", "fo  60");
        assert_eq!((line.word_start(), line.word_end()), (5, 9));
        let mut line = line;
        line.move_to(4);
        assert_eq!((line.word_start(), line.word_end()), (0, 9));
        line.move_to(100);
        assert_eq!((line.word_start(), line.word_end()), (11, 13));
    }

    #[test]
    fn removing_works_in_both_directions() {
        let mut line = line("abc", "def");
        assert!(line.remove_to(1));
        assert_eq!((line.text(), line.cursor()), ("adef", 1));
        assert!(line.remove_to(usize::MAX));
        assert_eq!((line.text(), line.cursor()), ("a", 1));
        assert!(!line.remove_to(7));
    }

    #[test]
    fn a_line_has_a_bound_and_holds_only_printable_ascii() {
        let mut line = Line::default();
        assert!(!line.insert("é") && !line.insert("\x1b"));
        assert!(line.insert(&"x".repeat(MAX_LINE)));
        assert!(!line.insert("x"));
        assert_eq!(line.take().len(), MAX_LINE);
        assert_eq!((line.text(), line.cursor()), ("", 0));
    }

    proptest! {
        #[test]
        fn the_line_is_what_a_plain_string_would_be(edits in prop::collection::vec((0..5u8, "[ -~]{0,9}", 0..200usize), 0..40)) {
            let mut line = Line::default();
            let (mut text, mut cursor) = (String::new(), 0usize);
            for (edit, new, column) in edits {
                let at = column.min(text.len());
                match edit {
                    0 | 1 => {
                        if line.insert(&new) {
                            text.insert_str(cursor, &new);
                            cursor += new.len();
                        } else {
                            prop_assert!(text.len() + new.len() > MAX_LINE);
                        }
                    }
                    2 => {
                        line.move_to(column);
                        cursor = at;
                    }
                    3 => {
                        line.remove_to(column);
                        text.replace_range(at.min(cursor)..at.max(cursor), "");
                        cursor = cursor.min(at);
                    }
                    _ => {
                        prop_assert!(line.word_start() <= cursor && cursor <= line.word_end());
                    }
                }
                prop_assert_eq!((line.text(), line.cursor()), (text.as_str(), cursor));
            }
        }
    }
}
