//! The command line: `key=value` words, read before there is a heap.
//!
//! Nothing on it stops the boot. An unknown key, a bad value or a repeated key is reported with its byte position and
//! what was expected, and what it concerns keeps its default. A repeated key keeps its default as well: neither of two
//! answers is obeyed, since nobody can say which was meant.

mod keys;
mod problem;
mod words;

use arrayvec::ArrayVec;
use log::LevelFilter;

pub use keys::{KEYS, Key, MAX_CPUS};
pub use problem::{Problem, ProblemKind};
use words::{Shape, words};

use crate::{
    excerpt::Excerpt,
    fragment::FragmentSetting,
    name::Name,
    network::{Peers, Subnet},
    spelling,
    svm_without::SvmWithout,
};

/// Problems that are kept in words; more are counted.
pub const MAX_PROBLEMS: usize = 16;

/// What the command line can set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The host's name.
    pub host: Option<Name>,
    /// The work group it belongs to.
    pub group: Option<Name>,
    /// The most detailed level that is logged.
    pub log: LevelFilter,
    /// How many CPUs are started at most, the booting one counted; all where it is not given.
    pub cpus: Option<u16>,
    /// Memory to fragment before the host is ready.
    pub fragment: Option<FragmentSetting>,
    /// The time stamp counter's frequency in Hz, where it is declared: hosts that move guests to each other count as equal
    /// where these are.
    pub tsc_hz: Option<u64>,
    /// The host's own address.
    pub address: Option<Subnet>,
    /// Other hosts by name.
    pub peers: Peers,
    /// Features of SVM that are left unused.
    pub svm_without: SvmWithout,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: None,
            group: None,
            log: LevelFilter::Info,
            cpus: None,
            fragment: None,
            tsc_hz: None,
            address: None,
            peers: Peers::default(),
            svm_without: SvmWithout::default(),
        }
    }
}

impl Options {
    /// The host's name, `godwit` where it has none.
    pub fn host_name(&self) -> &str {
        self.host.as_ref().map_or("godwit", Name::as_str)
    }

    /// The name of the host's work group, `default` where none was given.
    pub fn group_name(&self) -> &str {
        self.group.as_ref().map_or("default", Name::as_str)
    }
}

/// A command line that was read: what it set, and what was wrong with it.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// What holds now.
    pub options: Options,
    problems: ArrayVec<Problem, MAX_PROBLEMS>,
    problems_left_out: usize,
}

/// Where a key was given, and the value of that place; `value` is `None` once the key was repeated.
#[derive(Clone, Copy)]
struct Given<'a> {
    position: usize,
    value: Option<(&'a str, usize)>,
}

impl CommandLine {
    /// Reads `line`; `cut` says that its end is missing. Its last word may then be half a word and is not obeyed.
    pub fn parse(line: &str, cut: bool) -> Self {
        let mut read = Self { options: Options::default(), problems: ArrayVec::new(), problems_left_out: 0 };
        let mut given: [Option<Given<'_>>; KEYS.len()] = [None; KEYS.len()];
        let mut rest = words(line);
        while let Some(word) = rest.next() {
            if cut && rest.clone().next().is_none() {
                read.report(word.position, ProblemKind::Cut);
                break;
            }
            match word.shape {
                Shape::Bare(text) => read.report(word.position, ProblemKind::NoValue(Excerpt::new(text))),
                Shape::OpenQuote { key, quote_position } => {
                    read.report(quote_position, ProblemKind::OpenQuote(Excerpt::new(key)));
                }
                Shape::AfterQuote { key, position } => {
                    read.report(position, ProblemKind::AfterQuote(Excerpt::new(key)));
                }
                Shape::Pair { key, value, value_position } => {
                    let Some(index) = KEYS.iter().position(|known| known.name == key) else {
                        read.report(
                            word.position,
                            ProblemKind::UnknownKey(Excerpt::new(key), resembled(key)),
                        );
                        continue;
                    };
                    let Some(slot) = given.get_mut(index) else { continue };
                    match slot {
                        None => {
                            *slot =
                                Some(Given { position: word.position, value: Some((value, value_position)) });
                        }
                        Some(earlier) => {
                            earlier.value = None;
                            let first = earlier.position;
                            read.report(word.position, ProblemKind::Repeated { key: index, first });
                        }
                    }
                }
            }
        }
        for ((index, key), given) in KEYS.iter().enumerate().zip(given) {
            if let Some((value, position)) = given.and_then(|given| given.value)
                && (key.set)(&mut read.options, value).is_none()
            {
                read.report(position, ProblemKind::BadValue { key: index, value: Excerpt::new(value) });
            }
        }
        read.problems.sort_by_key(|problem| problem.position);
        read
    }

    /// What was wrong, by position.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Problems beyond [`MAX_PROBLEMS`].
    pub fn problems_left_out(&self) -> usize {
        self.problems_left_out
    }

    fn report(&mut self, position: usize, kind: ProblemKind) {
        if self.problems.try_push(Problem { position, kind }).is_err() {
            self.problems_left_out += 1;
        }
    }
}

/// The known key that `key` resembles, with or without its prefix.
fn resembled(key: &str) -> Option<&'static str> {
    let bare = |key: &'static Key| key.name.strip_prefix("godwit.").unwrap_or(key.name);
    let meant = key.strip_prefix("godwit.").unwrap_or(key);
    let nearest = spelling::nearest(meant, KEYS.iter().map(bare));
    let by_suffix = nearest.and_then(|nearest| KEYS.iter().find(|key| bare(key) == nearest));
    // A prefix with a typo of its own is compared as a whole.
    by_suffix.map(|key| key.name).or_else(|| spelling::nearest(key, KEYS.iter().map(|key| key.name)))
}
