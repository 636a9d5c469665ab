//! How long an answer takes: RFC 6298's estimate, in ns.

/// The answer may wait this long at the destination on purpose.
const ANSWER_DELAY_NS: u64 = crate::destination::ACKNOWLEDGE_DELAY_NS;
const MILLISECOND_NS: u64 = 1_000_000;
/// Before anything was measured.
const INITIAL_NS: u64 = 200 * MILLISECOND_NS;
/// Below this a busy host looks like a lost datagram.
const SHORTEST_NS: u64 = 20 * MILLISECOND_NS;
const LONGEST_NS: u64 = 1000 * MILLISECOND_NS;

#[derive(Debug)]
pub(super) struct RoundTrip {
    /// Smoothed time and its mean deviation.
    estimate: Option<(u64, u64)>,
    /// How often in a row the time was over; each doubles it.
    doublings: u32,
}

impl RoundTrip {
    pub(super) const fn new() -> Self {
        Self { estimate: None, doublings: 0 }
    }

    /// An answer came after `sample_ns`. What is sent again has a number of its own, so every sample is sound.
    pub(super) fn measured(&mut self, sample_ns: u64) {
        self.doublings = 0;
        self.estimate = Some(match self.estimate {
            None => (sample_ns, sample_ns / 2),
            Some((smooth, deviation)) => {
                let deviation = deviation - deviation / 4 + smooth.abs_diff(sample_ns) / 4;
                (smooth - smooth / 8 + sample_ns / 8, deviation)
            }
        });
    }

    /// No answer came in [`timeout_ns`](Self::timeout_ns).
    pub(super) fn missed(&mut self) {
        self.doublings = (self.doublings + 1).min(10);
    }

    /// When to stop waiting for an answer.
    pub(super) fn timeout_ns(&self) -> u64 {
        let base = self.estimate.map_or(INITIAL_NS, |(smooth, deviation)| {
            smooth.saturating_add(deviation.saturating_mul(4)).saturating_add(ANSWER_DELAY_NS)
        });
        base.max(SHORTEST_NS).saturating_mul(1 << self.doublings).min(LONGEST_NS)
    }
}

#[cfg(test)]
mod tests;
