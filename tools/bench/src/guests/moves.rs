//! What a move costs on the wire, and what it leaves of the guest's large leaves.

use anyhow::{Context, Result, ensure};
use godwit_lab::{Lab, LabFile, RawFrames};

use super::{Files, bed, progress};
use crate::metrics::{Bound, Metrics};

const NORTH: &str = "north";
const SOUTH: &str = "south";

/// Two hosts that are joined, at their prompts. MTU 9000.
fn lab(files: &Files, memory: &str) -> Result<Lab> {
    let host = |name: &str, address: &str| {
        format!("[[host]]\nname = \"{name}\"\nmemory = \"{memory}\"\naddress = \"{address}/24\"\n")
    };
    let text = format!("{}{}[network]\nmtu = 9000\n", host(NORTH, "10.0.0.1"), host(SOUTH, "10.0.0.2"));
    let mut file = LabFile::parse(&text)?;
    file.hosts.iter_mut().for_each(|host| host.bundle = Some(files.bundle.clone()));
    let lab = Lab::start(&file, &files.image)?;
    for host in lab.hosts() {
        host.wait_ready(bed::BOOT)?;
    }
    Ok(lab)
}

/// Moves `guest` from north to south; what the source said of it.
fn send(lab: &Lab, guest: &str) -> Result<String> {
    let said = lab.host(NORTH)?.command(&format!("send {guest} {SOUTH}"), bed::GUEST)?;
    ensure!(said.contains(&format!("{guest} runs on {SOUTH}")), "{guest} did not move:\n{said}");
    Ok(said)
}

/// Bytes of the Ethernet frames that both hosts sent so far.
fn wire_bytes(lab: &Lab) -> Result<u64> {
    Ok(lab.port(NORTH)?.counters().from_host.bytes + lab.port(SOUTH)?.counters().from_host.bytes)
}

/// All Ethernet bytes of a move, of both directions, over the bytes of the frames that were not zero.
pub(super) fn wire_efficiency(files: &Files, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!("wire: a guest of 256 MiB moves at MTU 9000"));
    let lab = lab(files, "1GiB")?;
    let north = lab.host(NORTH)?;
    bed::start_guest(north, "small")?;
    bed::watch_console(north, "small", "the fill", |line| line.starts_with("fill 0 ok"))?;
    let before = wire_bytes(&lab)?;
    let said = send(&lab, "small")?;
    let bytes = wire_bytes(&lab)? - before;
    let frames = sent_frames(&said).with_context(|| format!("no count of frames in:\n{said}"))?;
    let sent_bytes = frames * RawFrames::FRAME_BYTES;
    let efficiency = bytes as f64 / sent_bytes as f64;
    progress(format_args!("  {bytes} bytes for {frames} frames that are not zero"));
    metrics.bounded(
        "move.wire_efficiency",
        efficiency,
        Bound::AtMost(1.02),
        "Ethernet bytes / bytes of frames sent",
    );
    Ok(())
}

/// Reads `N page bytes of M frames sent …`.
fn sent_frames(said: &str) -> Option<u64> {
    let (_, after) = said.split_once(" page bytes of ")?;
    after.split_once(" frames sent")?.0.parse().ok()
}

/// Bytes on leaves no smaller than before, after a guest of 3 GiB moved to a host half of whose memory is in pieces.
pub(super) fn huge_kept(files: &Files, metrics: &mut Metrics) -> Result<()> {
    progress(format_args!("leaves: a guest of 3 GiB moves to a host that is half in pieces"));
    let lab = lab(files, "6GiB")?;
    let (north, south) = (lab.host(NORTH)?, lab.host(SOUTH)?);
    // A guest holds what stays whole while the rest is broken up: every free 2 MiB gets a frame pinned in it.
    bed::start_guest(south, "large")?;
    let broken = south.command("fragment 100 7", bed::ANSWER)?;
    south.command("stop large", bed::ANSWER)?;
    let frames = RawFrames::parse(&south.command("frames raw", bed::ANSWER)?)?;
    let whole = frames.free_blocks() as f64 / frames.memory_blocks() as f64;
    ensure!((0.4..=0.6).contains(&whole), "{whole} of the destination is whole, not half:\n{broken}");

    bed::start_guest(north, "large")?;
    bed::watch_console(north, "large", "user space", |line| line.starts_with("godwit-guest: user space "))?;
    let before = bed::report(north, "large")?;
    ensure!(before.bytes_on(18) == before.bytes(), "it does not lie on 1 GiB leaves: {before:?}");
    let said = send(&lab, "large")?;
    progress(format_args!(
        "  {}",
        said.lines().find(|line| line.contains("runs on")).unwrap_or_default().trim()
    ));
    let after = bed::report(south, "large")?;
    ensure!(after.bytes() == before.bytes(), "other memory is mapped than before: {after:?}");
    let kept = after.bytes_no_smaller_than(&before) as f64 / before.bytes() as f64 * 100.0;
    metrics.bounded(
        "move.huge_kept_percent",
        kept,
        Bound::AtLeast(100.0),
        "3 GiB on 1 GiB leaves, half-whole host",
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::sent_frames;

    #[test]
    fn the_count_of_frames_is_read() {
        let said = "small runs on south: …\n  262144 page bytes of 64 frames sent; 1 MiB are zero\n";
        assert_eq!(sent_frames(said), Some(64));
        assert_eq!(sent_frames("small stays here: no room"), None);
    }
}
