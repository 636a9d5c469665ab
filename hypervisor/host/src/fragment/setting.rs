//! How fragmented, and which of the many ways.

use core::fmt;

/// What `fragment PERCENT SEED` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentSetting {
    /// Share of the free 2 MiB blocks that are broken up, 1 to 100.
    pub percent: u8,
    /// Chooses which blocks and which frames in them; the same seed on the same memory chooses the same.
    pub seed: u64,
}

impl FragmentSetting {
    /// The setting written as two words, or `None` where a number is malformed or out of its bounds.
    ///
    /// The percentage is decimal, the seed decimal or, after `0x`, hexadecimal.
    pub fn from_words(percent: &str, seed: &str) -> Option<Self> {
        let percent = percent.strip_suffix('%').unwrap_or(percent);
        let percent = parse_u64(percent).and_then(|value| u8::try_from(value).ok())?;
        (1..=100).contains(&percent).then_some(())?;
        Some(Self { percent, seed: parse_u64(seed)? })
    }

    /// The setting written as `PERCENT:SEED`, as on the command line.
    pub fn from_pair(text: &str) -> Option<Self> {
        let (percent, seed) = text.split_once(':')?;
        Self::from_words(percent, seed)
    }
}

impl fmt::Display for FragmentSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % with seed {}", self.percent, self.seed)
    }
}

/// An unsigned number: decimal digits, or `0x` and hexadecimal digits; no sign, no spaces.
fn parse_u64(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would let a plus sign pass.
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::FragmentSetting;

    #[test]
    fn settings_are_read_from_either_form() {
        let sixty = Some(FragmentSetting { percent: 60, seed: 7 });
        assert_eq!(FragmentSetting::from_pair("60:7"), sixty);
        assert_eq!(FragmentSetting::from_pair("60%:0x7"), sixty);
        assert_eq!(FragmentSetting::from_words("60", "7"), sixty);
        let widest = FragmentSetting::from_words("100", "0xffffffffffffffff");
        assert_eq!(widest, Some(FragmentSetting { percent: 100, seed: u64::MAX }));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            ":",
            "60",
            "60:",
            ":7",
            "0:7",
            "101:7",
            "316:7",
            "60:7:8",
            "+60:7",
            "60:+7",
            "60:-7",
            "60: 7",
            "60:0x",
            "60:18446744073709551616",
        ] {
            assert_eq!(FragmentSetting::from_pair(bad), None, "{bad:?}");
        }
    }
}
