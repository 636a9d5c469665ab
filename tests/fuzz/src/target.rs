//! What can be fuzzed.

/// Whose bytes a target stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A device or the decoder: what a running guest reaches with its own instructions.
    Guest,
    /// Files, peers, operators, firmware.
    Outside,
    /// Bugs planted to try the harness; runs only where it is asked for by name.
    Planted,
}

/// One thing to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Whose bytes it takes.
    pub kind: Kind,
    /// Takes any bytes; panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs to begin with, of the kind that the target is meant for.
    pub corpus: fn() -> Vec<Vec<u8>>,
    /// Bytes of an input at most.
    pub max_bytes: usize,
    /// Executions in a run that nothing else is asked of: what continuous integration does.
    pub executions: u64,
}
