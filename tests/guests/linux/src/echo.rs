//! The console as a person uses it: a shell, or an echo that tells what arrived.

use std::{
    io::{self, BufRead},
    process::Command,
};

use rustix::{
    process::Pid,
    termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr},
};

use crate::console::say;

/// Answers every line typed with `echo SEQ LINE`. The terminal itself echoes nothing, so that each line comes once, and whole.
pub(crate) fn run() {
    let stdin = rustix::stdio::stdin();
    match tcgetattr(stdin) {
        Ok(mut attributes) => {
            attributes.local_modes.remove(LocalModes::ECHO);
            if let Err(error) = tcsetattr(stdin, OptionalActions::Now, &attributes) {
                say!("BAD CONSOLE {error}");
            }
        }
        Err(error) => say!("BAD CONSOLE {error}"),
    }
    say!("echo ready");
    let lines = io::stdin().lock().split(b'\n').map_while(Result::ok);
    for (number, line) in lines.enumerate() {
        say!("echo {number} {}", String::from_utf8_lossy(&line));
    }
    say!("echo ended");
}

/// Starts a shell on the console, in a session of its own with the console as its terminal: Ctrl-C ends a command, not the
/// guest. Process 1 learns of its end as of every orphan's.
pub(crate) fn start_shell() -> Option<Pid> {
    let started = Command::new("/bin/busybox").args(["setsid", "cttyhack", "sh"]).env("PATH", "/bin").spawn();
    match started {
        Ok(shell) => Pid::from_raw(shell.id().cast_signed()),
        Err(error) => {
            say!("BAD SHELL {error}");
            None
        }
    }
}
