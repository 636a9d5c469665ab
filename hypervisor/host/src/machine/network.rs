//! A network adapter as the host drives it.

use godwit_frames::FrameRun;

/// Bytes of a frame that may be given as its header at most: a control packet is all header.
pub const MAX_HEADER_BYTES: usize = 1536;

/// Pieces that a frame's body may have at most: 64 KiB of single frames that begin and end inside one, and one to spare.
pub const MAX_PIECES: usize = 18;

/// A piece of a packet's body: bytes of a frame run, read by the device itself.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'r> {
    /// The run.
    pub run: &'r FrameRun,
    /// Where in it the piece begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u32,
}

/// Why a frame was not taken for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransmitError {
    /// The device has no room now; try again after it sent some.
    Full,
    /// It is longer than the link allows, or has more pieces than the device takes.
    TooLong,
    /// A piece lies outside its run.
    OutsideRun,
    /// The device broke its own rules and was stopped.
    Broken,
}

/// What went through an adapter since boot. Bytes are those of Ethernet frames without preamble and checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetworkCounters {
    /// Frames sent.
    pub frames_sent: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
}

/// One Ethernet adapter. Only the CPU that serves the network calls it; an arriving frame ends that CPU's idling.
pub trait NetworkDevice: Sync {
    /// Its hardware address.
    fn mac(&self) -> [u8; 6];

    /// Bytes of Ethernet payload (an IP packet) at most: as the device says, up to 65535, or 1500 where it says nothing.
    fn mtu(&self) -> u32;

    /// Queues one Ethernet frame: `header` (with the Ethernet header; copied, [`MAX_HEADER_BYTES`] at most) and then the bytes
    /// of `body` ([`MAX_PIECES`] at most), which the device gathers from memory while [`unfinished`](Self::unfinished) counts the frame. It goes out at the latest with
    /// the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// [`TransmitError`]; nothing was queued.
    fn transmit(&self, header: &[u8], body: &[Piece<'_>]) -> Result<(), TransmitError>;

    /// Tells the device about everything queued.
    fn flush(&self);

    /// Queued frames whose bytes the device may still read. No run that was in one may be freed before it is 0.
    fn unfinished(&self) -> usize;

    /// Shows the oldest received frame to `serve` and gives its buffer back; `false` where there is none. Only who was told
    /// that there is none is woken by the next.
    fn receive(&self, serve: &mut dyn FnMut(&[u8])) -> bool;

    /// What went through so far.
    fn counters(&self) -> NetworkCounters;
}
