use proptest::prelude::*;

use super::*;

#[test]
fn constants_stand_and_writes_to_them_have_no_effect() {
    let mut policy = MsrPolicy::new();
    for (msr, value) in
        [(0x8b, 0x0100_0065), (0x179, 0), (0x2ff, 0x806), (0xc001_0015, 1 << 24), (0xc001_1029, 2)]
    {
        assert_eq!(policy.read(msr), Ok(value), "{msr:#x}");
    }
    assert_eq!(policy.write(0xc001_0015, u64::MAX), Ok(()));
    assert_eq!(policy.read(0xc001_0015), Ok(1 << 24));
    // Linux switches the MTRRs off and on; reserved bits are refused.
    assert_eq!((policy.write(0x2ff, 0), policy.write(0x2ff, 0xc06)), (Ok(()), Ok(())));
    assert_eq!(policy.write(0x2ff, 1 << 12), Err(Refused { first: true }));
    assert_eq!(policy.write(0x179, 1), Err(Refused { first: true }));
    assert_eq!(policy.write(0x79, 0xffff_8880_0123_4560), Ok(()));
    assert_eq!(policy.read(0x79), Err(Refused { first: true }), "it can only be written");
}

#[test]
fn unknown_registers_are_counted_and_said_once_for_each_kind() {
    let mut policy = MsrPolicy::new();
    assert_eq!(policy.read(0x1234), Err(Refused { first: true }));
    assert_eq!(policy.read(0x1234), Err(Refused { first: false }));
    assert_eq!(policy.write(0x1234, 0), Err(Refused { first: true }));
    assert_eq!(policy.write(0x1234, 0), Err(Refused { first: false }));
    assert_eq!(policy.read(0x1235), Err(Refused { first: true }));
    let counters =
        [MsrCounter { msr: 0x1234, reads: 2, writes: 2 }, MsrCounter { msr: 0x1235, reads: 1, writes: 0 }];
    assert_eq!(policy.counters(), counters);
    assert_eq!(policy.refused_beyond(), 0);
}

#[test]
fn a_guest_that_tries_them_all_fills_no_log() {
    let mut policy = MsrPolicy::new();
    let said = (0x1000..0x3000).filter(|&msr| policy.read(msr) == Err(Refused { first: true })).count();
    assert_eq!(said, MAX_COUNTED + 1);
    assert_eq!(policy.counters().len(), MAX_COUNTED);
    assert_eq!(policy.refused_beyond(), 0x2000 - MAX_COUNTED as u64);
    // Those that have a counter keep it.
    assert_eq!(policy.read(0x1000), Err(Refused { first: false }));
    assert_eq!(policy.counters()[0].reads, 2);
}

#[test]
fn the_table_has_each_register_once() {
    for (index, known) in KNOWN.iter().enumerate() {
        assert!(KNOWN[..index].iter().all(|other| other.msr < known.msr), "{:#x}", known.msr);
    }
}

/// Registers of the processor that act on the host, or count and record what it does.
const HOSTS: [core::ops::RangeInclusive<u32>; 27] = [
    0x48..=0x49,               // SPEC_CTRL, PRED_CMD
    0x8c..=0x8f,               // launch keys of other vendors' enclaves
    0xc1..=0xc8,               // performance counters
    0xe1..=0xe1,               // UMWAIT control
    0xe7..=0xe8,               // MPERF, APERF
    0x10a..=0x10b,             // architectural capabilities, L1D flush
    0x186..=0x18d,             // performance events
    0x200..=0x20f,             // variable memory type ranges
    0x250..=0x26f,             // fixed memory type ranges
    0x309..=0x30b,             // fixed counters
    0x38d..=0x390,             // their control
    0x400..=0x47f,             // machine check banks
    0x6a0..=0x6a8,             // shadow stacks
    0xda0..=0xda0,             // XSS
    0xc000_0104..=0xc000_0104, // time stamp counter ratio
    0xc000_0108..=0xc000_0108, // prefetchers
    0xc000_0300..=0xc000_0302, // global status of the performance counters
    0xc001_0000..=0xc001_0007, // performance events and counters
    0xc001_0061..=0xc001_0068, // P-states
    0xc001_010f..=0xc001_0111, // last branches, SMM
    0xc001_0114..=0xc001_0119, // SVM: VM_CR, the host save area, the lock
    0xc001_011f..=0xc001_011f, // VIRT_SPEC_CTRL
    0xc001_0130..=0xc001_0138, // encrypted guests
    0xc001_0200..=0xc001_020b, // more counters
    0xc001_0230..=0xc001_0247, // those of the last-level cache and the north bridge
    0xc001_1019..=0xc001_101b, // debug address masks
    0xc001_1030..=0xc001_103d, // instruction-based sampling
];

#[test]
fn what_acts_on_the_host_or_counts_what_it_does_is_refused() {
    for msr in HOSTS.into_iter().flatten() {
        let mut policy = MsrPolicy::new();
        assert_eq!(policy.read(msr), Err(Refused { first: true }), "{msr:#x}");
        for value in [0, 1, u64::MAX] {
            assert!(policy.write(msr, value).is_err(), "{msr:#x} = {value:#x}");
        }
    }
}

#[test]
fn what_belongs_to_others_is_not_here() {
    // Time stamp counter, APIC base, PAT, KVM's clock, TSC deadline, x2APIC, EFER and its neighbours, FS base, TSC_AUX.
    for msr in
        [0x10, 0x1b, 0x277, 0x11, 0x12, 0x4b56_4d00, 0x6e0, 0x802, 0xc000_0080, 0xc000_0100, 0xc000_0103]
    {
        assert!(find(msr).is_none(), "{msr:#x}");
    }
}

proptest! {
    #[test]
    fn reads_do_not_depend_on_writes(accesses: Vec<(u32, u64)>, at: prop::sample::Index) {
        let mut policy = MsrPolicy::new();
        let known = KNOWN[at.index(KNOWN.len())].msr;
        for (msr, value) in accesses {
            let _ = (policy.write(msr, value), policy.read(msr), policy.write(known, value));
        }
        prop_assert_eq!(policy.read(known).ok(), MsrPolicy::new().read(known).ok());
    }
}
