//! What the fuzz targets did: `cargo xtask fuzz --json` counts it.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Trust;
use crate::metrics::{Bound, Metrics};

/// The figure's name, there and here.
const ID: &str = "trust.fuzz_executions_ci";
/// How many targets crashed.
const CRASHES: &str = "trust.fuzz_crashes";

/// Takes the count over.
pub(super) fn take(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    let path = &trust.fuzz;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let executions = executions(&text).with_context(|| path.display().to_string())?;
    metrics.bounded(ID, executions, Bound::AtLeast(2e6), "devices and decoder, no crash");
    Ok(())
}

/// Reads `{"metrics": {ID: number, …}}`, in which nothing may have crashed.
fn executions(text: &str) -> Result<f64> {
    let figures: Value = serde_json::from_str(text)?;
    let figure = |id: &str| figures["metrics"][id].as_f64().with_context(|| format!("no figure {id}"));
    let crashes = figure(CRASHES)?;
    ensure!(crashes == 0.0, "{crashes} fuzz targets crashed");
    figure(ID)
}

#[cfg(test)]
mod tests {
    use super::executions;

    #[test]
    fn the_count_is_read_and_never_made_up() {
        let text = r#"{"metrics": {"trust.fuzz_executions_ci": 2100000, "trust.fuzz_crashes": 0}}"#;
        assert_eq!(executions(text).unwrap(), 2_100_000.0);
        let without = [r#", "trust.fuzz_crashes": 0"#, r#""trust.fuzz_executions_ci": 2100000, "#];
        for text in without.map(|part| text.replace(part, "")) {
            assert!(executions(&text).is_err(), "{text}");
        }
        assert!(executions("").is_err());
        let crashed = text.replace("crashes\": 0", "crashes\": 1");
        assert!(executions(&crashed).unwrap_err().to_string().contains("1 fuzz targets crashed"));
    }
}
