//! What a person should know about the tables: bounded, for the tables themselves are not.

use alloc::{format, string::String, vec::Vec};

/// Notes that are kept; more are counted.
const MAX_NOTES: usize = 48;

/// A list of notes, one sentence each.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    list: Vec<String>,
    left_out: usize,
}

impl Notes {
    /// No notes yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a note; builds its text only while there is room.
    pub(crate) fn add(&mut self, text: impl FnOnce() -> String) {
        if self.list.len() < MAX_NOTES {
            self.list.push(text());
        } else {
            self.left_out += 1;
        }
    }

    /// The notes, with a last one that counts those left out.
    pub(crate) fn into_list(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.list.push(format!("ACPI: {} more problems were found and not listed", self.left_out));
        }
        self.list
    }
}
