//! Where a micro guest is known to say something else elsewhere than under Godwit, and why.
//!
//! Each entry is held to: one whose trial says the same again is an error, as is one whose trial is gone.

use std::fmt;

/// Where a trial runs, besides under Godwit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Elsewhere {
    /// Linux KVM with QEMU, in the same emulator.
    Kvm,
    /// The emulator itself.
    Plain,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Plain => "plain QEMU",
        })
    }
}

/// A trial that says something else there, and the reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    pub(super) trial: &'static str,
    pub(super) elsewhere: Elsewhere,
    pub(super) why: &'static str,
}

/// All that are known, seen with QEMU 7.2 and Linux 6.1.
pub(super) const KNOWN: &[Difference] = &[
    Difference {
        trial: "exceptions",
        elsewhere: Elsewhere::Kvm,
        why: "KVM maps memory when it is first touched: a nested fault cuts the delivery of the first page fault off, KVM has it \
            delivered again, and the emulator does not count an injected exception towards a double fault",
    },
    Difference {
        trial: "pic",
        elsewhere: Elsewhere::Kvm,
        why: "KVM's 8254 goes on with its old period after a new mode was written, until a count follows: one tick too many",
    },
];
