//! Control frames that wait for the network stack.

use alloc::collections::VecDeque;

use arrayvec::ArrayVec;

/// Bytes of the longest control frame: Ethernet's, whatever the link could carry.
pub(super) const MAX_CONTROL_FRAME: usize = 1514;
/// Frames that wait at most.
const MAX_FRAMES: usize = 16;

/// A control frame.
pub(super) type ControlFrame = ArrayVec<u8, MAX_CONTROL_FRAME>;

/// Copies of frames, oldest first.
pub(super) struct Inbox(VecDeque<ControlFrame>);

impl Inbox {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(MAX_FRAMES))
    }

    /// Whether no more fit.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_FRAMES
    }

    /// Keeps a copy of `frame`; `false` where it is too long, or there is no room.
    pub(super) fn put(&mut self, frame: &[u8]) -> bool {
        match ControlFrame::try_from(frame) {
            Ok(copy) if !self.is_full() => {
                self.0.push_back(copy);
                true
            }
            _ => false,
        }
    }

    /// The oldest frame.
    pub(super) fn take(&mut self) -> Option<ControlFrame> {
        self.0.pop_front()
    }
}
