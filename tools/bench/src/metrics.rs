//! Figures, their bounds, and how they are shown.

use std::fmt;

/// What a figure must reach.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Bound {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// Nothing: the figure is shown for comparison.
    None,
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::None => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => f.pad(&format!(">= {}", figure(*least))),
            Self::AtMost(most) => f.pad(&format!("<= {}", figure(*most))),
            Self::None => f.pad(""),
        }
    }
}

/// One figure.
struct Metric {
    id: String,
    value: f64,
    bound: Bound,
    what: String,
}

/// All figures of a run, in the order they were taken.
#[derive(Default)]
pub(crate) struct Metrics(Vec<Metric>);

impl Metrics {
    /// Adds a figure that must reach a bound.
    pub(crate) fn bounded(&mut self, id: &str, value: f64, bound: Bound, what: &str) {
        self.0.push(Metric { id: id.to_owned(), value, bound, what: what.to_owned() });
    }

    /// Adds a figure for comparison.
    pub(crate) fn shown(&mut self, id: impl Into<String>, value: f64, what: impl Into<String>) {
        self.0.push(Metric { id: id.into(), value, bound: Bound::None, what: what.into() });
    }

    /// A line for each figure that misses its bound.
    pub(crate) fn missed(&self) -> Vec<String> {
        // Not a number holds no bound: it is a figure that could not be taken.
        let missed = self.0.iter().filter(|metric| !metric.bound.holds(metric.value));
        missed
            .map(|metric| format!("{} is {}, must be {}", metric.id, figure(metric.value), metric.bound))
            .collect()
    }

    /// `{"metrics": {id: number}}`.
    pub(crate) fn to_json(&self) -> String {
        let metrics = self.0.iter().map(|metric| (metric.id.clone(), metric.value.into()));
        let metrics: serde_json::Map<String, serde_json::Value> = metrics.collect();
        format!("{:#}\n", serde_json::json!({ "metrics": metrics }))
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|metric| metric.id.len()).max().unwrap_or(0);
        for Metric { id, value, bound, what } in &self.0 {
            let verdict = match bound {
                Bound::None => "",
                bound if bound.holds(*value) => "ok",
                _ => "MISSED",
            };
            writeln!(f, "{id:width$}  {:>9}  {bound:9} {verdict:6}  {what}", figure(*value))?;
        }
        Ok(())
    }
}

/// A number as people read it: whole ones whole, others with four digits that say something.
fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size.fract() == 0.0 || size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 0.1 => 3,
        _ => 5,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missed_bounds_are_named() {
        let mut metrics = Metrics::default();
        metrics.bounded("a.kept", 0.2, Bound::AtMost(0.2), "");
        metrics.bounded("a.missed", 949.0, Bound::AtLeast(950.0), "");
        metrics.bounded("a.not_taken", f64::NAN, Bound::AtMost(1.0), "");
        metrics.shown("a.shown", 7.0, "");
        let missed = metrics.missed();
        assert_eq!(missed[0], "a.missed is 949, must be >= 950");
        assert!(missed[1].starts_with("a.not_taken is NaN"));
        assert_eq!(missed.len(), 2);
    }

    #[test]
    fn json_holds_every_figure_under_its_id() {
        let mut metrics = Metrics::default();
        metrics.bounded("a.ratio", 0.25, Bound::AtMost(1.0), "");
        metrics.shown("a.ns", 3.0, "");
        let json: serde_json::Value = serde_json::from_str(&metrics.to_json()).unwrap();
        assert_eq!(json["metrics"]["a.ratio"], 0.25);
        assert_eq!(json["metrics"]["a.ns"], 3.0);
    }

    #[test]
    fn figures_keep_the_digits_that_matter() {
        assert_eq!(
            [1024.0, 123.456, 12.3456, 0.98765, 0.00391].map(figure),
            ["1024", "123.5", "12.35", "0.988", "0.00391"]
        );
    }
}
