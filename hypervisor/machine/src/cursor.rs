//! Where the console's cursor stands, as far as a log line has to know.
#![forbid(unsafe_code)]

/// Carriage return, then erase to the end of the line (ECMA-48 8.3.41).
const CLEAR_LINE: &[u8] = b"\r\x1b[K";

/// The cursor of a terminal that shows every byte written so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    is_within_line: bool,
}

impl Cursor {
    /// The cursor of a terminal that shows nothing yet.
    pub const fn new() -> Self {
        Self { is_within_line: false }
    }

    /// Notes that `bytes` were written. Only a line feed leaves an empty line: after a carriage return alone, what the line
    /// shows would stay behind a shorter text.
    pub fn advance(&mut self, bytes: &[u8]) {
        if let Some(&last) = bytes.last() {
            self.is_within_line = last != b'\n';
        }
    }

    /// What to write so that the next byte is the first of an empty line: a half-typed line makes room, and whoever edits it
    /// draws it again below.
    pub fn to_empty_line(&self) -> &'static [u8] {
        if self.is_within_line { CLEAR_LINE } else { b"" }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    /// What a log line has to begin with after these writes.
    fn prefix_after(writes: &[&str]) -> &'static [u8] {
        let mut cursor = Cursor::new();
        writes.iter().for_each(|text| cursor.advance(text.as_bytes()));
        cursor.to_empty_line()
    }

    #[test]
    fn a_log_line_needs_nothing_at_the_start_of_a_line() {
        for writes in [&[][..], &[""], &["\n"], &["a> ", "log\n"], &["a> ", "\n", ""]] {
            assert_eq!(prefix_after(writes), b"", "{writes:?}");
        }
    }

    #[test]
    fn a_log_line_clears_what_stands_before_it() {
        for writes in
            [&["a> "][..], &["\n", "a> "], &["a> ", ""], &["two\nlines"], &["text\r"], &["\x1b[H\x1b[2J"]]
        {
            assert_eq!(prefix_after(writes), b"\r\x1b[K", "{writes:?}");
        }
    }
}
