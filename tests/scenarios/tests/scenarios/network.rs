//! Hosts on a network of their own.

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, Lab, LabFile, MachineKind, RunningHost};
use godwit_scenarios::{ANSWER, BOOT, boot, ensure_says, spec};

const TWO_HOSTS: &str = "
[[host]]
name = \"north\"
machine = \"q35\"
cpus = 2
address = \"10.0.0.1/24\"
mtu = 65535

[[host]]
name = \"south\"
machine = \"pc\"
address = \"10.0.0.2/24\"
";

/// Two hosts that are joined, at their prompts.
fn two_hosts() -> Result<Lab> {
    let lab = Lab::start(&LabFile::parse(TWO_HOSTS)?, &spec("north")?.image)?;
    for host in lab.hosts() {
        host.wait_ready(BOOT)?;
    }
    Ok(lab)
}

/// Asks `host` to ping the other one; how many of its questions were answered.
fn answered(host: &RunningHost, other: &str) -> Result<u32> {
    let said = host.command(&format!("ping {other}"), ANSWER)?;
    let count = said.lines().find_map(|line| line.trim().strip_suffix(" of 3 answered")?.parse().ok());
    count.ok_or_else(|| anyhow::anyhow!("no count in:\n{said}"))
}

#[test]
fn hosts_find_each_other_lose_each_other_and_find_each_other_again() -> Result<()> {
    let mut lab = two_hosts()?;
    ensure!(answered(lab.host("north")?, "south")? == 3, "{}", lab.host("north")?.transcript());
    ensure!(answered(lab.host("south")?, "10.0.0.1")? == 3, "{}", lab.host("south")?.transcript());
    lab.port("south")?.cut();
    ensure!(answered(lab.host("north")?, "south")? == 0, "a cut cable answers");
    lab.port("south")?.restore();
    ensure!(answered(lab.host("north")?, "south")? == 3, "{}", lab.host("north")?.transcript());
    // What the one knows of the other outlives the other's adapter. The other one has to ask where to answer, and its
    // first answer may be lost to that.
    lab.restart("south")?.wait_ready(BOOT)?;
    ensure!(answered(lab.host("north")?, "south")? >= 2, "{}", lab.host("north")?.transcript());
    let network = lab.host("north")?.command("network", ANSWER)?;
    ensure_says(
        &network,
        &[
            "10.0.0.1/24, hardware address 52:54:",
            "packets of up to 65535 bytes",
            "south at 10.0.0.2, 52:54:",
        ],
    )?;
    Ok(())
}

#[test]
fn a_host_that_waits_for_frames_sleeps() -> Result<()> {
    let lab = two_hosts()?;
    let north = lab.host("north")?;
    ensure!(answered(north, "south")? == 3, "{}", north.transcript());
    // Halted, it takes a ping as soon as it comes: were it only looked for now and then, rounds would take milliseconds.
    let said = north.command("ping south", ANSWER)?;
    let best = said
        .lines()
        .filter_map(|line| line.trim().split(" answers after ").nth(1)?.strip_suffix(" ms")?.parse().ok());
    let best: f64 = best.fold(f64::INFINITY, f64::min);
    ensure!(best < 5.0, "the fastest answer took {best} ms:\n{said}");
    Ok(())
}

#[test]
fn an_adapter_that_cannot_be_driven_is_named() -> Result<()> {
    for (options, why) in [
        ("disable-modern=on,disable-legacy=off", "it has only virtio's legacy interface"),
        ("vectors=0", "it has no message-signalled interrupts (MSI-X)"),
    ] {
        let device = format!("virtio-net-pci,netdev=none,{options}");
        let (host, banner) = boot(&HostSpec {
            machine: MachineKind::Pc,
            command_line: vec!["godwit.address=10.0.0.1/24".into()],
            extra_arguments: ["-netdev", "hubport,id=none,hubid=0", "-device", &device]
                .map(Into::into)
                .into(),
            ..spec("alone")?
        })?;
        let missing = "network none: this machine has no usable network adapter";
        ensure_says(&banner, &[missing, "network adapter 0000:00:", why])?;
        ensure_says(
            &host.command("ping 10.0.0.2", ANSWER)?,
            &["ping: this machine has no usable network adapter"],
        )?;
    }
    Ok(())
}
