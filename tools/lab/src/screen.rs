//! What a terminal would show of a byte stream: finished lines, and one line that is still being written.
//!
//! A line editor moves the cursor back and overwrites; read as plain text its output is noise. This is the small part of
//! a terminal (ECMA-48) that a line editor needs: carriage return, backspace, cursor left, right and to a column, erase in
//! line. Lines do not wrap, other sequences do nothing.

/// The state of the terminal.
#[derive(Default, Debug)]
pub(crate) struct Screen {
    /// Every finished line, each ended by `\n`.
    finished: String,
    /// The line under the cursor.
    line: Vec<char>,
    /// Where the next character goes in `line`; at most its length.
    column: usize,
    /// Whether the line under the cursor was written up to its end: the last thing that came erased what stood behind it.
    drawn: bool,
    escape: Escape,
    /// The bytes of a character whose end has not arrived.
    partial: Vec<u8>,
}

/// How far an escape sequence has been read.
#[derive(Default, Debug)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Started,
    /// After ESC `[`: the parameter bytes so far.
    Control(String),
}

impl Screen {
    /// Shows `bytes`; characters and sequences may be split between calls.
    pub(crate) fn show(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.partial);
        input.extend_from_slice(bytes);
        for chunk in input.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.character(c));
            if chunk.invalid().is_empty() {
                continue;
            }
            let ends_input = chunk.invalid().as_ptr_range().end == input.as_ptr_range().end;
            let cut_short = std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
            if ends_input && cut_short {
                self.partial = chunk.invalid().to_vec();
            } else {
                self.character(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Finished lines and the current one, as text.
    pub(crate) fn text(&self) -> String {
        let mut text = self.finished.clone();
        text.extend(&self.line);
        text
    }

    /// The finished lines, each with its `\n`.
    pub(crate) fn finished(&self) -> &str {
        &self.finished
    }

    /// Whether the current line is one that was written anew and is whole, not half of it over half of the one before.
    pub(crate) fn is_drawn(&self) -> bool {
        self.drawn
    }

    fn character(&mut self, c: char) {
        self.drawn = false;
        match std::mem::take(&mut self.escape) {
            Escape::None => self.plain(c),
            Escape::Started if c == '[' => self.escape = Escape::Control(String::new()),
            Escape::Started => {}
            Escape::Control(parameters) if ('@'..='~').contains(&c) => self.control(&parameters, c),
            Escape::Control(mut parameters) => {
                parameters.push(c);
                self.escape = Escape::Control(parameters);
            }
        }
    }

    fn plain(&mut self, c: char) {
        match c {
            '\x1b' => self.escape = Escape::Started,
            '\n' => {
                self.finished.extend(self.line.drain(..));
                self.finished.push('\n');
                self.column = 0;
            }
            '\r' => self.column = 0,
            '\x08' => self.column = self.column.saturating_sub(1),
            '\t' => self.put(c),
            c if c.is_control() => {}
            c => self.put(c),
        }
    }

    fn put(&mut self, c: char) {
        match self.line.get_mut(self.column) {
            Some(cell) => *cell = c,
            None => self.line.push(c),
        }
        self.column += 1;
    }

    fn control(&mut self, parameters: &str, command: char) {
        let number = parameters.parse::<usize>().unwrap_or(0);
        match command {
            'C' => self.move_to(self.column.saturating_add(number.max(1))),
            'D' => self.column = self.column.saturating_sub(number.max(1)),
            'G' => self.move_to(number.max(1) - 1),
            'K' if number == 0 => {
                self.line.truncate(self.column);
                self.drawn = true;
            }
            'K' => {
                let end = if number == 1 { (self.column + 1).min(self.line.len()) } else { self.line.len() };
                self.line[..end].fill(' ');
            }
            _ => {}
        }
    }

    /// Moves the cursor, but not beyond what is written: a hostile stream cannot ask for memory.
    fn move_to(&mut self, column: usize) {
        self.column = column.min(self.line.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        screen.show(bytes);
        let whole = screen.text();
        // The same stream, byte by byte, must show the same.
        let mut screen = Screen::default();
        bytes.chunks(1).for_each(|byte| screen.show(byte));
        assert_eq!(screen.text(), whole);
        whole
    }

    #[test]
    fn line_ends_become_newlines() {
        assert_eq!(shown(b"one\r\ntwo\nthree"), "one\ntwo\nthree");
    }

    #[test]
    fn redrawn_lines_show_their_last_state() {
        assert_eq!(shown(b"a> fr\ra> frames\x1b[K\r\nout\r\na> "), "a> frames\nout\na> ");
        assert_eq!(shown(b"a> frames\r\x1b[Klog line\r\na> "), "log line\na> ");
        assert_eq!(shown(b"abd\x1b[Dcd"), "abcd");
        assert_eq!(shown(b"abcX\x08 \x08d"), "abcd");
        assert_eq!(shown(b"abc\x1b[2GX\x1b[CY"), "aXcY");
    }

    #[test]
    fn erases_parts_of_the_line() {
        assert_eq!(shown(b"abcdef\x1b[4D\x1b[K"), "ab");
        assert_eq!(shown(b"abcdef\x1b[4D\x1b[1K"), "   def");
        assert_eq!(shown(b"abc\x1b[2K\rx"), "x  ");
    }

    #[test]
    fn survives_what_is_no_text() {
        assert_eq!(shown(b"a\xffb\xc3"), "a\u{fffd}b");
        assert_eq!(shown("gr\u{fc}n \u{2588}".as_bytes()), "gr\u{fc}n \u{2588}");
        assert_eq!(shown(b"\x1b[999999999999999999999Gx\x1b[99999Cy\x07\x00"), "xy");
    }

    #[test]
    fn a_line_is_drawn_once_what_stood_behind_it_is_erased() {
        let mut screen = Screen::default();
        for (bytes, drawn) in [
            (&b"10 %"[..], false),
            (b"\x1b[K", true),
            (b"\r9", false),
            (b" %\x1b[", false),
            (b"K", true),
            (b"\n", false),
        ] {
            screen.show(bytes);
            assert_eq!(screen.is_drawn(), drawn, "after {bytes:?}");
        }
        assert_eq!(screen.finished(), "9 %\n");
    }
}
