//! Memory that is in pieces on purpose.

use anyhow::{Result, ensure};
use godwit_lab::{Fragment, LabHost, MachineKind, RawFrames, RunningHost};
use godwit_scenarios::{ANSWER, boot, sized_spec, spec};

fn frames(host: &RunningHost) -> Result<RawFrames> {
    RawFrames::parse(&host.command("frames raw", ANSWER)?)
}

#[test]
fn the_same_seed_makes_the_same_pieces() -> Result<()> {
    let (host, _) = boot(&sized_spec("pieces", 2, "128MiB")?)?;
    let before = frames(&host)?;
    host.command("fragment 60 7", ANSWER)?;
    let after = frames(&host)?;
    let free = before.free_blocks();
    // A block that the allocator itself opens meanwhile may count as well.
    let expected = free * 60 / 100;
    let pinned = free.saturating_sub(after.free_blocks());
    ensure!(
        pinned.abs_diff(expected) <= 2,
        "{pinned} of {free} blocks were broken up, {expected} were asked for"
    );

    let (other, _) = boot(&sized_spec("pieces", 2, "128MiB")?)?;
    other.command("fragment 60 7", ANSWER)?;
    ensure!(frames(&other)?.stretches == after.stretches, "the same seed made another picture");
    other.command("fragment 60 8", ANSWER)?;
    Ok(())
}

#[test]
fn a_lab_file_can_ask_for_it() -> Result<()> {
    let lab_host = LabHost {
        name: "pieces".into(),
        cpus: 1,
        memory: "128MiB".parse()?,
        machine: MachineKind::Pc,
        command_line: Vec::new(),
        fragment: Some(Fragment { percent: 100, seed: 1 }),
        network: None,
        bundle: None,
    };
    let (host, banner) = boot(&lab_host.spec(&spec("pieces")?.image)?)?;
    ensure!(!banner.contains("bad value"), "{banner}");
    let frames = frames(&host)?;
    ensure!(
        frames.free_blocks() * 20 < frames.memory_blocks(),
        "{} blocks are still free",
        frames.free_blocks()
    );
    Ok(())
}
