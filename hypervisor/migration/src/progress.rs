//! How far a move is, in numbers that only count what is known.

/// How far a move is, as one side knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// All frames of the guest's RAM.
    pub frames_total: u64,
    /// Frames that are at the destination: the source counts what was acknowledged, the destination what it summed.
    /// Pieces of a frame count when it is complete (destination) or by their bytes (source).
    pub frames_done: u64,
    /// How many of these are zero, named and not sent.
    pub zero_frames: u64,
    /// Bytes of guest memory in page records, those sent (source) or received (destination) again counted again.
    pub page_bytes: u64,
    /// Page and zero records sent (source) or received (destination).
    pub datagrams: u64,
    /// How many of these were sent again (source) or had arrived before (destination).
    pub repeated: u64,
    /// Acknowledgements received (source) or sent (destination).
    pub acknowledgements: u64,
    /// Datagrams that were dropped: of another move, not a record, or beyond the window.
    pub dropped: u64,
}
