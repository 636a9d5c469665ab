//! The Linux test guest in plain QEMU, without Godwit: what it says elsewhere is worth something only where it is right here.

use anyhow::{Result, ensure};
use godwit_lab::{GuestLine, HostSpec, RunningHost};
use godwit_scenarios::linux::{LINUX, guest_line, linux};

fn start(words: &str) -> Result<RunningHost> {
    let files = linux()?;
    let command_line = format!("console=ttyS0 quiet panic=-1 {words}");
    RunningHost::start(&HostSpec {
        memory: "256MiB".parse()?,
        module: Some(files.initramfs),
        command_line: command_line.split(' ').map(str::to_owned).collect(),
        ..HostSpec::new("plain", files.vmlinux)?
    })
}

/// What `wanted` makes of every line so far.
fn said<T>(host: &RunningHost, mut wanted: impl FnMut(GuestLine) -> Option<T>) -> Vec<T> {
    let lines = host.stamped_lines();
    lines.iter().filter_map(|line| wanted(GuestLine::parse(&line.text)?)).collect()
}

#[test]
fn checks_its_memory_its_clock_and_its_console() -> Result<()> {
    let host = start("heartbeat=50 spin=1 write=8 rate=20000 fill=4 fillcheck=1 echo=1")?;
    host.expect_line("the echo", |line| line == "echo ready", LINUX)?;
    // Typed ahead, as fast as the line takes it.
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
    guest_line(&host, "a second check of the fill", |line| {
        matches!(line, GuestLine::FillOk { number: 1.. }).then_some(())
    })?;
    guest_line(&host, "a round of the writer", |line| {
        matches!(line, GuestLine::PagesOk { round: 2.. }).then_some(())
    })?;
    guest_line(&host, "the spinner", |line| matches!(line, GuestLine::Gap { .. }).then_some(()))?;
    let beats = said(&host, |line| match line {
        GuestLine::Beat { number, ns } => Some((number, ns)),
        _ => None,
    });
    ensure!(beats.len() > 20, "{} beats", beats.len());
    let in_order = |pair: &[(u64, u64)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 > pair[0].1;
    ensure!(beats[0].0 == 0 && beats.windows(2).all(in_order), "{beats:?}");
    Ok(())
}

#[test]
fn measures_exits_and_switches_itself_off() -> Result<()> {
    let mut host = start("bench=1000 poweroff=0 nonsense=1 heartbeat=x")?;
    host.expect_line("a complaint", |line| line.starts_with("BAD OPTION heartbeat=x"), LINUX)?;
    guest_line(&host, "the end of the bench", |line| (line == GuestLine::BenchDone).then_some(()))?;
    let rounds = said(&host, |line| match line {
        GuestLine::CpuidExit { round, ns } => Some((round, ns)),
        _ => None,
    });
    ensure!(rounds.iter().map(|(round, _)| *round).eq(0..7), "{rounds:?}");
    ensure!(rounds.iter().all(|(_, ns)| *ns > 0), "{rounds:?}");
    let exit = host.wait_exit(LINUX)?;
    ensure!(exit.status.success() && exit.reason.as_deref() == Some("guest-shutdown"), "{exit:?}");
    Ok(())
}
