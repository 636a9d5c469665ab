//! The monitor, as a person at a terminal uses it.

use anyhow::{Result, ensure};
use godwit_lab::RunningHost;
use godwit_scenarios::{ANSWER, boot, sized_spec};

const LEFT: &[u8] = b"\x1b[D";
const UP: &[u8] = b"\x1b[A";

fn host() -> Result<RunningHost> {
    Ok(boot(&sized_spec("north-1", 2, "128MiB")?)?.0)
}

/// Types `keys` and Enter; returns the line as it then stands on the screen, and what the host answers.
fn type_keys(host: &RunningHost, keys: &[&[u8]]) -> Result<(String, String)> {
    host.type_bytes(&keys.concat())?;
    host.type_bytes(b"\r")?;
    let line = host.expect_line("the typed line", |line| line.starts_with("north-1> "), ANSWER)?;
    Ok((line.text.trim_end().to_owned(), host.wait_prompt(ANSWER)?))
}

#[test]
fn a_line_can_be_edited() -> Result<()> {
    let host = host()?;
    let plain = type_keys(&host, &[b"cpus"])?;
    ensure!(plain.0 == "north-1> cpus" && plain.1.contains("running"), "{plain:?}");
    for keys in [
        // Inserting, backspace, Ctrl-A and Ctrl-E, Ctrl-U, Ctrl-K, an escape sequence in the middle of it.
        &[&b"cus"[..], LEFT, LEFT, b"p"][..],
        &[b"cpusx\x7f"],
        &[b"pu\x01c\x05s"],
        &[b"rubbish\x15cpus"],
        &[b"cpusrest", LEFT, LEFT, LEFT, LEFT, b"\x0b"],
        &[b"cpx", LEFT, b"\x1b[3~us"],
    ] {
        let edited = type_keys(&host, keys)?;
        ensure!(edited == plain, "{keys:?} came to {edited:?}");
    }
    Ok(())
}

#[test]
fn history_brings_lines_back() -> Result<()> {
    let host = host()?;
    let cpus = type_keys(&host, &[b"cpus"])?;
    type_keys(&host, &[b"help"])?;
    ensure!(type_keys(&host, &[UP, UP])? == cpus, "two lines up is another line");
    Ok(())
}

#[test]
fn help_names_every_command() -> Result<()> {
    let help = host()?.command("help", ANSWER)?;
    for command in ["help", "frames", "cpus", "pci", "log", "selftest", "fragment", "reboot", "poweroff"] {
        ensure!(help.split_whitespace().any(|word| word == command), "`{command}` is not in:\n{help}");
    }
    Ok(())
}

#[test]
fn what_is_not_understood_is_answered() -> Result<()> {
    let host = host()?;
    for (line, part) in
        [("frmes", "frames"), ("log loud", "debug"), ("fragment 101 1", "100"), ("fragment 60", "SEED")]
    {
        let answer = host.command(line, ANSWER)?;
        ensure!(answer.contains(part), "`{line}` is answered by:\n{answer}");
    }
    // Bytes that are no text, a line without end, and a broken sequence; then the monitor still works.
    host.type_bytes(b"\xff\xfe\x00\x01\x1b[999;999x\x1b")?;
    host.type_bytes(&[b'x'; 5000])?;
    host.type_bytes(b"\x03\x15")?;
    // The line without end ends like any other; the next one is that of the last command.
    host.expect("^C", ANSWER)?;
    host.wait_prompt(ANSWER)?;
    let (_, answer) = type_keys(&host, &[b"cpus"])?;
    ensure!(answer.contains("running"), "{answer}");
    Ok(())
}

#[test]
fn pci_functions_are_listed() -> Result<()> {
    let mut spec = sized_spec("north-1", 1, "128MiB")?;
    spec.extra_arguments = vec!["-device".into(), "virtio-rng-pci".into()];
    let (host, _) = boot(&spec)?;
    let list = host.command("pci", ANSWER)?;
    // Red Hat's modern or transitional entropy source, and the host bridge.
    ensure!(list.contains("1af4:1005") || list.contains("1af4:1044"), "{list}");
    ensure!(list.contains("8086:29c0"), "{list}");
    Ok(())
}

#[test]
fn frames_are_drawn() -> Result<()> {
    let picture = host()?.command("frames", ANSWER)?;
    ensure!(picture.lines().count() > 5, "{picture}");
    ensure!(picture.lines().all(|line| line.chars().count() <= 100), "wider than a terminal:\n{picture}");
    Ok(())
}
