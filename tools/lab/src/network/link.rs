//! What the cable between a port and its host lets through. Every fault that a link can have belongs here.

/// The state of one link.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Link {
    /// Everything passes.
    #[default]
    Up,
    /// Everything passes until the host has sent this many more bytes; then the link is cut.
    UpFor {
        /// Bytes of Ethernet frames.
        host_bytes: u64,
    },
    /// Everything passes until the host sends a frame that this answers `true` for; then the link is cut, and that frame lost.
    UpUntil(fn(&[u8]) -> bool),
    /// Nothing passes, in either direction. Nobody is told, as with a cable cut far away.
    Cut,
}

impl Link {
    /// Whether `frame` from the host passes.
    pub(super) fn admits_from_host(&mut self, frame: &[u8]) -> bool {
        let passes = match self {
            Self::Up => true,
            Self::Cut => false,
            Self::UpFor { host_bytes } => match host_bytes.checked_sub(frame.len() as u64) {
                Some(left) => {
                    *host_bytes = left;
                    true
                }
                None => false,
            },
            Self::UpUntil(is_last) => !is_last(frame),
        };
        if !passes {
            *self = Self::Cut;
        }
        passes
    }

    /// Whether nothing passes.
    pub(super) fn is_cut(self) -> bool {
        matches!(self, Self::Cut)
    }

    /// Whether a frame to the host passes.
    pub(super) fn admits_to_host(self) -> bool {
        !self.is_cut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_link_passes_nothing() {
        let mut link = Link::Cut;
        assert!(!link.admits_from_host(&[0; 60]) && !link.admits_to_host());
        let mut link = Link::Up;
        assert!(link.admits_from_host(&[0; 70_000]) && link.admits_to_host());
    }

    #[test]
    fn a_link_may_last_for_some_bytes() {
        let mut link = Link::UpFor { host_bytes: 150 };
        assert!(link.admits_from_host(&[0; 100]) && link.admits_from_host(&[0; 50]));
        assert!(link.admits_to_host());
        assert!(!link.admits_from_host(&[0]));
        assert!(link.is_cut() && !link.admits_to_host());
    }

    #[test]
    fn a_link_may_last_until_a_certain_frame() {
        let mut link = Link::UpUntil(|frame| frame.starts_with(b"go"));
        assert!(link.admits_from_host(b"no") && link.admits_to_host());
        assert!(!link.admits_from_host(b"gone"));
        assert!(!link.admits_from_host(b"no") && link.is_cut());
    }
}
