//! The first program of the Linux test guest.
//!
//! It checks from inside what a hypervisor must not break: time goes on and never back, no page is lost or torn, the console
//! loses nothing. It says what it sees in lines that machines read, each with a number of its own kind. The kernel's
//! command line says what it does; see [`options`].
//!
//! The first line is `godwit-guest: user space NS`, with CLOCK_MONOTONIC in nanoseconds, as in every line.

mod bench;
mod clock;
mod console;
mod echo;
mod ending;
mod fill;
mod heartbeat;
mod options;
mod pages;
mod spinner;
mod writer;

use std::{fs, process, thread};

use rustix::{
    mount::{MountFlags, mount},
    process::WaitOptions,
};

use clock::Clock;
use console::say;
use options::Options;

fn main() {
    if process::id() != 1 {
        eprintln!("this is the first program of a test guest: it runs as process 1, not here");
        process::exit(2);
    }
    let mut clock = Clock::new();
    say!("godwit-guest: user space {}", clock.now_ns());
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        if let Err(error) = mount(kind, place, kind, MountFlags::empty(), None) {
            say!("BAD MOUNT {place}: {error}");
        }
    }
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let (options, problems) = Options::read(&command_line);
    for problem in problems {
        say!("BAD OPTION {problem}");
    }
    let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    say!("godwit-guest: clock {}", source.as_deref().map_or("unknown", str::trim));
    say!("godwit-guest: cpus {}", thread::available_parallelism().map_or(0, usize::from));

    // Alone, before anything else wants the processor.
    if let Some(rounds) = options.bench {
        bench::run(rounds, &mut clock);
    }
    start(options);
    reap(options.shell);
}

/// Waits for whatever ends: process 1 takes over every orphan. The console's shell, where there is one, is started again.
fn reap(has_shell: bool) -> ! {
    let mut shell = has_shell.then(echo::start_shell).flatten();
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((ended, _))) if Some(ended) == shell => shell = echo::start_shell(),
            Ok(_) => {}
            // No child at all: the threads do everything.
            Err(_) => thread::park(),
        }
    }
}

/// Starts everything that was asked for, each on a thread of its own.
fn start(options: Options) {
    if let Some(mib) = options.fill_mib {
        thread::spawn(move || fill::run(mib, options.fill_check));
    }
    if let Some(mib) = options.write_mib {
        thread::spawn(move || writer::run(mib, options.pages_per_second));
    }
    if options.spin {
        thread::spawn(spinner::run);
    }
    if let Some(period) = options.heartbeat {
        thread::spawn(move || heartbeat::run(period));
    }
    if options.echo && !options.shell {
        thread::spawn(echo::run);
    }
    for (after, ending) in
        [(options.power_off, ending::power_off as fn()), (options.reboot, ending::reboot_machine)]
    {
        if let Some(after) = after {
            thread::spawn(move || {
                thread::sleep(after);
                ending();
            });
        }
    }
}
