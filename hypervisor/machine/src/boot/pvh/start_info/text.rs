//! NUL-terminated strings in physical memory, of any bytes and any length.

use arrayvec::ArrayString;

use crate::physical::PhysicalMemory;

/// A string that was read, as much of it as is kept.
pub(super) struct Text<const N: usize> {
    /// Its text, at most `N` bytes of UTF-8; what was not UTF-8 is U+FFFD.
    pub(super) text: ArrayString<N>,
    /// Bytes of memory it occupies as far as it was read, the terminator counted.
    pub(super) bytes_read: u64,
    /// Whether it is longer than what is kept.
    pub(super) cut: bool,
    /// Where reading failed before the terminator.
    pub(super) unreadable_at: Option<u64>,
}

/// Reads the string at `address`, `N` bytes and a terminator at most.
pub(super) fn read_text<const N: usize>(memory: &impl PhysicalMemory, address: u64) -> Text<N> {
    let mut raw = [0_u8; N];
    let mut length = 0;
    let mut bytes_read = 0;
    let mut cut = false;
    let mut unreadable_at = None;
    // Byte by byte: a longer read could fail for bytes beyond the terminator.
    loop {
        let at = address.wrapping_add(length as u64);
        let mut byte = [0_u8; 1];
        if at < address || memory.read(at, &mut byte).is_err() {
            unreadable_at = Some(at);
            break;
        }
        bytes_read += 1;
        if byte == [0] {
            break;
        }
        match raw.get_mut(length) {
            Some(place) => [*place] = byte,
            None => {
                cut = true;
                break;
            }
        }
        length += 1;
    }
    let incomplete = cut || unreadable_at.is_some();
    let (text, overflow) = decode(raw.get(..length).unwrap_or_default(), incomplete);
    Text { text, bytes_read, cut: cut || overflow, unreadable_at }
}

/// `raw` as UTF-8 with U+FFFD for what is not, and whether that did not fit.
///
/// A character that `incomplete` input ends in the middle of is left out: it was not wrong, it was cut.
fn decode<const N: usize>(raw: &[u8], incomplete: bool) -> (ArrayString<N>, bool) {
    let mut text = ArrayString::new();
    let mut chunks = raw.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for character in chunk.valid().chars() {
            if text.try_push(character).is_err() {
                return (text, true);
            }
        }
        let invalid = chunk.invalid();
        let cut_character = incomplete && chunks.peek().is_none() && is_prefix_of_character(invalid);
        if !invalid.is_empty() && !cut_character && text.try_push(char::REPLACEMENT_CHARACTER).is_err() {
            return (text, true);
        }
    }
    (text, false)
}

fn is_prefix_of_character(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
