//! The micro guests (`tests/guests/micro`): what they say, wherever they run, and trying all of them where one may bring its
//! machine down.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{host::RunningHost, spec::HostSpec};

/// How long a plain emulator may take for all trials that it is given at a time.
const PLAIN: Duration = Duration::from_secs(120);
/// Characters of trials that are asked for at a time: the guest keeps 512 bytes of its command line.
const MOST_ASKED: usize = 400;

/// What came of a trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, for this reason.
    Failed(String),
    /// It never came to a verdict: its machine ended in it, or was ended because it took too long.
    Unfinished,
}

impl Verdict {
    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed(_) => "FAILED",
            Self::Unfinished => "ENDED",
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
    /// Trials that the guest knows, where it was asked for them.
    pub listed: Vec<String>,
}

impl MicroRun {
    /// Understands the lines of a console; those of others are passed over.
    pub fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Self {
        let mut run = Self::default();
        for line in lines {
            let Some(said) = line.trim_end().strip_prefix("micro ") else { continue };
            if let Some(signature) = said.strip_prefix("begins, hypervisor '") {
                run.hypervisor = Some(signature.trim_end_matches('\'').to_owned());
                continue;
            }
            match said.split_once(' ') {
                Some((trial, "ok")) => run.trials.push((trial.to_owned(), Verdict::Passed)),
                Some(("list", trials)) if !trials.starts_with("FAILED") => {
                    run.listed.extend(trials.split_whitespace().map(str::to_owned));
                }
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

    /// What came of `trial`.
    pub fn verdict(&self, trial: &str) -> Option<&Verdict> {
        self.trials.iter().find(|(name, _)| name == trial).map(|(_, verdict)| verdict)
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
        let _ = machine.wait_exit(PLAIN);
        Ok(Self::read(machine.transcript().lines()))
    }
}

/// The trials that come to an end by themselves, as the micro guests `kernel` name them.
///
/// # Errors
/// They cannot be run, or know none.
pub fn micro_trials(kernel: &Path) -> Result<Vec<String>> {
    let mut trials = MicroRun::plain(kernel, "test=list")?.listed;
    if trials.is_empty() {
        trials = MicroRun::plain(kernel, "test=all")?.trials.into_iter().map(|(name, _)| name).collect();
    }
    ensure!(!trials.is_empty(), "{} knows no trials", kernel.display());
    Ok(trials)
}

/// Tries each of `trials` by `run`, which boots one machine with the command line that it is given. Many share a machine; where it
/// ends in one of them, the others go on in a new one.
///
/// # Errors
/// Those of `run`, or a machine on which the guest does not even begin.
pub fn try_each(
    trials: &[String],
    mut run: impl FnMut(&str) -> Result<MicroRun>,
) -> Result<BTreeMap<String, Verdict>> {
    let mut verdicts = BTreeMap::new();
    let mut left = trials;
    while let Some((first, rest)) = left.split_first() {
        let mut asked = format!("test={first}");
        for more in rest {
            if asked.len() + 1 + more.len() > MOST_ASKED {
                break;
            }
            asked = format!("{asked},{more}");
        }
        let said = run(&asked)?;
        if said.hypervisor.is_none() {
            bail!("the micro guests did not begin, asked for {asked}");
        }
        let together = asked.split(',').count();
        for trial in &left[..together] {
            left = &left[1..];
            let verdict = said.verdict(trial).cloned().unwrap_or(Verdict::Unfinished);
            let ended = verdict == Verdict::Unfinished;
            verdicts.insert(trial.clone(), verdict);
            if ended {
                break;
            }
        }
    }
    Ok(verdicts)
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
        assert_eq!(run.verdict("cpuid"), Some(&Verdict::Passed));
        assert_eq!(run.verdict("apic"), Some(&Verdict::Failed("no interrupt came: 0 ok".to_owned())));
        assert_eq!((run.trials.len(), run.verdict("msr")), (2, None));
        assert_eq!(MicroRun::read("micro list FAILED: there is no such trial".lines()).listed, [""; 0]);
    }

    #[test]
    fn those_after_the_end_of_a_machine_are_tried_in_another_one() {
        let trials = ["a", "crash", "b", "c"].map(str::to_owned);
        let mut asked = Vec::new();
        let verdicts = try_each(&trials, |words| {
            asked.push(words.to_owned());
            let names = words.trim_start_matches("test=").split(',');
            let said = names.take_while(|name| *name != "crash").map(|name| format!("micro {name} ok\n"));
            Ok(MicroRun::read(
                ["micro begins, hypervisor ''\n".to_owned()]
                    .into_iter()
                    .chain(said)
                    .collect::<String>()
                    .lines(),
            ))
        })
        .unwrap();
        assert_eq!(asked, ["test=a,crash,b,c", "test=b,c"]);
        let words: Vec<_> = trials.iter().map(|trial| verdicts[trial].word()).collect();
        assert_eq!(words, ["ok", "ENDED", "ok", "ok"]);
    }

    #[test]
    fn no_command_line_grows_too_long_and_each_trial_is_tried_once() {
        let trials: Vec<_> = (0..100).map(|number| format!("trial-{number}")).collect();
        let mut longest = 0;
        let mut tried = Vec::new();
        try_each(&trials, |words| {
            longest = longest.max(words.len());
            let names: Vec<_> = words.trim_start_matches("test=").split(',').map(str::to_owned).collect();
            tried.extend(names.iter().cloned());
            let trials = names.into_iter().map(|name| (name, Verdict::Passed)).collect();
            Ok(MicroRun { hypervisor: Some(String::new()), trials, listed: vec![] })
        })
        .unwrap();
        assert!(longest <= MOST_ASKED && tried == trials, "{longest} {tried:?}");
    }

    #[test]
    fn a_guest_that_does_not_begin_is_an_error() {
        let error = try_each(&["a".to_owned()], |_| Ok(MicroRun::default())).unwrap_err().to_string();
        assert!(error.contains("test=a"), "{error}");
    }
}
