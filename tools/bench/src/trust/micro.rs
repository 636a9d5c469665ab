//! The micro guests under Godwit, each in a guest of its own.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use godwit_lab::{HostSpec, MicroRun, RunningHost, Verdict, micro_trials};

use super::{HOST_CPUS, Trust};
use crate::{
    guests::{bed, progress},
    metrics::{Bound, Metrics},
};

/// What each trial came to.
pub(super) type Verdicts = BTreeMap<String, Verdict>;

/// How long one trial may take.
const TRIAL: Duration = Duration::from_secs(60);
/// Has the host do without what only some processors have.
const FORCED_OFF: &str = "godwit.svm_without=nrip,decode-assists,flush-by-asid,clean-bits";

/// Counts the trials, and those that fail on the processor as it is found or as the plainest one with SVM.
pub(super) fn take(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    let as_found = as_found(trust)?;
    let forced_off = under_godwit(trust, &[FORCED_OFF])?;
    let mut failed = 0;
    for (trial, verdict) in &as_found {
        let runs = [("as found", verdict), ("forced off", &forced_off[trial])];
        let bad: Vec<_> = runs.iter().filter(|(_, verdict)| !verdict.passed()).collect();
        failed += usize::from(!bad.is_empty());
        for (processor, verdict) in bad {
            progress(format_args!("  {trial}, processor {processor}: {} {}", verdict.word(), verdict.why()));
        }
    }
    metrics.bounded("trust.microguests", as_found.len() as f64, Bound::AtLeast(50.0), "trials, each a guest");
    metrics.bounded(
        "trust.microguests_failed",
        failed as f64,
        Bound::AtMost(0.0),
        "SVM features as found and forced off",
    );
    Ok(())
}

/// What each trial says on the processor as it is found; it is run once.
pub(super) fn as_found(trust: &mut Trust) -> Result<Verdicts> {
    if let Some(found) = &trust.as_found {
        return Ok(found.clone());
    }
    let found = under_godwit(trust, &[])?;
    trust.as_found = Some(found.clone());
    Ok(found)
}

/// Runs each trial in its turn on one host with these words.
fn under_godwit(trust: &Trust, words: &[&str]) -> Result<Verdicts> {
    let trials = micro_trials(&trust.micro)?;
    progress(format_args!("{} micro guests under Godwit {}", trials.len(), words.join(" ")));
    let spec = HostSpec {
        cpus: HOST_CPUS,
        module: Some(trust.micro_bundle.clone()),
        command_line: words.iter().map(|&word| word.to_owned()).collect(),
        ..bed::spec(&trust.files, "trust", "256MiB")?
    };
    let host = RunningHost::start(&spec)?;
    let banner = host.wait_ready(bed::BOOT)?;
    // A host that does not know a word goes on without it, and what it finds says nothing.
    ensure!(!banner.contains("command line byte "), "the host does not take {words:?}:\n{banner}");
    let tried = trials.iter().enumerate();
    tried
        .map(|(place, trial)| Ok((trial.clone(), try_one(&host, &format!("trial-{place}"), trial)?)))
        .collect()
}

/// Runs one trial in its guest.
fn try_one(host: &RunningHost, guest: &str, trial: &str) -> Result<Verdict> {
    bed::start_guest(host, guest)?;
    host.type_line(&format!("console {guest}"))?;
    host.expect_line("the console", |line| line.starts_with(&format!("console of {guest}; ")), bed::ANSWER)?;
    let off = format!("{guest}: it switched itself off");
    let stopped = format!("guest {guest} stopped");
    match host.expect_line("the end of the trial", |line| line == off || line.contains(&stopped), TRIAL) {
        Ok(end) => {
            let verdict = MicroRun::read(end.before.lines()).or_ended(&end.text).verdict(trial);
            if end.text == off {
                host.wait_prompt(bed::ANSWER)?;
            } else {
                bed::leave_console(host)?;
                bed::stop_guest(host, guest)?;
            }
            Ok(verdict)
        }
        Err(error) => {
            // Where the host itself is gone, leaving says so.
            progress(format_args!("  {error:#}"));
            bed::leave_console(host)?;
            bed::stop_guest(host, guest)?;
            Ok(Verdict::Unfinished(format!("did not end within {TRIAL:?}")))
        }
    }
}
