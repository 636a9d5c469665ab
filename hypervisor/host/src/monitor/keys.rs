//! Bytes from a terminal to keys, also where an escape sequence arrives in pieces.

/// A key as the line editor knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// A printable ASCII character.
    Character(u8),
    /// Return, however the terminal spells it.
    Enter,
    /// Backspace or Ctrl-H.
    Backspace,
    /// Delete, or Ctrl-D.
    Delete,
    /// Cursor left or Ctrl-B.
    Left,
    /// Cursor right or Ctrl-F.
    Right,
    /// One word left: Ctrl-Left or Alt-B.
    WordLeft,
    /// One word right: Ctrl-Right or Alt-F.
    WordRight,
    /// Home or Ctrl-A.
    Home,
    /// End or Ctrl-E.
    End,
    /// Cursor up or Ctrl-P.
    Up,
    /// Cursor down or Ctrl-N.
    Down,
    /// Tab.
    Complete,
    /// Ctrl-K.
    KillToEnd,
    /// Ctrl-U.
    KillToStart,
    /// Ctrl-W.
    KillWord,
    /// Ctrl-L.
    ClearScreen,
    /// Ctrl-C.
    Cancel,
    /// Something that no command can contain, such as a letter beyond ASCII.
    Unusable,
}

/// Longest parameter list of an escape sequence that is looked at; what is longer is swallowed whole.
const MAX_PARAMETERS: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// Between keys.
    #[default]
    Ground,
    /// A carriage return was the last byte: a line feed now belongs to it.
    AfterReturn,
    /// ESC was read.
    Escape,
    /// ESC O was read: one more byte names the key (SS3).
    SingleShift,
    /// ESC [ was read, then `length` parameter bytes (CSI).
    Sequence { length: usize },
}

/// Turns bytes into keys; what it does not know it swallows.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyDecoder {
    state: State,
    parameters: [u8; MAX_PARAMETERS],
}

impl KeyDecoder {
    /// Takes one byte; answers with the key that it completes, if any.
    pub(super) fn decode(&mut self, byte: u8) -> Option<Key> {
        match core::mem::take(&mut self.state) {
            State::AfterReturn if byte == b'\n' => None,
            State::Ground | State::AfterReturn => self.ground(byte),
            State::Escape => self.escape(byte),
            State::SingleShift => final_byte(byte, false),
            State::Sequence { length } => self.sequence(length, byte),
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            b'\r' => {
                self.state = State::AfterReturn;
                Key::Enter
            }
            b'\n' => Key::Enter,
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::Cancel,
            0x04 => Key::Delete,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            b'\t' => Key::Complete,
            0x0b => Key::KillToEnd,
            0x0c => Key::ClearScreen,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            b' '..=b'~' => Key::Character(byte),
            // The first byte of a UTF-8 sequence stands for the whole letter; the others follow it silently.
            0xc0..=0xff => Key::Unusable,
            _ => return None,
        })
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => self.state = State::Sequence { length: 0 },
            b'O' => self.state = State::SingleShift,
            b'b' => return Some(Key::WordLeft),
            b'f' => return Some(Key::WordRight),
            // Control bytes are keys of their own, and a second ESC starts afresh.
            0x00..=0x1f | 0x7f => return self.ground(byte),
            _ => {}
        }
        None
    }

    /// ECMA-48 5.4: parameter and intermediate bytes are 0x20 to 0x3f, a byte from 0x40 to 0x7e ends the sequence.
    fn sequence(&mut self, length: usize, byte: u8) -> Option<Key> {
        match byte {
            0x20..=0x3f => {
                if let Some(place) = self.parameters.get_mut(length) {
                    *place = byte;
                }
                self.state = State::Sequence { length: length.saturating_add(1) };
                None
            }
            0x40..=0x7e => match (self.parameters.get(..length), byte) {
                (Some(b"1" | b"7"), b'~') => Some(Key::Home),
                (Some(b"4" | b"8"), b'~') => Some(Key::End),
                (Some(b"3"), b'~') => Some(Key::Delete),
                (Some(b""), byte) => final_byte(byte, false),
                // `1;5` is Control, `1;3` is Alt; other modifiers are ignored.
                (Some(b"1;5" | b"1;3"), byte) => final_byte(byte, true),
                (Some([b'1', b';', _]), byte) => final_byte(byte, false),
                _ => None,
            },
            _ => self.ground(byte),
        }
    }
}

/// The key that the last byte of a cursor sequence names.
fn final_byte(byte: u8, by_word: bool) -> Option<Key> {
    match byte {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        b'C' => Some(if by_word { Key::WordRight } else { Key::Right }),
        b'D' => Some(if by_word { Key::WordLeft } else { Key::Left }),
        b'H' => Some(Key::Home),
        b'F' => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyDecoder};

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = KeyDecoder::default();
        bytes.iter().filter_map(|&byte| decoder.decode(byte)).collect()
    }

    #[test]
    fn each_spelling_of_return_is_one_key() {
        for spelling in ["\r", "\n", "\r\n"] {
            assert_eq!(
                keys(format!("a{spelling}b").as_bytes()),
                [Key::Character(b'a'), Key::Enter, Key::Character(b'b')]
            );
        }
        assert_eq!(keys(b"\r\r\n\n"), [Key::Enter; 3]);
    }

    #[test]
    fn terminals_spell_the_cursor_keys_in_several_ways() {
        for (bytes, key) in [
            ("\x1b[A", Key::Up),
            ("\x1bOA", Key::Up),
            ("\x1b[B", Key::Down),
            ("\x1b[C", Key::Right),
            ("\x1b[D", Key::Left),
            ("\x1b[1;5D", Key::WordLeft),
            ("\x1b[1;5C", Key::WordRight),
            ("\x1b[1;2C", Key::Right),
            ("\x1bb", Key::WordLeft),
            ("\x1b[H", Key::Home),
            ("\x1b[1~", Key::Home),
            ("\x1b[7~", Key::Home),
            ("\x1bOF", Key::End),
            ("\x1b[4~", Key::End),
            ("\x1b[3~", Key::Delete),
            ("\x1b\x1b[A", Key::Up),
        ] {
            assert_eq!(keys(bytes.as_bytes()), [key], "{bytes:?}");
        }
    }

    #[test]
    fn unknown_sequences_are_swallowed_whole() {
        for bytes in ["\x1b[15~", "\x1b[<0;33;44M", "\x1b[200~", "\x1bOP", "\x1bz", "\x1b[1;2;3;4;5;6;7;8;9~"]
        {
            assert_eq!(keys(format!("{bytes}x").as_bytes()), [Key::Character(b'x')], "{bytes:?}");
        }
    }

    #[test]
    fn a_broken_sequence_gives_way_to_the_key_that_broke_it() {
        assert_eq!(keys(b"\x1b\x03"), [Key::Cancel]);
        assert_eq!(keys(b"\x1b[12\x03"), [Key::Cancel]);
        assert_eq!(keys(b"\x1b[1\r"), [Key::Enter]);
    }

    #[test]
    fn a_letter_beyond_ascii_is_one_unusable_key() {
        assert_eq!(
            keys("aé€x".as_bytes()),
            [Key::Character(b'a'), Key::Unusable, Key::Unusable, Key::Character(b'x')]
        );
        assert_eq!(keys(&[0x00, 0x80, 0xbf, 0x1a]), []);
    }
}
