//! Just enough of a terminal to see what a person would see.

/// A terminal of 80 columns without scrolling.
#[derive(Default)]
pub(crate) struct Terminal {
    pub(crate) rows: Vec<String>,
    pub(crate) column: usize,
    pub(crate) bells: usize,
    pending: String,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self { rows: vec![String::new()], ..Self::default() }
    }

    /// The row the cursor is in.
    pub(crate) fn row(&self) -> &str {
        self.rows.last().unwrap()
    }

    pub(crate) fn write(&mut self, text: &str) {
        for character in text.chars() {
            if self.pending.is_empty() {
                self.plain(character);
            } else {
                self.pending.push(character);
                if character.is_ascii_alphabetic() {
                    let sequence = std::mem::take(&mut self.pending);
                    self.sequence(&sequence);
                }
            }
        }
    }

    fn plain(&mut self, character: char) {
        match character {
            '\n' => {
                self.rows.push(String::new());
                self.column = 0;
            }
            '\r' => self.column = 0,
            '\x07' => self.bells += 1,
            '\x1b' => self.pending.push(character),
            ' '..='~' => {
                assert!(self.column < 79, "the cursor must not reach the last column: {:?}", self.row());
                let column = self.column;
                let row = self.rows.last_mut().unwrap();
                row.replace_range(column..row.len().min(column + 1), &character.to_string());
                self.column += 1;
            }
            other => panic!("a terminal cannot show {other:?}"),
        }
    }

    fn sequence(&mut self, sequence: &str) {
        match sequence {
            "\x1b[K" => self.rows.last_mut().unwrap().truncate(self.column),
            "\x1b[H" => self.column = 0,
            "\x1b[2J" => self.rows = vec![String::new()],
            _ => {
                let back = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('D'));
                let columns: usize = back.and_then(|digits| digits.parse().ok()).expect(sequence);
                self.column -= columns;
            }
        }
    }
}
