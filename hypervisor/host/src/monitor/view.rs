//! How the edited line looks on the terminal: the prompt, the visible part of the line, the cursor.

use core::fmt::{self, Write};

use arrayvec::ArrayString;

use super::line::Line;
use crate::{console::Console, name::Name};

/// Columns of the narrowest terminal that is cared for; the last one stays free, so that nothing ever wraps.
const COLUMNS: usize = 79;

/// Draws a [`Line`] behind a prompt. A line that is longer than the terminal is wide is scrolled sideways.
pub(super) struct View {
    prompt: ArrayString<{ Name::MAX_BYTES + 2 }>,
    /// The first column of the line that is visible.
    first: usize,
}

impl View {
    /// A view whose prompt names the host.
    pub(super) fn new(host: &str) -> Self {
        let mut prompt = ArrayString::new();
        // A host name fits: it is a `Name`, or the default.
        let _ = write!(prompt, "{host}> ");
        Self { prompt, first: 0 }
    }

    /// Columns for the line.
    fn width(&self) -> usize {
        COLUMNS - self.prompt.len()
    }

    /// Starts a new line: the prompt and what is typed already.
    pub(super) fn begin(&mut self, out: &mut Console<'_>, line: &Line) -> fmt::Result {
        if line.text().is_empty() {
            self.first = 0;
            out.write_str(&self.prompt)?;
            out.flush();
            return Ok(());
        }
        self.draw(out, line)
    }

    /// Draws the whole line anew where it is.
    pub(super) fn draw(&mut self, out: &mut Console<'_>, line: &Line) -> fmt::Result {
        let (cursor, width) = (line.cursor(), self.width());
        // The cursor may stand after the last visible character.
        self.first = self.first.clamp((cursor + 1).saturating_sub(width), cursor);
        let end = line.text().len().min(self.first + width);
        let visible = line.text().get(self.first..end).unwrap_or_default();
        write!(out, "\r{}{visible}\x1b[K", self.prompt)?;
        if cursor < end {
            write!(out, "\x1b[{}D", end - cursor)?;
        }
        out.flush();
        Ok(())
    }

    /// Draws the line after `typed` characters went in before the cursor: where that was at the end, they are all that is
    /// sent.
    pub(super) fn typed(&mut self, out: &mut Console<'_>, line: &Line, typed: usize) -> fmt::Result {
        let at_end = line.cursor() == line.text().len();
        if !at_end || line.cursor() + 1 > self.first + self.width() {
            return self.draw(out, line);
        }
        out.write_str(line.text().get(line.cursor() - typed.min(line.cursor())..).unwrap_or_default())?;
        out.flush();
        Ok(())
    }

    /// Says that a key cannot be obeyed.
    pub(super) fn bell(out: &mut Console<'_>) -> fmt::Result {
        out.write_char('\x07')?;
        out.flush();
        Ok(())
    }
}
