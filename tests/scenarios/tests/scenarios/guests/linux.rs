//! Linux, as Debian ships it.

use anyhow::{Result, ensure};
use godwit_guest::description::GuestDescription;
use godwit_lab::GuestLine;
use godwit_scenarios::{
    guests::{Bundle, GuestHost, description},
    linux::{LINUX, guest_line},
    sized_spec,
};

fn guest(memory_mib: u64, words: &str) -> Result<GuestDescription> {
    description("web-1", memory_mib, &format!("console=ttyS0 panic=-1 {words}"))
}

fn host(guest: GuestDescription, compressed: bool) -> Result<GuestHost> {
    let mut bundle = Bundle::new();
    bundle.linux(guest, compressed)?;
    bundle.boot(&sized_spec("north", 2, "512MiB")?)
}

fn user_space(host: &GuestHost) -> Result<()> {
    guest_line(host, "user space", |line| matches!(line, GuestLine::UserSpace { .. }).then_some(()))
}

fn beat(host: &GuestHost) -> Result<(u64, u64)> {
    guest_line(host, "a beat", |line| match line {
        GuestLine::Beat { number, ns } => Some((number, ns)),
        _ => None,
    })
}

#[test]
fn lives_on_large_leaves_and_answers_at_its_console() -> Result<()> {
    let host = host(guest(256, "quiet heartbeat=50 write=8 rate=20000 echo=1")?, false)?;
    let before = host.free_frames()?;
    host.start("web-1")?;
    host.enter_console("web-1")?;
    user_space(&host)?;
    host.expect_line("the echo", |line| line == "echo ready", LINUX)?;
    let typed = ["one", "two  words", "", "a longer line with digits 0123456789 and \"quotes\""];
    for line in typed {
        host.type_line(line)?;
    }
    for (number, line) in (0u64..).zip(typed) {
        let echoed = guest_line(&host, "an echo", |line| match line {
            GuestLine::Echo { number, text } => Some((number, text)),
            _ => None,
        })?;
        ensure!(echoed == (number, line.to_owned()), "typed {line:?}, echoed {echoed:?}");
    }
    guest_line(&host, "a round of the writer", |line| {
        matches!(line, GuestLine::PagesOk { round: 2.. }).then_some(())
    })?;
    let mut last = beat(&host)?;
    for _ in 0..20 {
        let next = beat(&host)?;
        ensure!(next.0 == last.0 + 1 && next.1 > last.1, "{next:?} follows {last:?}");
        last = next;
    }
    host.leave_console("web-1")?;

    let running = host.guest("web-1")?;
    ensure!(running.state == "running" && running.memory_bytes == 256 << 20, "{running:?}");
    ensure!(running.exits.get("nested-fault") == Some(&0), "a fault on RAM: {running:?}");
    let leaves = running.leaves.into_iter();
    ensure!(leaves.eq([(0, 0), (9, 128), (18, 0)]), "256 MiB are not 128 leaves of 2 MiB");

    host.tell("pause", "web-1", "is paused")?;
    let paused = host.guest("web-1")?;
    host.tell("resume", "web-1", "runs")?;
    host.enter_console("web-1")?;
    // Shown again from where output is kept, then new: in order, and time goes on.
    let mut last = beat(&host)?;
    for _ in 0..20 {
        let next = beat(&host)?;
        ensure!(next.0 == last.0 + 1 && next.1 > last.1, "after a pause {next:?} follows {last:?}");
        last = next;
    }
    host.leave_console("web-1")?;
    let resumed = host.guest("web-1")?;
    ensure!(resumed.exits > paused.exits, "nothing happened after the pause: {paused:?}, {resumed:?}");
    host.tell("stop", "web-1", "is stopped")?;
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");
    Ok(())
}

#[test]
fn a_bzimage_finds_nothing_wrong_and_switches_itself_off() -> Result<()> {
    let host = host(guest(128, "poweroff=0")?, true)?;
    let before = host.free_frames()?;
    host.start("web-1")?;
    let said = host.console_to_the_end("web-1", LINUX)?;
    let is_user_space = |line: &str| matches!(GuestLine::parse(line), Some(GuestLine::UserSpace { .. }));
    ensure!(said.lines().any(is_user_space), "no user space:\n{said}");
    ensure!(said.contains("Hypervisor detected: KVM"), "not the interface that it knows:\n{said}");
    for complaint in ["ACPI Error", "ACPI BIOS Error", "Fatal", "BUG:", "WARNING: CPU", "unchecked MSR"] {
        ensure!(!said.contains(complaint), "the kernel says `{complaint}`:\n{said}");
    }
    ensure!(said.contains("web-1: it switched itself off"), "{said}");
    host.ensure_state("web-1", "stopped")?;
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");
    Ok(())
}

#[test]
fn starts_again_when_it_asks_for_it() -> Result<()> {
    let host = host(guest(128, "quiet reboot=200")?, false)?;
    host.start("web-1")?;
    host.enter_console("web-1")?;
    user_space(&host)?;
    host.expect_line("the reboot", |line| line == "reboot", LINUX)?;
    // On the same console, which stays with whoever looks on.
    user_space(&host)?;
    host.leave_console("web-1")?;
    host.tell("stop", "web-1", "is stopped")?;
    host.has_said("guest web-1 starts again, as it asked", LINUX)
}
