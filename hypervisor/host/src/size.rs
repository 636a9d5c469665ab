//! Amounts of memory as people read them.

use core::fmt;

use godwit_frames::FRAME_BYTES;

/// A number of bytes, shown in the largest binary unit that keeps it at or above 1, such as `636 KiB` or `15.5 GiB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    bytes: u64,
}

impl Size {
    /// `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// `frames` frames of 4 KiB, saturating.
    pub const fn from_frames(frames: u64) -> Self {
        Self { bytes: frames.saturating_mul(FRAME_BYTES) }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let power = if self.bytes == 0 { 0 } else { self.bytes.ilog2() / 10 };
        let unit = UNITS.get(power as usize).copied().unwrap_or("B");
        let scale = 1u64 << (10 * power);
        let whole = self.bytes / scale;
        // Tenths are cut, not rounded: a host never claims memory that it does not have.
        let tenths = (u128::from(self.bytes % scale) * 10 / u128::from(scale)) as u8;
        let text = if tenths == 0 {
            format_args!("{whole} {unit}")
        } else {
            format_args!("{whole}.{tenths} {unit}")
        };
        match f.width() {
            None => f.write_fmt(text),
            Some(width) => {
                let mut short = arrayvec::ArrayString::<16>::new();
                fmt::write(&mut short, text)?;
                write!(f, "{short:>width$}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_keep_one_decimal_and_never_round_up() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (636 << 10, "636 KiB"),
            ((16 << 30) - 1, "15.9 GiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(Size::from_bytes(bytes).to_string(), expected);
        }
        assert_eq!(Size::from_frames(512).to_string(), "2 MiB");
        assert_eq!(Size::from_frames(u64::MAX).to_string(), "15.9 EiB");
        assert_eq!(format!("{:>9}|", Size::from_frames(1)), "    4 KiB|");
    }
}
