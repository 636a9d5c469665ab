//! What the monitor's `guest NAME raw` says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// Orders of the leaves of nested tables, largest first.
pub(crate) const LEAF_ORDERS: [u32; 3] = [18, 9, 0];
const FRAME_BYTES: u64 = 4096;

/// Leaves of one size that follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub(crate) order: u32,
    pub(crate) first_frame: u64,
    pub(crate) leaves: u64,
}

impl Stretch {
    fn end(self) -> u64 {
        self.first_frame.saturating_add(self.leaves.saturating_mul(1 << self.order))
    }
}

/// A virtual CPU at one moment: what the host counted of it so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct VcpuReport {
    pub(crate) ran_ns: u64,
}

/// A guest at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct GuestReport {
    pub(crate) memory_bytes: u64,
    /// Its leaves, in the order of its addresses.
    pub(crate) stretches: Vec<Stretch>,
    /// Exits by reason.
    pub(crate) exits: BTreeMap<String, u64>,
    /// Its virtual CPUs by index.
    pub(crate) vcpus: BTreeMap<u64, VcpuReport>,
}

impl GuestReport {
    /// Understands the answer; lines of other kinds are passed over.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut report = Self::default();
        let mut is_whole = false;
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                ["memory", bytes] => report.memory_bytes = number(bytes)?,
                ["stretch", order, first_frame, leaves] => {
                    let order = number(order)? as u32;
                    ensure!(LEAF_ORDERS.contains(&order), "no leaf has order {order}: `{line}`");
                    let (first_frame, leaves) = (number(first_frame)?, number(leaves)?);
                    report.stretches.push(Stretch { order, first_frame, leaves });
                }
                ["exits", reason, count] => _ = report.exits.insert(reason.to_owned(), number(count)?),
                ["vcpu", index, ..] => {
                    let after = |key| words.iter().skip_while(|word| **word != key).nth(1).copied();
                    let nanoseconds =
                        |key| after(key).with_context(|| format!("no {key} in `{line}`")).and_then(number);
                    let vcpu = VcpuReport { ran_ns: nanoseconds("ran_ns")? };
                    report.vcpus.insert(number(index)?, vcpu);
                }
                ["end"] => is_whole = true,
                _ => {}
            }
        }
        ensure!(is_whole && !report.stretches.is_empty(), "no guest that runs here:\n{text}");
        Ok(report)
    }

    /// Bytes that are mapped.
    pub(crate) fn bytes(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.end() - stretch.first_frame).sum::<u64>() * FRAME_BYTES
    }

    /// Bytes on leaves of this order.
    pub(crate) fn bytes_on(&self, order: u32) -> u64 {
        let of_order = self.stretches.iter().filter(|stretch| stretch.order == order);
        of_order.map(|stretch| stretch.end() - stretch.first_frame).sum::<u64>() * FRAME_BYTES
    }

    /// Bytes on leaves as large as the guest's own addresses allow. Where the host has memory in one piece, nothing else
    /// limits them.
    pub(crate) fn bytes_on_largest(&self) -> u64 {
        let largest = Self {
            stretches: self.spans().into_iter().flat_map(largest_leaves).collect(),
            ..Self::default()
        };
        self.bytes_no_smaller_than(&largest)
    }

    /// Bytes on leaves no smaller than in `before`, range by range.
    pub(crate) fn bytes_no_smaller_than(&self, before: &Self) -> u64 {
        let mut frames = 0;
        for new in &self.stretches {
            for old in before.stretches.iter().filter(|old| old.order <= new.order) {
                let (start, end) = (new.first_frame.max(old.first_frame), new.end().min(old.end()));
                frames += end.saturating_sub(start);
            }
        }
        frames * FRAME_BYTES
    }

    /// What is mapped without a gap, as ranges of frames.
    fn spans(&self) -> Vec<(u64, u64)> {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for stretch in &self.stretches {
            match spans.last_mut() {
                Some((_, end)) if *end == stretch.first_frame => *end = stretch.end(),
                _ => spans.push((stretch.first_frame, stretch.end())),
            }
        }
        spans
    }
}

/// The fewest leaves that map a range of frames at a host address as aligned as its own.
fn largest_leaves((start, end): (u64, u64)) -> Vec<Stretch> {
    let mut leaves = Vec::new();
    let mut at = start;
    while at < end {
        let fits = |order: &&u32| at.is_multiple_of(1 << **order) && at + (1 << **order) <= end;
        let order = LEAF_ORDERS.iter().find(fits).copied().unwrap_or(0);
        leaves.push(Stretch { order, first_frame: at, leaves: 1 });
        at += 1 << order;
    }
    leaves
}

fn number(word: &str) -> Result<u64> {
    word.parse().with_context(|| format!("no number: `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB_FRAMES: u64 = 1 << 18;

    fn mapped(stretches: &[(u32, u64, u64)]) -> GuestReport {
        let stretches = stretches
            .iter()
            .map(|&(order, first_frame, leaves)| Stretch { order, first_frame, leaves })
            .collect();
        GuestReport { stretches, ..GuestReport::default() }
    }

    #[test]
    fn reads_what_the_host_says() {
        let text = "guest a\nstate running\nmemory 1075838976\nleaves 18 1\ntables 3\nrun 0 262144 262144\n\
            stretch 18 0 1\nstretch 9 262144 1\nexits cpuid 7\nexits nested-fault 0\n\
            vcpu 0 state running cpu 1 ran_ns 70 waited_ns 30 longest_wait_ns 3 exits 9\nend\n";
        let report = GuestReport::parse(text).unwrap();
        assert_eq!((report.bytes(), report.memory_bytes), (1_075_838_976, 1_075_838_976));
        assert_eq!(report.bytes_on(9), 2 << 20);
        assert_eq!(report.vcpus[&0], VcpuReport { ran_ns: 70 });
        assert_eq!((report.exits["cpuid"], report.exits["nested-fault"]), (7, 0));
        assert!(GuestReport::parse(text.trim_end_matches("end\n")).is_err());
        assert!(GuestReport::parse(&text.replace("stretch 9", "stretch 8")).is_err());
        assert!(GuestReport::parse("there is no guest called \"a\"").is_err());
    }

    #[test]
    fn alignment_says_what_is_largest() {
        let whole = mapped(&[(18, 0, 1), (9, GIB_FRAMES, 1)]);
        assert_eq!(whole.bytes_on_largest(), whole.bytes());
        // The first GiB in pieces: only what lies behind it is as large as it can be.
        let split = mapped(&[(9, 0, 512), (9, GIB_FRAMES, 1)]);
        assert_eq!(split.bytes_on_largest(), 2 << 20);
        // Beginning in the middle of a GiB there is no larger leaf.
        let unaligned = mapped(&[(9, 512, 512)]);
        assert_eq!(unaligned.bytes_on_largest(), unaligned.bytes());
    }

    #[test]
    fn leaves_are_compared_range_by_range() {
        let before = mapped(&[(18, 0, 2), (9, 2 * GIB_FRAMES, 1)]);
        // As many of each size, at other places.
        let after = mapped(&[(9, 0, 512), (18, GIB_FRAMES, 1), (18, 2 * GIB_FRAMES, 1)]);
        assert_eq!(after.bytes_no_smaller_than(&before), (1 << 30) + (2 << 20));
        assert_eq!(before.bytes_no_smaller_than(&before), before.bytes());
    }
}
