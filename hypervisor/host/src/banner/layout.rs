//! Labelled paragraphs on a console of [`COLUMNS`] columns.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

/// Columns that text may take.
pub(crate) const COLUMNS: usize = 96;
/// Column where the text of a paragraph starts; its label stands before it.
pub(crate) const INDENT: usize = 12;

/// A paragraph under a label: words are kept whole and wrapped, and every further line is indented.
///
/// A word that is longer than a line is broken. Control characters are shown as `?`.
pub(crate) struct Paragraph<'w, W: Write> {
    out: &'w mut W,
    column: usize,
    word: ArrayString<COLUMNS>,
    word_columns: usize,
    space: bool,
}

impl<'w, W: Write> Paragraph<'w, W> {
    /// Starts a paragraph under `label`, which may be empty.
    pub(crate) fn begin(out: &'w mut W, label: &str) -> Result<Self, fmt::Error> {
        write!(out, "  {label:<width$}", width = INDENT - 2)?;
        Ok(Self { out, column: INDENT, word: ArrayString::new(), word_columns: 0, space: false })
    }

    /// Adds `text` as one word, spaces and all: a name of several words is not torn apart.
    pub(crate) fn unbroken(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.push(character)?;
        }
        Ok(())
    }

    /// Ends the paragraph and its last line.
    pub(crate) fn end(mut self) -> fmt::Result {
        self.flush_word()?;
        self.out.write_char('\n')
    }

    /// Adds a character to the word, as `?` where it is a control character.
    fn push(&mut self, character: char) -> fmt::Result {
        let shown = if character.is_control() { '?' } else { character };
        if self.word_columns == COLUMNS - INDENT || self.word.try_push(shown).is_err() {
            self.flush_word()?;
            self.word.try_push(shown).map_err(|_| fmt::Error)?;
        }
        self.word_columns += 1;
        Ok(())
    }

    fn flush_word(&mut self) -> fmt::Result {
        if self.word.is_empty() {
            return Ok(());
        }
        let gap = usize::from(self.space);
        if self.column + gap + self.word_columns > COLUMNS && self.column > INDENT {
            write!(self.out, "\n{:INDENT$}", "")?;
            self.column = INDENT;
        } else if self.space && self.column > INDENT {
            self.out.write_char(' ')?;
            self.column += 1;
        }
        self.out.write_str(&self.word)?;
        self.column += self.word_columns;
        self.word.clear();
        self.word_columns = 0;
        self.space = false;
        Ok(())
    }
}

impl<W: Write> Write for Paragraph<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == ' ' || character == '\n' {
                self.flush_word()?;
                self.space = true;
                continue;
            }
            self.push(character)?;
        }
        Ok(())
    }
}

/// One paragraph: `label`, then `text`.
pub(crate) fn paragraph(out: &mut impl Write, label: &str, text: fmt::Arguments<'_>) -> fmt::Result {
    let mut paragraph = Paragraph::begin(out, label)?;
    paragraph.write_fmt(text)?;
    paragraph.end()
}

#[cfg(test)]
mod tests {
    use core::fmt::Write;

    use super::{COLUMNS, INDENT, Paragraph, paragraph};

    fn text(label: &str, text: &str) -> String {
        let mut out = String::new();
        assert_eq!(paragraph(&mut out, label, format_args!("{text}")), Ok(()));
        out
    }

    #[test]
    fn words_are_wrapped_under_the_label() {
        assert_eq!(text("cpu", "one  two"), "  cpu       one two\n");
        let long = text("note", &"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= COLUMNS && !line.ends_with(' ')), "{long}");
        assert!(
            long.lines()
                .skip(1)
                .all(|line| line.starts_with(&" ".repeat(INDENT)) && line[INDENT..].starts_with('w'))
        );
        assert_eq!(long.matches("word").count(), 40);
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_and_nothing_is_lost() {
        let long = text("note", &format!("a {} b", "x".repeat(300)));
        assert!(long.lines().all(|line| line.len() <= COLUMNS), "{long}");
        assert_eq!(long.matches('x').count(), 300);
    }

    #[test]
    fn a_name_of_several_words_stays_in_one_piece() {
        let mut out = String::new();
        let mut list = Paragraph::begin(&mut out, "svm").unwrap();
        for _ in 0..20 {
            list.write_str(" ").unwrap();
            list.unbroken("VMCB clean bits,").unwrap();
        }
        list.end().unwrap();
        assert!(out.lines().all(|line| line.len() <= COLUMNS && line.ends_with("VMCB clean bits,")), "{out}");
        assert_eq!(out.matches("VMCB clean bits,").count(), 20);
    }

    #[test]
    fn control_characters_cannot_leave_the_paragraph() {
        assert_eq!(text("x", "a\u{1b}[2J\rb"), "  x         a?[2J?b\n");
        assert_eq!(text("", "é"), "            é\n");
    }
}
