//! Starts other programs, and says clearly when one of them fails.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader},
    process::{Command, ExitStatus},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The Cargo that started this program, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(cargo_program());
    command.current_dir(workspace::root());
    command
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs `command` with its output going where ours goes.
///
/// # Errors
/// It cannot be started, or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns its status and its two outputs, mixed as they came; `line` sees each line at once.
///
/// # Errors
/// It cannot be started.
pub(crate) fn capture(command: &mut Command, mut line: impl FnMut(&str)) -> Result<(ExitStatus, String)> {
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    // The command holds both ends that write: without letting go of them the pipe would never end.
    command.stdout(io::stderr()).stderr(io::stderr());
    let mut output = String::new();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        line(text.trim_end());
        output += &text;
        bytes.clear();
    }
    Ok((child.wait()?, output))
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let quoted = |word: &OsStr| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
    };
    let program = match command.get_program() {
        program if program == cargo_program() => OsStr::new("cargo"),
        program => program,
    };
    std::iter::once(program).chain(command.get_args()).map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_both_outputs_in_order() {
        let mut lines = Vec::new();
        let script = "echo one; echo two >&2; printf three; exit 4";
        let (status, output) =
            capture(Command::new("sh").args(["-c", script]), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((status.code(), output.as_str()), (Some(4), "one\ntwo\nthree"));
        assert_eq!(lines, ["one", "two", "three"]);
    }

    #[test]
    fn says_what_failed() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 3' failed") && error.contains('3'), "{error}");
        let error = format!("{:#}", run(&mut Command::new("/nowhere/x")).unwrap_err());
        assert!(error.contains("cannot start /nowhere/x"), "{error}");
    }
}
