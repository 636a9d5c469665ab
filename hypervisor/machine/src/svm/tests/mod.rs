//! The parts of SVM that decide, each by itself.

mod asid;
mod control;
mod entry;
mod event;
mod exit;
mod fake;
mod interrupts;
mod isolation;
mod msr;
mod refusal;
mod state;
mod time;
mod whole_state;
mod without;

use crate::{
    svm::capabilities::Capabilities,
    virtual_cpu::{extended_state::Format, limits::Limits, tests::Leaves},
};

/// What every processor that has all of it would say.
const ALL: Capabilities = Capabilities {
    next_rip: true,
    decode_assists: true,
    flush_by_asid: true,
    clean_bits: true,
    pause_filter: true,
    pause_threshold: true,
    tsc_scaling: true,
    address_spaces: 16,
};

/// A processor with everything that guests can be given, and 40 physical address bits.
pub(super) fn limits() -> Limits {
    Limits::read(&Leaves::full(), 40)
}

/// Its extended state.
pub(super) fn format() -> Format {
    Format::read(&Leaves::full(), true, 0x2_ffff)
}

#[test]
fn capabilities_are_bits_of_one_leaf() {
    let read = |edx| {
        let leaves = Leaves::default().leaf(0x8000_0000, 0, [0x8000_001f, 0, 0, 0]).leaf(
            0x8000_000a,
            0,
            [1, 16, 0, edx],
        );
        Capabilities::read(&leaves)
    };
    assert_eq!(read(1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 12), ALL);
    // QEMU 7.2, `-cpu max`.
    assert_eq!(read(0x1001_0001), Capabilities { address_spaces: 16, ..Capabilities::default() });
    assert!(read(1 << 3).next_rip && read(1 << 5).clean_bits);
    assert!(read(1 << 6).flush_by_asid && read(1 << 7).decode_assists);
    assert!(read(1 << 10).pause_filter && read(1 << 12).pause_threshold && read(1 << 4).tsc_scaling);
    let short = Leaves::default().leaf(0x8000_0000, 0, [0x8000_0008, 0, 0, 0]);
    assert_eq!(Capabilities::read(&short), Capabilities::default());
}
