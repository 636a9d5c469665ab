//! The micro guests (`tests/guests/micro`): what they say, wherever they run.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use crate::{host::RunningHost, spec::HostSpec};

/// How long a plain emulator may take.
const PLAIN: Duration = Duration::from_secs(120);

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
    /// Trials that the guest knows, where it was asked for them.
    pub listed: Vec<String>,
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
    let mut trials = MicroRun::plain(kernel, "test=list")?.listed;
    if trials.is_empty() {
        trials = MicroRun::plain(kernel, "test=all")?.trials.into_iter().map(|(name, _)| name).collect();
    }
    ensure!(!trials.is_empty(), "{} knows no trials", kernel.display());
    Ok(trials)
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
        assert_eq!(MicroRun::read("micro list FAILED: there is no such trial".lines()).listed, [""; 0]);
    }
}
