//! What is fuzzed, one file each.

mod adapter;
mod board;
mod board_calls;
mod board_restore;
mod bundle;
mod console_machine;
mod cpu_state;
mod decoder;
mod decoder_guest;
mod fake_cpu;
mod fake_memory;
mod firmware;
mod frame;
mod loader;
mod migration;
mod monitor;
mod nested;
mod operator;
mod planted;
mod wire;

use crate::{Kind, Target};

/// Every target, those with the most to do first. Planted bugs come last.
const TARGETS: &[Target] = &[
    board::TARGET,
    board_restore::TARGET,
    decoder::TARGET,
    cpu_state::TARGET,
    nested::TARGET,
    migration::TARGET,
    monitor::TARGET,
    wire::TARGET,
    frame::TARGET,
    adapter::TARGET,
    bundle::TARGET,
    loader::TARGET,
    firmware::TARGET,
    operator::TARGET,
    planted::INDEX,
    planted::LENGTH,
    planted::COUNT,
    planted::HANG,
    planted::RECURSION,
    planted::ALLOCATION,
];

/// The targets that are run where none is named.
pub fn all() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().filter(|target| target.kind != Kind::Planted)
}

/// The target that is called `name`, planted ones too.
///
/// # Errors
/// There is none; the message names those that there are.
pub fn by_name(name: &str) -> Result<&'static Target, String> {
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
        let names: Vec<_> = all().map(|target| target.name).collect();
        format!("no target is called so; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_target_survives_its_own_corpus() {
        for target in all() {
            let corpus = (target.corpus)();
            assert!(!corpus.is_empty(), "{} begins with nothing", target.name);
            for input in corpus {
                assert!(input.len() <= target.max_bytes, "{}: {} bytes", target.name, input.len());
                (target.run)(&input);
            }
            (target.run)(&[]);
        }
    }

    #[test]
    fn names_are_different() {
        let names: HashSet<_> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(names.len(), TARGETS.len());
        assert!(by_name("nothing").is_err_and(|message| message.contains("board-restore")));
    }

    /// The promise that `trust.fuzz_executions_ci` measures.
    #[test]
    fn a_run_makes_two_million_executions_of_devices_and_decoder() {
        let guest = all().filter(|target| target.kind == Kind::Guest);
        assert!(guest.map(|target| target.executions).sum::<u64>() >= 2_000_000);
    }
}
