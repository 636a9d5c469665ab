//! What is said about a run.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{hex, supervise::Crash, supervise::Outcome};
use crate::{Kind, Target};

/// The figure that counts executions of devices and the decoder.
pub const GUEST_EXECUTIONS: &str = "trust.fuzz_executions_ci";

/// One line about a target.
pub fn line(target: &Target, outcome: &Outcome) -> String {
    let seconds = outcome.elapsed.as_secs_f64();
    let rate = outcome.executions as f64 / seconds.max(1e-3);
    let verdict = match &outcome.crash {
        Some(_) => "CRASHED".to_owned(),
        None => format!("ok, the slowest {} us", outcome.slowest.microseconds),
    };
    format!(
        "{:<15} {:>10} executions {seconds:>7.1} s {rate:>9.0}/s  {verdict}",
        target.name, outcome.executions
    )
}

/// What a person needs to know of a crash.
pub fn crash(target: &Target, seed: u64, crash: &Crash) -> String {
    let name = target.name;
    let mut text =
        format!("{name} crashed: seed {seed}, execution {}: {}\n", crash.number, crash.death.cause);
    for words in crash.death.words.lines() {
        let _ = writeln!(text, "    {words}");
    }
    let _ = writeln!(text, "  its input, {} bytes of {}; to run it again:", crash.input.len(), crash.bytes);
    let _ = write!(text, "  cargo xtask fuzz --target {name} --input {}", hex::encode(&crash.input));
    text
}

/// Executions of what a running guest reaches with its own instructions, and of all.
pub fn sums(outcomes: &[(&Target, Outcome)]) -> (u64, u64) {
    let sum = |guest_only: bool| {
        let counted = outcomes.iter().filter(|(target, _)| !guest_only || target.kind == Kind::Guest);
        counted.map(|(_, outcome)| outcome.executions).sum()
    };
    (sum(true), sum(false))
}

/// The figures, as the benchmarks write theirs.
pub fn json(outcomes: &[(&Target, Outcome)]) -> String {
    let (guest, _) = sums(outcomes);
    let crashes = outcomes.iter().filter(|(_, outcome)| outcome.crash.is_some()).count();
    let mut metrics = Map::new();
    metrics.insert(GUEST_EXECUTIONS.to_owned(), Value::from(guest));
    metrics.insert("trust.fuzz_crashes".to_owned(), Value::from(crashes));
    for (target, outcome) in outcomes {
        let id = format!("trust.fuzz_executions.{}", target.name.replace('-', "_"));
        metrics.insert(id, Value::from(outcome.executions));
    }
    format!("{:#}\n", json!({ "metrics": metrics }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{harness::worker::Slowest, targets};

    #[test]
    fn only_what_a_guest_reaches_counts_for_the_figure() {
        let outcome = Outcome {
            executions: 10,
            elapsed: Duration::from_secs(1),
            slowest: Slowest::default(),
            crash: None,
        };
        let outcomes: Vec<_> = targets::all().map(|target| (target, outcome.clone())).collect();
        let guest = targets::all().filter(|target| target.kind == Kind::Guest).count() as u64;
        assert!(guest > 0 && guest < outcomes.len() as u64);
        let json: Value = serde_json::from_str(&json(&outcomes)).expect("it is JSON");
        assert_eq!(json["metrics"][GUEST_EXECUTIONS], 10 * guest);
        assert_eq!(json["metrics"]["trust.fuzz_executions.board_restore"], 10);
        assert_eq!(json["metrics"]["trust.fuzz_crashes"], 0);
    }
}
