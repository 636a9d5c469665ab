//! Editing a line, as it is seen on a terminal.

use proptest::prelude::*;

use crate::{
    terminal::Terminal,
    world::{Setup, World},
};

/// A host and a terminal that shows it.
struct Desk {
    world: World,
    terminal: Terminal,
}

impl Desk {
    fn new() -> Self {
        let mut terminal = Terminal::new();
        terminal.write("lab-a> ");
        Self { world: Setup { memory_mib: 16, ..Setup::default() }.ready(), terminal }
    }

    fn press(&mut self, keys: &str) {
        let output = self.world.enter(keys);
        self.terminal.write(&output);
    }

    /// The row of the cursor, with `|` where the cursor is.
    fn row(&self) -> String {
        let mut row = self.terminal.row().to_owned();
        row.insert(self.terminal.column, '|');
        row
    }
}

#[test]
fn keys_edit_the_line_where_the_cursor_is() {
    let mut desk = Desk::new();
    for (keys, row) in [
        ("log inof", "lab-a> log inof|"),
        ("\x1b[D\x7f", "lab-a> log in|f"),
        ("\x1b[C\x08o", "lab-a> log ino|"),
        ("\x02f", "lab-a> log inf|o"),
        ("\x01", "lab-a> |log info"),
        ("\x1b[3~", "lab-a> |og info"),
        ("L\x04", "lab-a> L|g info"),
        ("\x05", "lab-a> Lg info|"),
        ("\x17", "lab-a> Lg |"),
        ("x\x1b[1;5Dy \x1b[1;5C", "lab-a> Lg y x|"),
        ("\x01\x1b[C\x0b", "lab-a> L|"),
        ("abc\x1b[D\x15", "lab-a> |c"),
        ("\x1bOF\x15", "lab-a> |"),
        ("\x7f\x1b[D\x04", "lab-a> |"),
    ] {
        desk.press(keys);
        assert_eq!(desk.row(), row, "after {keys:?}");
    }
    assert_eq!(desk.terminal.bells, 0);
}

#[test]
fn history_comes_back_and_can_be_edited() {
    let mut desk = Desk::new();
    desk.press("pci\rlog\rdra");
    desk.press("\x1b[A\x1b[A");
    assert_eq!(desk.row(), "lab-a> pci|");
    desk.press("\x1b[A\x10");
    assert_eq!(desk.row(), "lab-a> pci|");
    desk.press("\x1b[B\x1b[B");
    assert_eq!(desk.row(), "lab-a> dra|");
    desk.press("\x1b[A\x01\x04x\r");
    assert!(desk.terminal.rows.iter().any(|row| row.starts_with("unknown command \"xog\"")));
}

#[test]
fn tab_completes_and_lists() {
    let mut desk = Desk::new();
    desk.press("he\t");
    assert_eq!(desk.row(), "lab-a> help |");
    desk.press("fr\t");
    assert_eq!(desk.row(), "lab-a> help fra|");
    desk.press("\t");
    assert_eq!(desk.row(), "lab-a> help fra|");
    assert_eq!(desk.terminal.rows[desk.terminal.rows.len() - 2], "frames  fragment  ");
    desk.press("m\t");
    assert_eq!(desk.row(), "lab-a> help frames |");
    desk.press("\t");
    assert_eq!((desk.row().as_str(), desk.terminal.bells), ("lab-a> help frames |", 1));
}

#[test]
fn a_log_line_leaves_the_line_and_its_cursor_as_they_were() {
    let mut desk = Desk::new();
    desk.press("frames\x1b[D\x1b[D");
    // The machine puts a log line on a line of its own; then it says so.
    desk.terminal.write("\r\x1b[K[    1.000000] cpu1 info  up\n");
    desk.world.machine.state().disturbances += 1;
    desk.press("");
    assert_eq!(desk.row(), "lab-a> fram|es");
    assert_eq!(desk.world.enter(""), "", "once is enough");
}

#[test]
fn control_l_and_control_c_leave_a_clean_prompt() {
    let mut desk = Desk::new();
    desk.press("help\rfra\x0c");
    assert_eq!((desk.row().as_str(), desk.terminal.rows.len()), ("lab-a> fra|", 1));
    desk.press("\x03");
    assert_eq!(desk.row(), "lab-a> |");
    assert_eq!(desk.terminal.rows[0], "lab-a> fra^C");
}

#[test]
fn what_no_command_can_contain_rings_the_bell() {
    let mut desk = Desk::new();
    desk.press("é€\u{1f426}");
    assert_eq!((desk.row().as_str(), desk.terminal.bells), ("lab-a> |", 3));
}

#[test]
fn a_line_too_long_is_bounded_with_a_bell_and_scrolls_sideways() {
    let mut desk = Desk::new();
    desk.press(&"0123456789".repeat(16));
    assert_eq!(desk.terminal.bells, 0);
    assert_eq!(desk.row(), format!("lab-a> {}|", &"0123456789".repeat(16)[160 - 71..]));
    desk.press("xy");
    assert_eq!(desk.terminal.bells, 2);
    desk.press("\x01");
    assert_eq!(desk.row(), format!("lab-a> |{}", &"0123456789".repeat(16)[..72]));
    desk.press("\x03");
    assert_eq!(desk.row(), "lab-a> |");
}

/// Keys that edit, and what they do to a plain string.
fn apply(key: &str, text: &mut String, cursor: &mut usize) {
    let words = |text: &str| text[..].trim_end_matches(' ').rfind(' ').map_or(0, |space| space + 1);
    match key {
        "\x01" => *cursor = 0,
        "\x05" => *cursor = text.len(),
        "\x1b[D" => *cursor = cursor.saturating_sub(1),
        "\x1b[C" => *cursor = (*cursor + 1).min(text.len()),
        "\x0b" => text.truncate(*cursor),
        "\x15" => {
            text.drain(..*cursor);
            *cursor = 0;
        }
        "\x17" => {
            let start = words(&text[..*cursor]);
            text.drain(start..*cursor);
            *cursor = start;
        }
        "\x7f" => {
            if *cursor > 0 {
                *cursor -= 1;
                text.remove(*cursor);
            }
        }
        "\x04" => {
            if *cursor < text.len() {
                text.remove(*cursor);
            }
        }
        typed => {
            for character in typed.chars() {
                if text.len() < 160 {
                    text.insert(*cursor, character);
                    *cursor += 1;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_terminal_shows_the_line_that_was_edited(keys in prop::collection::vec(prop_oneof![
        prop::sample::select(vec!["\x01", "\x05", "\x1b[D", "\x1b[C", "\x0b", "\x15", "\x17", "\x7f", "\x04"])
            .prop_map(String::from),
        "[ a-z]{1,30}",
    ], 0..40)) {
        let mut desk = Desk::new();
        let (mut text, mut cursor) = (String::new(), 0);
        for key in &keys {
            desk.press(key);
            apply(key, &mut text, &mut cursor);
            let (row, column) = (desk.terminal.row().to_owned(), desk.terminal.column - 7);
            let visible = row.strip_prefix("lab-a> ");
            prop_assert!(visible.is_some(), "{:?}", row);
            let visible = visible.unwrap_or_default();
            // A window on the text, with the cursor at the same character.
            let first = cursor.checked_sub(column);
            prop_assert!(first.is_some_and(|first| text[first..].starts_with(visible)), "{:?} {:?} {}", text, row, column);
            prop_assert!(visible.len() >= text.len().min(40), "{:?}", row);
        }
    }
}
