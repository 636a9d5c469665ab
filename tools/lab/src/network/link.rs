//! What the cable between a port and its host lets through. Every fault that a link can have belongs here.

/// The state of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Link {
    /// Everything passes.
    #[default]
    Up,
    /// Everything passes until the host has sent this many more bytes; then the link is cut.
    UpFor {
        /// Bytes of Ethernet frames.
        host_bytes: u64,
    },
    /// Nothing passes, in either direction. Nobody is told, as with a cable cut far away.
    Cut,
}

impl Link {
    /// Whether a frame of `bytes` bytes from the host passes.
    pub(super) fn admits_from_host(&mut self, bytes: usize) -> bool {
        match self {
            Self::Up => true,
            Self::Cut => false,
            Self::UpFor { host_bytes } => match host_bytes.checked_sub(bytes as u64) {
                Some(left) => {
                    *host_bytes = left;
                    true
                }
                None => {
                    *self = Self::Cut;
                    false
                }
            },
        }
    }

    /// Whether a frame to the host passes.
    pub(super) fn admits_to_host(self) -> bool {
        self != Self::Cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_link_passes_nothing() {
        let mut link = Link::Cut;
        assert!(!link.admits_from_host(60) && !link.admits_to_host());
        let mut link = Link::Up;
        assert!(link.admits_from_host(usize::MAX) && link.admits_to_host());
    }

    #[test]
    fn a_link_may_last_for_some_bytes() {
        let mut link = Link::UpFor { host_bytes: 150 };
        assert!(link.admits_from_host(100) && link.admits_from_host(50));
        assert!(link.admits_to_host());
        assert!(!link.admits_from_host(1));
        assert_eq!(link, Link::Cut);
        assert!(!link.admits_to_host());
    }
}
