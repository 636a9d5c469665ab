//! What became of frames.

/// Counts since the network was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Page datagrams sent.
    pub pages_sent: u64,
    /// Bytes in them, after the UDP header.
    pub page_bytes_sent: u64,
    /// Page datagrams received.
    pub pages_received: u64,
    /// Bytes in them, after the UDP header.
    pub page_bytes_received: u64,
    /// Frames received that are cut, say lengths that do not fit, have a wrong checksum, or are fragments.
    pub malformed: u64,
    /// Frames received that are for others, or too long to be control traffic.
    pub unwanted: u64,
    /// Control frames that could not be sent: the adapter was full or stopped.
    pub unsent: u64,
}
