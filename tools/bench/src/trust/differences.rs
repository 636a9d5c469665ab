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

const fn kvm(trial: &'static str, why: &'static str) -> Difference {
    Difference { trial, elsewhere: Elsewhere::Kvm, why }
}

const APIC_WIDTHS: &str =
    "KVM's local APIC answers reads of 1, 2 and 4 bytes and takes writes of 4; an access of 8 is ignored";
const FIRMWARE: &str =
    "QEMU's firmware keeps its ACPI tables at the end of RAM, outside what the guest is told is its own";
const REPETITIONS: &str =
    "KVM's emulator carries out many repetitions of a string instruction before it looks at the trap flag";

/// All that are known, seen with QEMU 7.2 and Linux 6.1.
pub(super) const KNOWN: &[Difference] = &[
    kvm("apic-illegal-vector-is-an-error", "KVM's local APIC has no error status: the register is always 0"),
    kvm(
        "apic-timer-masked-stays-silent",
        "KVM keeps an expiry of its local APIC's timer while the entry is masked, and delivers it when that is opened",
    ),
    kvm(
        "control-register-reserved-bits-give-gp",
        "where the processor does not decode MOV to CR4 for it, KVM does, and looks at the lower 32 bits only",
    ),
    kvm(
        "fault-without-gate-gives-df",
        "KVM maps memory when it is first touched: a nested fault cuts off the delivery of the page fault, KVM has it delivered again, \
            and the emulator does not count an injected exception towards a double fault; in the same guest the second try passes",
    ),
    kvm(
        "instructions-of-svm-give-ud",
        "with virtual GIF KVM lets STGI and CLGI pass without an exit, whatever the guest's CPUID says",
    ),
    kvm(
        "kvmclock-goes-on-over-a-tsc-write",
        "KVM moves the TSC's offset when the guest writes it, and does not rewrite the clock page",
    ),
    kvm("mmio-of-every-width", APIC_WIDTHS),
    kvm("mmio-pushes-and-pops", APIC_WIDTHS),
    kvm("pit-gate-drives-channel-2", "KVM's 8254 does not stop counting in mode 0 when the gate is closed"),
    kvm(
        "rep-ins-element-over-a-page-end-is-whole",
        "KVM's emulator writes the part on the first page before it looks at the second",
    ),
    kvm("single-step-over-repeated-mmio-stops-each-time", REPETITIONS),
    kvm("single-step-over-repeated-port-io-stops-each-time", REPETITIONS),
    kvm("space-beyond-ram-keeps-nothing", FIRMWARE),
    kvm("space-beyond-ram-reads-all-ones", FIRMWARE),
];
