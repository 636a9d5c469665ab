//! Reads what the monitor's `guest NAME raw` prints.

use std::ops::Range;

use anyhow::{Context, Result, bail};
use godwit_lab::RawFrames;

/// Orders of the leaves of nested page tables, largest first: 1 GiB, 2 MiB, 4 KiB.
const LEAF_ORDERS: [u8; 3] = [18, 9, 0];
/// The same for people.
pub(super) const LEAF_SIZES: [&str; 3] = ["1 GiB", "2 MiB", "4 KiB"];

/// What a host knows of a guest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct GuestReport {
    /// `running`, `stopped` and so on.
    pub(super) state: String,
    /// Leaves that map its memory, of 1 GiB, 2 MiB and 4 KiB.
    pub(super) leaves: [u64; 3],
    /// Where its memory lies in the host's, in bytes.
    pub(super) places: Vec<Range<u64>>,
}

impl GuestReport {
    /// Reads the lines; others between them are passed over.
    ///
    /// # Errors
    /// A line is not understood, or the last one is missing.
    pub(super) fn parse(output: &str) -> Result<Self> {
        let mut report = Self::default();
        for line in output.lines() {
            let (key, values) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "state" => values.clone_into(&mut report.state),
                "leaves" => {
                    let [order, count] = numbers(values).with_context(|| format!("`{line}`"))?;
                    let index = LEAF_ORDERS.iter().position(|known| u64::from(*known) == order);
                    report.leaves[index.with_context(|| format!("an unknown order in `{line}`"))?] = count;
                }
                "run" => {
                    let [_, host, frames] = numbers(values).with_context(|| format!("`{line}`"))?;
                    let bytes = |frames: u64| frames.checked_mul(RawFrames::FRAME_BYTES);
                    let place = bytes(host).zip(host.checked_add(frames).and_then(bytes));
                    let (start, end) = place.with_context(|| format!("no such frames in `{line}`"))?;
                    report.places.push(start..end);
                }
                "end" => return Ok(report),
                _ => {}
            }
        }
        bail!("no line `end` in:\n{output}")
    }

    /// The leaves as text: `128 x 2 MiB`.
    pub(super) fn leaves_text(&self) -> String {
        let sizes = self.leaves.iter().zip(LEAF_SIZES).filter(|(count, _)| **count > 0);
        sizes.map(|(count, size)| format!("{count} x {size}")).collect::<Vec<_>>().join(" + ")
    }

    /// Whether the 2 MiB block at `address` holds memory of the guest.
    pub(super) fn is_in(&self, address: u64) -> bool {
        let end = address + RawFrames::BLOCK_BYTES;
        self.places.iter().any(|place| place.start < end && address < place.end)
    }
}

fn numbers<const N: usize>(text: &str) -> Result<[u64; N]> {
    let numbers = text.split(' ').map(str::parse).collect::<Result<Vec<_>, _>>()?;
    numbers.try_into().ok().with_context(|| format!("expected {N} numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "\
        guest web-1\nstate running\nmemory 4198400\nleaves 18 0\nleaves 9 2\nleaves 0 1\ntables 4\n\
        [    1.0] cpu0 info  a line between\n\
        run 0 512 1024\nrun 1024 7 1\nexits cpuid 3\nend\n";

    #[test]
    fn reads_what_the_host_says() {
        let report = GuestReport::parse(RUNNING).unwrap();
        assert_eq!((report.state.as_str(), report.leaves), ("running", [0, 2, 1]));
        assert_eq!(report.leaves_text(), "2 x 2 MiB + 1 x 4 KiB");
        assert_eq!(report.places, [0x20_0000..0x60_0000, 0x7000..0x8000]);
        let blocks = [0, 0x20_0000, 0x40_0000, 0x60_0000].map(|address| report.is_in(address));
        assert_eq!(blocks, [true, true, true, false]);
    }

    #[test]
    fn a_guest_without_memory_has_a_state() {
        let report = GuestReport::parse("guest web-1\nstate stopped\nmemory 4096\nend\n").unwrap();
        assert_eq!(report, GuestReport { state: "stopped".to_owned(), ..GuestReport::default() });
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (from, to, word) in [
            ("end\n", "", "no line `end`"),
            ("leaves 9 2", "leaves 8 2", "unknown order"),
            ("leaves 9 2", "leaves 9", "expected 2 numbers"),
            ("run 0 512 1024", "run 0 x 1024", "run 0 x"),
            ("run 0 512 1024", "run 0 18446744073709551615 2", "no such frames"),
        ] {
            let error = format!("{:#}", GuestReport::parse(&RUNNING.replace(from, to)).unwrap_err());
            assert!(error.contains(word), "{from}: `{word}` is not in: {error}");
        }
    }
}
