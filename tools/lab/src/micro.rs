//! The micro guests (`tests/guests/micro`): what they say, wherever they run.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{host::RunningHost, spec::HostSpec};

/// How long a plain emulator may take.
const PLAIN: Duration = Duration::from_secs(120);
/// Behind the name of a trial for several CPUs.
const SEVERAL: &str = " on several CPUs";
/// Characters of trials that are asked for at a time: the guest keeps 512 bytes of its command line.
const MOST_ASKED: usize = 480;

/// What came of a trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, for this reason.
    Failed(String),
    /// It never came to a verdict: its machine ended in it, or was ended because it took too long. How that was.
    Unfinished(String),
}

impl Verdict {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        *self == Self::Passed
    }

    /// Why it did not pass.
    pub fn why(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(why) | Self::Unfinished(why) => why,
        }
    }

    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed(_) => "FAILED",
            Self::Unfinished(_) => "ENDED",
        }
    }
}

/// What the trials of one machine came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MicroRun {
    /// The hypervisor's signature as the guest read it; `None` where the guest did not even begin.
    pub hypervisor: Option<String>,
    /// Trials that came to a verdict, in their order.
    pub trials: Vec<(String, Verdict)>,
    /// Trials that come to an end by themselves, where the guest was asked for them.
    pub listed: Vec<String>,
    /// The same of those that need several CPUs.
    pub listed_of_several_cpus: Vec<String>,
    /// Every line of the guest's.
    pub said: Vec<String>,
    /// How it ended, where it or whoever ran it knows.
    pub ended: String,
}

impl MicroRun {
    /// Understands the lines of a console; those of others are passed over.
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut run = Self::default();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let Some(said) = line.trim_end().strip_prefix("micro ") else { continue };
            run.said.push(said.to_owned());
            if let Some(signature) = said.strip_prefix("begins, hypervisor '") {
                run.hypervisor = Some(signature.trim_end_matches('\'').to_owned());
                continue;
            }
            if said.starts_with("panic") {
                // What it was is on the line behind the place.
                run.ended = format!("{said} {}", lines.next().unwrap_or_default().trim_end());
                continue;
            }
            match said.split_once(' ') {
                Some((trial, "ok")) => run.trials.push((trial.to_owned(), Verdict::Passed)),
                Some(("has", trial)) if trial.ends_with(SEVERAL) => {
                    run.listed_of_several_cpus.push(trial.trim_end_matches(SEVERAL).to_owned());
                }
                // Behind the name of one that never ends there is more.
                Some(("has", trial)) if !trial.contains(' ') => run.listed.push(trial.to_owned()),
                Some((trial, why)) => {
                    if let Some(why) = why.strip_prefix("FAILED: ") {
                        run.trials.push((trial.to_owned(), Verdict::Failed(why.to_owned())));
                    }
                }
                None => {}
            }
        }
        run
    }

    /// Takes note of how its machine ended; the guest's own word comes first.
    #[must_use]
    pub fn or_ended(mut self, how: &str) -> Self {
        if self.ended.is_empty() {
            how.clone_into(&mut self.ended);
        }
        self
    }

    /// What came of `trial`, which it was asked for.
    pub fn verdict(&self, trial: &str) -> Verdict {
        let found = self.trials.iter().find(|(name, _)| name == trial);
        found.map_or_else(|| Verdict::Unfinished(self.ended.clone()), |(_, verdict)| verdict.clone())
    }

    /// Runs the micro guests `kernel` on a plain emulator with this command line, without any hypervisor.
    ///
    /// # Errors
    /// The emulator does not start. A guest that does not come to an end is no error: what it said until then counts.
    pub fn plain(kernel: &Path, words: &str) -> Result<Self> {
        let command_line = words.split_whitespace().map(str::to_owned).collect();
        let spec = HostSpec { command_line, ..HostSpec::new("micro", kernel)? };
        let mut machine = RunningHost::start(&spec)?;
        // Either way the transcript says how far it came.
        let exit = machine.wait_exit(PLAIN);
        let ended = exit
            .map_or_else(|_| format!("did not end within {PLAIN:?}"), |exit| format!("{:?}", exit.reason));
        Ok(Self::read(machine.transcript().lines()).or_ended(&ended))
    }
}

/// The trials that come to an end by themselves, as the micro guests `kernel` name them.
///
/// # Errors
/// They cannot be run, or know none.
pub fn micro_trials(kernel: &Path) -> Result<Vec<String>> {
    let trials = MicroRun::plain(kernel, "test=list")?.listed;
    ensure!(!trials.is_empty(), "{} knows no trials", kernel.display());
    Ok(trials)
}

/// As [`micro_trials`], those that need several CPUs: `test=smp` runs them.
///
/// # Errors
/// As [`micro_trials`].
pub fn micro_trials_of_several_cpus(kernel: &Path) -> Result<Vec<String>> {
    let trials = MicroRun::plain(kernel, "test=list")?.listed_of_several_cpus;
    ensure!(!trials.is_empty(), "{} knows no trials for several CPUs", kernel.display());
    Ok(trials)
}

/// Tries each of `trials` by `run`, which boots one machine with the command line that it is given. Many share a machine, and one
/// that does not pass there is tried again in a machine of its own: what it says alone counts.
///
/// # Errors
/// Those of `run`, or a machine on which the guest does not even begin.
pub fn try_each(
    trials: &[String],
    mut run: impl FnMut(&str) -> Result<MicroRun>,
) -> Result<BTreeMap<String, Verdict>> {
    let mut run = |asked: &[String]| {
        let words = format!("test={}", asked.join(","));
        let said = run(&words)?;
        if said.hypervisor.is_none() {
            bail!("the micro guests did not begin, asked for {words}: {}", said.ended);
        }
        Ok(said)
    };
    let mut verdicts = BTreeMap::new();
    let mut left = trials;
    while !left.is_empty() {
        let (together, rest) = left.split_at(fitting(left));
        left = rest;
        let said = run(together)?;
        for trial in together {
            let mut verdict = said.verdict(trial);
            if !verdict.passed() && together.len() > 1 {
                verdict = run(std::slice::from_ref(trial))?.verdict(trial);
            }
            verdicts.insert(trial.clone(), verdict);
        }
    }
    Ok(verdicts)
}

/// How many of `trials` one command line takes, at least one.
fn fitting(trials: &[String]) -> usize {
    let lengths = trials.iter().scan(0, |length, trial| {
        *length += trial.len() + 1;
        Some(*length)
    });
    lengths.take_while(|length| *length <= MOST_ASKED).count().clamp(1, trials.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_verdicts_and_passes_over_the_rest() {
        let text = "micro begins, hypervisor 'KVMKVMKVM'\r\nmicro msr found: 3 ok\nmicro cpuid ok\r\n\
            micro clock figure=clock_us_in_50_ms 50001\nmicro apic FAILED: no interrupt came: 0 ok\n[ 1.0] micro x ok\n\
            micro done: 1 ok, 1 failed\n";
        let run = MicroRun::read(text.lines());
        assert_eq!(run.hypervisor.as_deref(), Some("KVMKVMKVM"));
        assert_eq!(run.verdict("cpuid"), Verdict::Passed);
        assert_eq!(run.verdict("apic"), Verdict::Failed("no interrupt came: 0 ok".to_owned()));
        assert_eq!((run.trials.len(), run.verdict("msr").word()), (2, "ENDED"));
        let panicked = MicroRun::read("micro panic: panicked at faults.rs:64:5:\nexception 6\n".lines());
        let panicked = panicked.or_ended("the machine was switched off").verdict("msr");
        assert_eq!(panicked.why(), "panic: panicked at faults.rs:64:5: exception 6");
        let listed = MicroRun::read(
            "micro has a-b\nmicro has spin without end\nmicro has c on several CPUs\nmicro has d on several CPUs without end\n\
            micro done: 0 ok"
                .lines(),
        );
        assert_eq!((listed.listed, listed.listed_of_several_cpus), (vec!["a-b".into()], vec!["c".into()]));
    }

    #[test]
    fn one_that_fails_in_company_is_tried_alone() {
        let trials = ["a", "crash", "b", "c"].map(str::to_owned);
        let mut asked = Vec::new();
        let verdicts = try_each(&trials, |words| {
            asked.push(words.to_owned());
            let names = words.trim_start_matches("test=").split(',');
            let passed = names.take_while(|name| *name != "crash").map(|name| format!("micro {name} ok\n"));
            let text: String =
                ["micro begins, hypervisor ''\n".to_owned()].into_iter().chain(passed).collect();
            Ok(MicroRun::read(text.lines()).or_ended("reset"))
        })
        .unwrap();
        assert_eq!(asked, ["test=a,crash,b,c", "test=crash", "test=b", "test=c"]);
        let words: Vec<_> = trials.iter().map(|trial| verdicts[trial].word()).collect();
        assert_eq!((words, verdicts["crash"].why()), (vec!["ok", "ENDED", "ok", "ok"], "reset"));
    }

    #[test]
    fn no_command_line_grows_too_long_and_each_trial_is_tried_once() {
        let trials: Vec<_> = (0..100).map(|number| format!("trial-{number}")).collect();
        let (mut longest, mut tried) = (0, Vec::new());
        try_each(&trials, |words| {
            longest = longest.max(words.len());
            let names: Vec<_> = words.trim_start_matches("test=").split(',').map(str::to_owned).collect();
            tried.extend(names.iter().cloned());
            let trials = names.into_iter().map(|name| (name, Verdict::Passed)).collect();
            Ok(MicroRun { hypervisor: Some(String::new()), trials, ..MicroRun::default() })
        })
        .unwrap();
        assert!(longest < 512 && tried == trials, "{longest} {tried:?}");
        assert_eq!(fitting(&["x".repeat(600)]), 1);
    }

    #[test]
    fn a_guest_that_does_not_begin_is_an_error() {
        let error = try_each(&["a".to_owned()], |_| Ok(MicroRun::default())).unwrap_err().to_string();
        assert!(error.contains("test=a"), "{error}");
    }
}
