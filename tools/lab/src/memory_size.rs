//! An amount of memory as people write it.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, bail};

/// A whole number of MiB, at least one; written `128MiB` or `16GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MemorySize {
    mib: u64,
}

impl MemorySize {
    /// The largest amount: 1 TiB, the end of 40-bit physical addresses.
    pub const MAX: Self = Self { mib: 1 << 20 };

    /// `mib` MiB.
    ///
    /// # Errors
    /// Zero, or more than [`MemorySize::MAX`].
    pub fn from_mib(mib: u64) -> Result<Self> {
        if !(1..=Self::MAX.mib).contains(&mib) {
            bail!("memory of {mib} MiB: expected 1 MiB to {}", Self::MAX);
        }
        Ok(Self { mib })
    }

    /// The amount in MiB.
    pub const fn mib(self) -> u64 {
        self.mib
    }
}

impl FromStr for MemorySize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (digits, mib_per_unit) = if let Some(digits) = text.strip_suffix("GiB") {
            (digits, 1024)
        } else if let Some(digits) = text.strip_suffix("MiB") {
            (digits, 1)
        } else {
            bail!("memory `{text}`: expected a whole number of MiB or GiB, such as `128MiB` or `16GiB`");
        };
        let units: u64 = digits
            .trim_end()
            .parse()
            .with_context(|| format!("memory `{text}`: `{digits}` is no whole number"))?;
        Self::from_mib(units.saturating_mul(mib_per_unit))
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mib {
            mib if mib.is_multiple_of(1024) => write!(f, "{} GiB", mib / 1024),
            mib => write!(f, "{mib} MiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mib_and_gib() {
        for (text, mib) in [("128MiB", 128), ("1GiB", 1024), ("16 GiB", 16384), ("1024GiB", 1 << 20)] {
            assert_eq!(text.parse::<MemorySize>().unwrap().mib(), mib, "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_and_names_it() {
        for text in
            ["", "1", "1G", "1gib", "0MiB", "-1GiB", "1.5GiB", "GiB", "1025GiB", "99999999999999999GiB"]
        {
            let error = format!("{:#}", text.parse::<MemorySize>().unwrap_err());
            assert!(error.contains("memory"), "{text}: {error}");
        }
    }
}
