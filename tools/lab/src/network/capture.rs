//! Writes what crosses a switch to a file that packet analysers read.
//!
//! The format is classic pcap with nanoseconds: a header of 24 bytes, then records of 16 bytes and the frame, all
//! little-endian (draft-ietf-opsawg-pcap, sections 4 and 5).

use std::{
    io::{self, Write},
    time::Duration,
};

use super::MAX_FRAME_BYTES;

/// Says: little-endian, fractions of a second in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const VERSION_MAJOR: u16 = 2;
const VERSION_MINOR: u16 = 4;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;

/// A capture being written. Nothing more is written after the first error, which [`Capture::finish`] returns.
#[derive(Debug)]
pub(super) struct Capture<W: Write> {
    to: W,
    failed: Option<io::Error>,
}

impl<W: Write> Capture<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// The header cannot be written.
    pub(super) fn new(mut to: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC.to_le_bytes());
        header.extend(VERSION_MAJOR.to_le_bytes());
        header.extend(VERSION_MINOR.to_le_bytes());
        // Two fields that are always zero: a time zone and an accuracy that nobody fills in.
        header.extend([0; 8]);
        header.extend((MAX_FRAME_BYTES as u32).to_le_bytes());
        header.extend(ETHERNET.to_le_bytes());
        to.write_all(&header)?;
        Ok(Self { to, failed: None })
    }

    /// Adds one frame, seen `at` this time after the epoch.
    pub(super) fn record(&mut self, at: Duration, frame: &[u8]) {
        if self.failed.is_none()
            && let Err(error) = self.write(at, frame)
        {
            self.failed = Some(error);
        }
    }

    fn write(&mut self, at: Duration, frame: &[u8]) -> io::Result<()> {
        let bytes = frame.len() as u32;
        // The field has 32 bits: it wraps in 2106.
        let fields = [at.as_secs() as u32, at.subsec_nanos(), bytes, bytes];
        for field in fields {
            self.to.write_all(&field.to_le_bytes())?;
        }
        self.to.write_all(frame)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// The first thing that could not be written, now or before.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.to.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_analysers_read() {
        let mut file = Vec::new();
        let mut capture = Capture::new(&mut file).unwrap();
        capture.record(Duration::new(0x0102_0304, 0x0506), b"frame");
        capture.finish().unwrap();
        assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(file[16..24], [0x0e, 0, 1, 0, 1, 0, 0, 0]);
        assert_eq!(file[24..40], [4, 3, 2, 1, 6, 5, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(&file[40..], b"frame");
    }

    /// A disk with room for so many bytes.
    struct SmallDisk(usize);

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_said_at_the_end() {
        let mut capture = Capture::new(SmallDisk(24 + 16 + 5)).unwrap();
        capture.record(Duration::ZERO, b"first");
        capture.record(Duration::ZERO, b"second");
        assert_eq!(capture.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
