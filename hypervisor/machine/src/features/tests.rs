//! Processors as they are sold, as firmware cripples them, and as none should be.

use std::collections::HashMap;

use godwit_host::{description::Virtualization, svm_without::SvmWithout};
use proptest::prelude::*;

use super::*;

/// A processor made of the leaves and registers a test names; the rest is zero.
#[derive(Default)]
struct Fake {
    leaves: HashMap<u32, [u32; 4]>,
    registers: HashMap<u32, u64>,
}

impl Fake {
    fn of_vendor(vendor: &[u8; 12]) -> Self {
        let word =
            |at: usize| u32::from_le_bytes([vendor[at], vendor[at + 1], vendor[at + 2], vendor[at + 3]]);
        Self::default().leaf(0, [0x16, word(0), word(8), word(4)]).leaf(0x8000_0000, [0x8000_001f, 0, 0, 0])
    }

    fn amd() -> Self {
        Self::of_vendor(b"AuthenticAMD").leaf(0x8000_0001, [0, 0, 1 << 2, 0])
    }

    /// An Intel processor with every capability bit set and VMX enabled by its firmware.
    fn intel() -> Self {
        Self::of_vendor(b"GenuineIntel")
            .leaf(1, [0, 0, 1 << 5, 0])
            .register(0x3a, 5)
            .register(0x481, u64::MAX)
            .register(0x482, u64::MAX)
            .register(0x48b, u64::MAX)
            .register(0x48c, u64::MAX)
    }

    /// EAX, EBX, ECX, EDX of a leaf.
    fn leaf(mut self, leaf: u32, registers: [u32; 4]) -> Self {
        self.leaves.insert(leaf, registers);
        self
    }

    fn register(mut self, msr: u32, value: u64) -> Self {
        self.registers.insert(msr, value);
        self
    }
}

impl Processor for Fake {
    fn cpuid(&self, leaf: u32, _subleaf: u32) -> CpuIdResult {
        let [eax, ebx, ecx, edx] = self.leaves.get(&leaf).copied().unwrap_or_default();
        CpuIdResult { eax, ebx, ecx, edx }
    }

    fn read_msr(&self, msr: u32) -> Option<u64> {
        self.registers.get(&msr).copied()
    }
}

fn present(report: &VirtualizationReport) -> Vec<&'static str> {
    report.features.iter().filter(|feature| feature.present).map(|feature| feature.name).collect()
}

fn missing(report: &VirtualizationReport) -> &'static str {
    match report.virtualization {
        Virtualization::Missing(why) => why,
        other => panic!("{other:?} is not missing"),
    }
}

#[test]
fn each_feature_is_one_bit() {
    type Case = (u32, usize, u32, fn(&Features) -> bool);
    // SDM volume 2, CPUID; APM volume 3, appendix E.
    let cases: [Case; 13] = [
        (0x8000_0001, 3, 20, |f| f.nx),
        (0x8000_0001, 3, 26, |f| f.gigabyte_pages),
        (7, 1, 7, |f| f.smep),
        (7, 1, 20, |f| f.smap),
        (7, 2, 2, |f| f.umip),
        (7, 1, 18, |f| f.rdseed),
        (1, 2, 21, |f| f.x2apic),
        (1, 2, 24, |f| f.tsc_deadline),
        (1, 2, 26, |f| f.xsave),
        (1, 2, 30, |f| f.rdrand),
        (1, 2, 31, |f| f.hypervisor),
        (0x8000_0007, 3, 8, |f| f.invariant_tsc),
        (0x8000_0008, 0, 5, |f| f.physical_address_bits == 32),
    ];
    let none = Features::read(&Fake::of_vendor(b"GenuineIntel"));
    for (leaf, register, bit, has) in cases {
        let mut registers = [0; 4];
        registers[register] = 1 << bit;
        let features = Features::read(&Fake::of_vendor(b"GenuineIntel").leaf(leaf, registers));
        assert!(has(&features) && !has(&none), "leaf {leaf:#x}, register {register}, bit {bit}");
        let others = cases.iter().filter(|case| case.3(&features) != case.3(&none)).count();
        assert_eq!(others, 1, "leaf {leaf:#x}, register {register}, bit {bit}");
    }
}

#[test]
fn names_are_trimmed_and_printable() {
    let brand = *b"  Some\x1b[2J CPU @ 3 GHz                         \0";
    let words: Vec<u32> = brand.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let mut processor = Fake::amd();
    for (index, words) in words.chunks(4).enumerate() {
        processor = processor.leaf(0x8000_0002 + index as u32, words.try_into().unwrap());
    }
    let features = Features::read(&processor);
    assert_eq!((&*features.vendor, &*features.brand), ("AuthenticAMD", "Some?[2J CPU @ 3 GHz"));
    assert_eq!(&*Features::read(&Fake::of_vendor(b"\xff\xff\xff\xff\x1b[2J\0\0\0\0")).vendor, "InvalidVendo");
    assert_eq!(&*Features::read(&Fake::amd()).brand, "");
}

#[test]
fn physical_address_bits_are_plausible() {
    let bits = |eax| {
        let processor = Fake::amd().leaf(0x8000_0008, [eax, 0, 0, 0]);
        Features::read(&processor).physical_address_bits
    };
    assert_eq!(
        (bits(0x3028), bits(0x3934), bits(0), bits(31), bits(53), bits(255)),
        (40, 52, 36, 36, 36, 36)
    );
    let old = Fake::amd().leaf(0x8000_0000, [0x8000_0004, 0, 0, 0]).leaf(0x8000_0008, [40, 0, 0, 0]);
    assert_eq!(Features::read(&old).physical_address_bits, 36);
}

#[test]
fn the_best_tsc_frequency_counts() {
    let tsc = |processor: Fake| Features::read(&processor).tsc.map(|tsc| (tsc.hz, tsc.exact));
    let guest = |khz| {
        Fake::of_vendor(b"GenuineIntel")
            .leaf(1, [0, 0, 1 << 31, 0])
            .leaf(0x4000_0000, [0x4000_0010, 0, 0, 0])
            .leaf(0x4000_0010, [khz, 0, 0, 0])
            .leaf(0x16, [3_000, 0, 0, 0])
    };
    assert_eq!(tsc(guest(2_893_437)), Some((2_893_437_000, true)));
    assert_eq!(tsc(guest(2_893_437).leaf(0x15, [2, 168, 38_400_000, 0])), Some((3_225_600_000, true)));
    // A leaf without its crystal, or without its ratio, says nothing.
    assert_eq!(tsc(guest(0).leaf(0x15, [2, 168, 0, 0])), Some((3_000_000_000, false)));
    assert_eq!(tsc(guest(0).leaf(0x15, [0, 168, 38_400_000, 0])), Some((3_000_000_000, false)));
    // Nor does one that cannot be.
    assert_eq!(tsc(guest(0).leaf(0x15, [1, u32::MAX, u32::MAX, 0])), Some((3_000_000_000, false)));
    assert_eq!(tsc(guest(0).leaf(0x16, [0; 4])), None);
    // Without a hypervisor its leaf is noise.
    assert_eq!(tsc(guest(2_893_437).leaf(1, [0; 4])), Some((3_000_000_000, false)));
}

#[test]
fn svm_features_are_named_found_or_missing() {
    // What QEMU's `-cpu max` says: NPT, vGIF, and the SVME address check.
    let report = virtualization(&Fake::amd().leaf(0x8000_000a, [1, 16, 0, 0x1001_0001]));
    assert_eq!((report.virtualization, report.address_spaces), (Virtualization::Svm, 16));
    assert_eq!(present(&report), ["NPT", "vGIF"]);
    assert_eq!(report.features.len(), 12);

    let everything = virtualization(&Fake::amd().leaf(0x8000_000a, [1, 0x8000, 0, 0x1_b4fb]));
    assert_eq!(present(&everything).len(), 12);
    // Hygon's processors are AMD's by another name.
    let hygon = Fake::of_vendor(b"HygonGenuine").leaf(0x8000_0001, [0, 0, 1 << 2, 0]);
    assert_eq!(virtualization(&hygon.leaf(0x8000_000a, [1, 16, 0, 1])).virtualization, Virtualization::Svm);
}

#[test]
fn svm_features_that_are_left_unused_count_as_missing_and_are_named() {
    let everything = || virtualization(&Fake::amd().leaf(0x8000_000a, [1, 0x8000, 0, 0x1_b4fb]));
    let mut report = everything();
    assert_eq!(report.leave_unused(SvmWithout::default()), None);
    assert_eq!(report, everything());
    let all = SvmWithout { next_rip: true, decode_assists: true, flush_by_asid: true, clean_bits: true };
    assert_eq!(
        report.leave_unused(all).as_deref(),
        Some(
            "left unused, as godwit.svm_without asks: nRIP save (found), decode assists (found), flush by ASID \
             (found), VMCB clean bits (found)"
        )
    );
    assert_eq!(present(&report).len(), 8);
    assert!(!present(&report).contains(&"nRIP save") && present(&report).contains(&"NPT"));

    // QEMU's `-cpu max` has none of them.
    let mut bare = virtualization(&Fake::amd().leaf(0x8000_000a, [1, 16, 0, 0x1001_0001]));
    let without = SvmWithout { clean_bits: true, ..SvmWithout::default() };
    let note = bare.leave_unused(without);
    assert_eq!(
        note.as_deref(),
        Some("left unused, as godwit.svm_without asks: VMCB clean bits (not there anyway)")
    );
    assert_eq!(present(&bare), ["NPT", "vGIF"]);
}

#[test]
fn svm_that_the_firmware_disabled_says_what_to_do() {
    let svm = |edx| Fake::amd().leaf(0x8000_000a, [1, 16, 0, edx]);
    let disabled = virtualization(&svm(1).register(0xc001_0114, 1 << 4));
    assert_eq!(
        missing(&disabled),
        "the firmware disabled SVM: enable it (SVM, AMD-V) in the firmware's setup"
    );
    assert_eq!(present(&disabled), ["NPT"]);
    assert!(missing(&virtualization(&svm(5).register(0xc001_0114, 0x18))).contains("locked it with a key"));
    assert_eq!(virtualization(&svm(5).register(0xc001_0114, 8)).virtualization, Virtualization::Svm);
}

#[test]
fn svm_without_nested_paging_is_not_enough() {
    assert!(missing(&virtualization(&Fake::amd().leaf(0x8000_000a, [1, 16, 0, 0]))).contains("NPT"));
    let report = virtualization(&Fake::amd().leaf(0x8000_0000, [0x8000_0001, 0, 0, 0]));
    assert!(missing(&report).contains("NPT") && present(&report).is_empty());
}

#[test]
fn vmx_features_are_named_found_or_missing() {
    let report = virtualization(&Fake::intel());
    assert_eq!((report.virtualization, report.address_spaces), (Virtualization::Vmx, 65_536));
    assert_eq!(present(&report).len(), report.features.len());

    // EPT and VPID, 2 MiB leaves, INVEPT, INVVPID; nothing newer.
    let old = Fake::intel()
        .register(0x481, 0x40 << 32)
        .register(0x48b, 0x22 << 32)
        .register(0x48c, 1 << 6 | 1 << 14 | 1 << 16 | 1 << 20 | 1 << 32);
    assert_eq!(
        present(&virtualization(&old)),
        [
            "EPT",
            "EPT 4-level walk",
            "EPT write-back tables",
            "EPT 2 MiB leaves",
            "INVEPT",
            "VPID",
            "INVVPID",
            "preemption timer",
            "MSR bitmaps",
            "TPR shadow",
        ]
    );
}

#[test]
fn each_vmx_feature_is_what_its_control_allows() {
    let cases = [
        (0x481, 6 + 32, "preemption timer"),
        (0x481, 7 + 32, "posted interrupts"),
        (0x482, 21 + 32, "TPR shadow"),
        (0x482, 28 + 32, "MSR bitmaps"),
        (0x48b, 5 + 32, "VPID"),
        (0x48b, 7 + 32, "unrestricted guest"),
        (0x48b, 8 + 32, "APICv"),
        (0x48b, 9 + 32, "APICv"),
        (0x48b, 10 + 32, "PAUSE-loop exiting"),
        (0x48b, 13 + 32, "VMFUNC"),
        (0x48b, 17 + 32, "PML"),
        (0x48b, 25 + 32, "TSC scaling"),
        (0x48c, 17, "EPT 1 GiB leaves"),
        (0x48c, 21, "EPT A/D bits"),
    ];
    for (msr, bit, name) in cases {
        let report = virtualization(&Fake::intel().register(msr, !(1 << bit)));
        let absent: Vec<_> = report.features.iter().filter(|f| !f.present).map(|f| f.name).collect();
        assert_eq!(absent, [name], "msr {msr:#x}, bit {bit}");
    }
}

#[test]
fn registers_that_are_not_announced_are_not_believed() {
    let report = virtualization(&Fake::intel().register(0x482, !(1 << 63)));
    assert_eq!(present(&report), ["preemption timer", "MSR bitmaps", "TPR shadow", "posted interrupts"]);
    assert!(missing(&report).contains("EPT") && report.address_spaces == 1);
    let report = virtualization(&Fake::intel().register(0x48b, !(0x22 << 32)));
    assert!(!present(&report).contains(&"EPT 1 GiB leaves"));
}

#[test]
fn vmx_that_the_firmware_locked_off_says_what_to_do() {
    let control = |value| virtualization(&Fake::intel().register(0x3a, value));
    assert!(missing(&control(1)).starts_with("the firmware locked VMX off: enable it"));
    // Enabled inside SMX only: a host that starts without SMX cannot use it.
    assert!(missing(&control(3)).starts_with("the firmware locked VMX off: enable it"));
    assert_eq!(control(0).virtualization, Virtualization::Vmx);
    assert_eq!(control(4).virtualization, Virtualization::Vmx);
    let mut without = Fake::intel();
    without.registers.remove(&0x3a);
    assert!(missing(&virtualization(&without)).contains("IA32_FEATURE_CONTROL"));
}

#[test]
fn a_processor_with_neither_says_so() {
    let report = virtualization(&Fake::of_vendor(b"AuthenticAMD"));
    assert!(missing(&report).starts_with("the processor has neither SVM nor VMX"));
    assert!(report.features.is_empty());
}

proptest! {
    /// Any answers give a description.
    #[test]
    fn any_processor_is_described(
        seed in any::<[u32; 4]>(),
        vendor in prop_oneof![Just(*b"AuthenticAMD"), Just(*b"GenuineIntel"), any::<[u8; 12]>()],
        register in prop::option::of(any::<u64>()),
    ) {
        struct Noise(Fake, [u32; 4], Option<u64>);
        impl Processor for Noise {
            fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
                if self.0.leaves.contains_key(&leaf) {
                    return self.0.cpuid(leaf, subleaf);
                }
                let [eax, ebx, ecx, edx] = self.1.map(|word| word.rotate_left(leaf % 31 + subleaf));
                CpuIdResult { eax, ebx, ecx, edx }
            }
            fn read_msr(&self, msr: u32) -> Option<u64> {
                self.2.map(|value| value.rotate_left(msr % 63))
            }
        }
        let processor = Noise(Fake::of_vendor(&vendor), seed, register);
        let features = Features::read(&processor);
        prop_assert!((32..=52).contains(&features.physical_address_bits));
        prop_assert!(features.brand.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
        prop_assert!(virtualization(&processor).address_spaces >= 1);
    }
}
