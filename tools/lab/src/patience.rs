//! How much longer than usual a slow machine may take.

use std::{env, time::Duration};

use anyhow::{Result, bail};

/// Multiplies every deadline; 1 where a machine is as fast as the ones the deadlines were chosen on.
const VARIABLE: &str = "GODWIT_TIME_SCALE";

/// A factor on every deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(f64);

impl Patience {
    /// The factor that `GODWIT_TIME_SCALE` asks for, 1 where it is not set.
    pub(crate) fn from_environment() -> Result<Self> {
        match env::var(VARIABLE) {
            Ok(text) => Self::parse(&text),
            Err(env::VarError::NotPresent) => Ok(Self(1.0)),
            Err(error) => bail!("{VARIABLE}: {error}"),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text.trim().parse::<f64>() {
            Ok(factor) if (0.01..=1000.0).contains(&factor) => Ok(Self(factor)),
            _ => bail!("{VARIABLE} is `{text}`: expected a factor between 0.01 and 1000, such as 2.5"),
        }
    }

    /// `duration` on this machine.
    pub(crate) fn scale(self, duration: Duration) -> Duration {
        duration.mul_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_durations() {
        let patience = Patience::parse(" 2.5 ").unwrap();
        assert_eq!(patience.scale(Duration::from_secs(2)), Duration::from_secs(5));
    }

    #[test]
    fn refuses_what_is_no_sensible_factor() {
        for text in ["", "fast", "0", "-1", "NaN", "inf", "1e9"] {
            let error = Patience::parse(text).unwrap_err().to_string();
            assert!(error.contains("GODWIT_TIME_SCALE") && error.contains("between"), "{text}: {error}");
        }
    }
}
