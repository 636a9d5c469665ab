//! The micro guests under Linux KVM and in plain QEMU, as second and third opinions.

use std::collections::BTreeMap;

use anyhow::Result;
use godwit_lab::{MicroRun, Verdict, try_each};

use super::{
    Trust,
    differences::{Difference, Elsewhere, KNOWN},
    micro::{self, Verdicts},
};
use crate::{
    guests::{progress, speed},
    metrics::{Bound, Metrics},
};

/// Runs every trial in all three places, shows what each said, and counts where they differ without a known reason, and reasons
/// that no longer hold.
pub(super) fn take(trust: &mut Trust, metrics: &mut Metrics) -> Result<()> {
    let godwit = micro::as_found(trust)?;
    progress(format_args!("the same micro guests in plain QEMU, and under KVM"));
    let peer = speed::start_peer(&trust.files, 1)?;
    let trials: Vec<_> = godwit.keys().cloned().collect();
    let runs = [
        (Elsewhere::Kvm, try_each(&trials, |words| peer.micro(words))?),
        (Elsewhere::Plain, try_each(&trials, |words| MicroRun::plain(&trust.micro, words))?),
    ];
    let others: Others = runs
        .into_iter()
        .flat_map(|(elsewhere, run)| {
            run.into_iter().map(move |(trial, verdict)| ((elsewhere, trial), verdict))
        })
        .collect();
    show(&godwit, &others);
    let problems = compare(&godwit, &others, KNOWN);
    problems.iter().for_each(|problem| progress(format_args!("  {problem}")));
    metrics.bounded(
        "trust.microguests_disagreements",
        problems.len() as f64,
        Bound::AtMost(0.0),
        "with KVM and plain QEMU, unexplained",
    );
    metrics.shown(
        "trust.microguests_explained",
        KNOWN.len() as f64,
        "known differences, each with its reason",
    );
    Ok(())
}

type Others = BTreeMap<(Elsewhere, String), Verdict>;

/// A line for each trial.
fn show(godwit: &Verdicts, others: &Others) {
    let width = godwit.keys().map(String::len).max().unwrap_or(0);
    progress(format_args!("  {:width$}  Godwit  KVM     plain QEMU", ""));
    for (trial, verdict) in godwit {
        let word = |elsewhere| others.get(&(elsewhere, trial.clone())).map_or("-", Verdict::word);
        let (kvm, plain) = (word(Elsewhere::Kvm), word(Elsewhere::Plain));
        progress(format_args!("  {trial:width$}  {:7} {kvm:7} {plain}", verdict.word()));
    }
}

/// What nobody has explained, and explanations of what is not so.
fn compare(godwit: &Verdicts, others: &Others, known: &[Difference]) -> Vec<String> {
    let mut problems = Vec::new();
    let reason = |elsewhere: Elsewhere, trial: &str| {
        known.iter().find(|known| (known.elsewhere, known.trial) == (elsewhere, trial))
    };
    for ((elsewhere, trial), verdict) in others {
        let here = godwit.get(trial);
        // Why it failed may be told in other words; whether it passed may not differ.
        let differs = here.map(Verdict::word) != Some(verdict.word());
        let why_here = here.map_or("", Verdict::why);
        let here = here.map_or("nothing", Verdict::word);
        match reason(*elsewhere, trial) {
            None if differs => problems.push(format!(
                "{trial}: {here} under Godwit, {} in {elsewhere}: {}{why_here}",
                verdict.word(),
                verdict.why()
            )),
            Some(known) if !differs => problems.push(format!(
                "{trial}: {here} under Godwit and in {elsewhere} alike, yet it is said to differ: {}",
                known.why
            )),
            _ => {}
        }
    }
    for known in known.iter().filter(|known| !others.contains_key(&(known.elsewhere, known.trial.to_owned())))
    {
        problems.push(format!(
            "{}: said to differ in {}, and there is no such trial",
            known.trial, known.elsewhere
        ));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Verdict {
        Verdict::Failed("why".to_owned())
    }

    fn compared(kvm: Verdict, known: &[Difference]) -> Vec<String> {
        let godwit = Verdicts::from([("a".to_owned(), Verdict::Passed)]);
        let others = Others::from([
            ((Elsewhere::Kvm, "a".to_owned()), kvm),
            ((Elsewhere::Plain, "a".to_owned()), Verdict::Passed),
        ]);
        compare(&godwit, &others, known)
    }

    const EXPLAINED: Difference = Difference { trial: "a", elsewhere: Elsewhere::Kvm, why: "known" };

    #[test]
    fn a_difference_counts_unless_it_is_explained() {
        assert_eq!(compared(Verdict::Passed, &[]), [""; 0]);
        assert_eq!(compared(failed(), &[]), ["a: ok under Godwit, FAILED in KVM: why"]);
        assert_eq!(compared(failed(), &[EXPLAINED]), [""; 0]);
        // The reason is for one place only.
        let elsewhere = Difference { elsewhere: Elsewhere::Plain, ..EXPLAINED };
        assert_eq!(compared(failed(), &[elsewhere]).len(), 2);
    }

    #[test]
    fn an_explanation_of_nothing_counts() {
        assert!(
            compared(Verdict::Passed, &[EXPLAINED])[0].contains("alike, yet it is said to differ: known")
        );
        let gone = Difference { trial: "b", ..EXPLAINED };
        assert!(compared(Verdict::Passed, &[gone])[0].contains("there is no such trial"));
    }

    #[test]
    fn each_known_difference_has_its_reason_once() {
        for (at, known) in KNOWN.iter().enumerate() {
            assert!(!known.why.is_empty());
            let again =
                |other: &&Difference| (other.trial, other.elsewhere) == (known.trial, known.elsewhere);
            assert_eq!(KNOWN[at + 1..].iter().find(again), None);
        }
    }
}
