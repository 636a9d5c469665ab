use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;

use super::{
    features::{FEATURES, Feature, Provider, Register},
    *,
};

const BASELINE: Baseline = Baseline::Amd64V1;
const ONE_CPU: CpuidContext = CpuidContext { apic_id: 0, cpus: 1, cr4: 0, xcr0: 1 };

fn ask(leaf: u32, subleaf: u32) -> CpuidResult {
    BASELINE.answer(leaf, subleaf, &ONE_CPU)
}

fn text(words: &[u32]) -> String {
    let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_string()
}

/// A host, by the leaves that it has; all others answer zeros.
#[derive(Clone)]
struct Host(Vec<((u32, u32), [u32; 4])>);

impl HostCpuid for Host {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let found = self.0.iter().find(|(key, _)| *key == (leaf, subleaf));
        let [eax, ebx, ecx, edx] = found.map_or([0; 4], |(_, words)| *words);
        CpuidResult { eax, ebx, ecx, edx }
    }
}

impl Host {
    /// What QEMU 7.2 emulates with `-cpu max`.
    fn emulated() -> Self {
        Self(vec![
            ((0, 0), [0xd, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
            ((1, 0), [0x0006_0fb1, 0x0001_0800, 0xf6d8_320b, 0x0fcb_fbfd]),
            ((6, 0), [4, 0, 0, 0]),
            ((7, 0), [1, 0x01d8_43a9, 0x8001_020c, 0]),
            ((0xd, 0), [0x21f, 576, 2696, 0]),
            ((0xd, 1), [5, 0, 0, 0]),
            ((0xd, 2), [256, 576, 0, 0]),
            ((0x8000_0000, 0), [0x8000_000a, 0x6874_7541, 0x444d_4163, 0x6974_6e65]),
            ((0x8000_0001, 0), [0x0006_0fb1, 0, 0x75, 0xedd3_fbfd]),
            ((0x8000_0008, 0), [0x3028, 0, 0, 0]),
        ])
    }

    fn word(&mut self, leaf: u32, subleaf: u32, register: Register) -> &mut u32 {
        let (_, words) = self.0.iter_mut().find(|(key, _)| *key == (leaf, subleaf)).unwrap();
        &mut words[register as usize]
    }
}

#[test]
fn it_is_a_zen_2_under_a_kvm_like_hypervisor() {
    let vendor = ask(0, 0);
    assert_eq!(text(&[vendor.ebx, vendor.edx, vendor.ecx]), "AuthenticAMD");
    // Family 15 + 8, model 3 * 16 + 1 (APM vol. 3, CPUID Fn0000_0001_EAX).
    let signature = ask(1, 0).eax;
    assert_eq!((signature >> 8 & 15) + (signature >> 20 & 0xff), 0x17);
    assert_eq!((signature >> 16 & 15) << 4 | signature >> 4 & 15, 0x31);
    assert_eq!(ask(0x8000_0001, 0).eax, signature);

    let hypervisor = ask(0x4000_0000, 0);
    assert_eq!(text(&[hypervisor.ebx, hypervisor.ecx, hypervisor.edx]), "KVMKVMKVM");
    assert_eq!((hypervisor.eax, ask(0x4000_0001, 0).eax), (0x4000_0001, 0x0100_000b));

    let brand: Vec<_> = (0x8000_0002..=0x8000_0004).map(|leaf| ask(leaf, 0)).collect();
    let words: Vec<_> = brand.iter().flat_map(|part| [part.eax, part.ebx, part.ecx, part.edx]).collect();
    assert_eq!(text(&words), "Godwit amd64-v1 virtual processor");
}

#[test]
fn what_a_guest_must_not_see_is_not_there() {
    let basic = ask(1, 0);
    for (name, bit) in [("MONITOR", 3), ("VMX", 5), ("FMA", 12), ("PCID", 17), ("OSXSAVE", 27)] {
        assert_eq!(basic.ecx >> bit & 1, 0, "{name}");
    }
    for (name, bit) in [("VME", 1), ("DS", 21), ("HTT", 28)] {
        assert_eq!(basic.edx >> bit & 1, 0, "{name}");
    }
    let extended = ask(0x8000_0001, 0);
    for (name, bit) in
        [("CmpLegacy", 1), ("SVM", 2), ("OSVW", 9), ("IBS", 10), ("SKINIT", 12), ("PerfCtr", 23)]
    {
        assert_eq!(extended.ecx >> bit & 1, 0, "{name}");
    }
    // Monitor leaf, cache and topology leaves of others, performance, SVM, memory encryption.
    for leaf in [2, 4, 5, 0xa, 0xc, 0x8000_0009, 0x8000_000a, 0x8000_001d, 0x8000_001f, 0x4000_0002, 0xe] {
        assert_eq!(ask(leaf, 0), CpuidResult::default(), "{leaf:#x}");
    }
}

#[test]
fn what_is_not_switched_or_acts_on_the_host_is_not_offered() {
    let structured = ask(7, 0);
    for (name, bit) in [("PKU", 3), ("WAITPKG", 5), ("CET_SS", 7)] {
        assert_eq!(structured.ecx >> bit & 1, 0, "{name}");
    }
    for (name, bit) in
        [("MD_CLEAR", 10), ("CET_IBT", 20), ("IBRS", 26), ("STIBP", 27), ("L1D_FLUSH", 28), ("SSBD", 31)]
    {
        assert_eq!(structured.edx >> bit & 1, 0, "{name}");
    }
    let extended = ask(0x8000_0001, 0);
    for (name, bit) in [("PerfCtrNB", 24), ("DBX", 26), ("PTSC", 27), ("PerfCtrLLC", 28), ("MONITORX", 29)] {
        assert_eq!(extended.ecx >> bit & 1, 0, "{name}");
    }
    let capacity = ask(0x8000_0008, 0).ebx;
    for (name, bit) in [
        ("INVLPGB", 3),
        ("RDPRU", 4),
        ("MCOMMIT", 8),
        ("IBPB", 12),
        ("IBRS", 14),
        ("STIBP", 15),
        ("SSBD", 24),
    ] {
        assert_eq!(capacity >> bit & 1, 0, "{name}");
    }
    let compact = ask(0xd, 1).eax;
    for (name, bit) in [("XSAVES", 3), ("XFD", 4)] {
        assert_eq!(compact >> bit & 1, 0, "{name}");
    }
    // MPX, protection keys, AMX: no XCR0 has them.
    assert_eq!(ask(0xd, 0).eax & !0b111, 0);
    // Sampling, last branches, speculation.
    for leaf in [0x8000_001b, 0x8000_0021, 0x8000_0022] {
        assert_eq!(ask(leaf, 0), CpuidResult::default(), "{leaf:#x}");
    }
}

#[test]
fn the_extended_leaf_repeats_the_basic_one() {
    let (basic, extended) = (ask(1, 0).edx, ask(0x8000_0001, 0).edx);
    // FPU to APIC, MTRR to PSE-36, MMX and FXSR (APM vol. 3, CPUID Fn8000_0001_EDX).
    let repeated: u32 = (0..=9).chain(12..=17).chain([23, 24]).map(|bit| 1 << bit).sum();
    assert_eq!(basic & repeated, extended & repeated);
    for (name, bit) in [("SYSCALL", 11), ("NX", 20), ("1 GiB pages", 26), ("RDTSCP", 27), ("LM", 29)] {
        assert_eq!(extended >> bit & 1, 1, "{name}");
    }
}

#[test]
fn the_cpus_state_shows_where_it_has_to() {
    let with = |cr4, xcr0| CpuidContext { cr4, xcr0, ..ONE_CPU };
    let osxsave = |cr4| BASELINE.answer(1, 0, &with(cr4, 1)).ecx >> 27 & 1;
    assert_eq!((osxsave(0), osxsave(1 << 18), osxsave(!(1 << 18))), (0, 1, 0));
    let area = |xcr0| BASELINE.answer(0xd, 0, &with(0, xcr0));
    assert_eq!((area(1).ebx, area(3).ebx, area(7).ebx), (576, 576, 832));
    for xcr0 in [1, 3, 7] {
        assert_eq!((area(xcr0).eax, area(xcr0).ecx, area(xcr0).edx), (7, 832, 0));
    }
    let avx = ask(0xd, 2);
    assert_eq!((avx.eax, avx.ebx, avx.ecx), (256, 576, 0));
    assert_eq!(ask(0xd, 1), CpuidResult::default(), "no compacted format, no XSS");
}

#[test]
fn several_cpus_are_cores_of_one_package() {
    for (cpus, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (255, 8)] {
        let cpu = CpuidContext { apic_id: cpus - 1, cpus, ..ONE_CPU };
        let ask = |leaf, subleaf| BASELINE.answer(leaf, subleaf, &cpu);
        assert_eq!((ask(1, 0).ebx >> 24, ask(1, 0).ebx >> 16 & 0xff), (cpus - 1, cpus));
        assert_eq!(ask(1, 0).edx >> 28 & 1 == 1, cpus > 1);
        assert_eq!(ask(0x8000_0001, 0).ecx >> 1 & 1 == 1, cpus > 1);
        assert_eq!((ask(0x8000_0008, 0).ecx & 0xff, ask(0x8000_0008, 0).ecx >> 12 & 15), (cpus - 1, bits));
        let (threads, cores, end) = (ask(0xb, 0), ask(0xb, 1), ask(0xb, 2));
        assert_eq!((threads.eax, threads.ebx, threads.ecx, threads.edx), (0, 1, 0x100, cpus - 1));
        assert_eq!((cores.eax, cores.ebx, cores.ecx, cores.edx), (bits, cpus, 0x201, cpus - 1));
        assert_eq!((end.eax, end.ebx, end.ecx), (0, 0, 2));
    }
}

/// What Linux 6.1 makes of it on AMD (`arch/x86/kernel/cpu/amd.c`, `common.c`, `cacheinfo.c`): package and core.
fn as_linux_reads(apic_id: u32, cpus: u32) -> (u32, u32) {
    let cpu = CpuidContext { apic_id, cpus, ..ONE_CPU };
    let ask = |leaf, subleaf| BASELINE.answer(leaf, subleaf, &cpu);
    // detect_ht() leaves threads alone where the cores are of the compatible legacy kind; there is no TOPOEXT (bit 22) that would
    // ask leaves 0x8000_001d and 0x8000_001e.
    let extended = ask(0x8000_0001, 0).ecx;
    assert_eq!((extended >> 1 & 1 == 1, extended >> 22 & 1), (cpus > 1, 0));
    assert!(ask(0x8000_0000, 0).eax >= 0x8000_0008, "early_init_amd_mc() gives up below that");
    // early_init_amd_mc(): cores of the package, and the bits of the APIC id that name one.
    let sizes = ask(0x8000_0008, 0).ecx;
    let cores = (sizes & 0xff) + 1;
    let mut bits = sizes >> 12 & 0xf;
    if bits == 0 {
        while 1 << bits < cores {
            bits += 1;
        }
    }
    assert_eq!(cores, cpus);
    // amd_detect_cmp().
    let initial = ask(1, 0).ebx >> 24;
    assert_eq!(initial, apic_id);
    (initial >> bits, initial & ((1 << bits) - 1))
}

#[test]
fn linux_finds_one_package_with_each_cpu_as_a_core() {
    for cpus in 1..=crate::MAX_VCPUS as u32 {
        for apic_id in 0..cpus {
            assert_eq!(as_linux_reads(apic_id, cpus), (0, apic_id), "{apic_id} of {cpus}");
        }
    }
}

#[test]
fn addresses_are_as_wide_as_the_baseline_says() {
    let sizes = ask(0x8000_0008, 0).eax;
    assert_eq!((sizes & 0xff, sizes >> 8 & 0xff), (u32::from(BASELINE.physical_address_bits()), 48));
    assert_eq!(crate::layout::MemoryLayout::MAX_BYTES + (1 << 30), 1 << BASELINE.physical_address_bits());
}

#[test]
fn xcr0_takes_what_can_be_saved() {
    for (value, allowed) in [
        (1, true),
        (3, true),
        (7, true),
        (0, false),
        (2, false),
        (5, false),
        (6, false),
        (0xf, false),
        (1 | 1 << 63, false),
        (0x207, false),
    ] {
        assert_eq!(BASELINE.check_xcr0(value), allowed, "{value:#x}");
    }
    assert_eq!(BASELINE.fpu_bytes(), 832);
}

#[test]
fn control_registers_offer_what_cpuid_shows() {
    let cr4 = BASELINE.cr4_mask().bits();
    // VME, PVI, UMIP, LA57, PCIDE, PKE, CET are of features that the baseline leaves out.
    for bit in [0, 1, 11, 12, 13, 17, 22, 23, 24] {
        assert_eq!(cr4 >> bit & 1, 0, "{bit}");
    }
    assert_eq!(cr4, 0x0035_07fc);
    assert_eq!(BASELINE.efer_mask() >> 12 & 1, 0, "SVME");
}

#[test]
fn names_go_around() {
    assert_eq!(Baseline::from_name(&BASELINE.to_string()), Some(BASELINE));
    assert_eq!(Baseline::from_name("amd64-v2"), None);
    let bytes = postcard::to_allocvec(&BASELINE).unwrap();
    assert_eq!(bytes, [0], "hosts tell each other a number that stays");
    assert_eq!(postcard::from_bytes(&bytes), Ok(BASELINE));
}

#[test]
fn the_emulator_satisfies_it_as_its_own_guests_do() {
    assert_eq!(BASELINE.satisfied_by(&Host::emulated()), Ok(()));
    /// The baseline's own guest as a host.
    struct Guest;
    impl HostCpuid for Guest {
        fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
            BASELINE.answer(leaf, subleaf, &CpuidContext { xcr0: 7, ..ONE_CPU })
        }
    }
    assert_eq!(BASELINE.satisfied_by(&Guest), Ok(()));
}

#[test]
fn each_feature_that_a_host_lacks_is_named() {
    for Feature { name, leaf, register, bit, provider } in FEATURES {
        let mut host = Host::emulated();
        if *provider == Provider::Host {
            // On a processor without it the guest has it all the same.
            if let Some((_, words)) = host.0.iter_mut().find(|(key, _)| *key == (*leaf, 0)) {
                words[*register as usize] &= !(1 << bit);
            }
            assert_eq!(BASELINE.satisfied_by(&host), Ok(()), "{name}");
        } else {
            *host.word(*leaf, 0, *register) &= !(1 << bit);
            let missing = BASELINE.satisfied_by(&host).unwrap_err();
            assert_eq!(missing.what, [Shortcoming::Feature(name)]);
            assert_eq!(missing.to_string(), format!("the processor lacks {name}"));
        }
    }
}

#[test]
fn other_shortcomings_are_named_all_at_once() {
    let mut host = Host::emulated();
    *host.word(0, 0, Register::Ebx) = 0x756e_6547;
    *host.word(0xd, 2, Register::Ebx) = 1024;
    *host.word(0x8000_0008, 0, Register::Eax) = 0x3027;
    *host.word(1, 0, Register::Ecx) &= !(1 << 28);
    let shown = BASELINE.satisfied_by(&host).unwrap_err().to_string();
    let expected = "the processor lacks AMD's instruction set, AVX, AVX state in the standard XSAVE layout, \
                    physical addresses of 40 bits (it has 39)";
    assert_eq!(shown, expected);
}

#[test]
fn leaves_beyond_the_highest_do_not_count() {
    let mut host = Host::emulated();
    // Intel answers the highest leaf's words there.
    *host.word(0, 0, Register::Eax) = 6;
    let missing = BASELINE.satisfied_by(&host).unwrap_err();
    assert!(missing.what.contains(&Shortcoming::Feature("SMEP")), "{missing}");
    assert!(missing.what.contains(&Shortcoming::ExtendedState), "{missing}");
}

#[test]
fn the_table_has_each_bit_once() {
    for (index, one) in FEATURES.iter().enumerate() {
        for other in &FEATURES[..index] {
            assert!(
                (one.leaf, one.register, one.bit) != (other.leaf, other.register, other.bit)
                    && one.name != other.name,
                "{} and {}",
                one.name,
                other.name
            );
        }
    }
}

proptest! {
    #[test]
    fn any_leaf_has_an_answer(leaf: u32, subleaf: u32, apic_id: u32, cpus: u32, cr4: u64, xcr0: u64) {
        let cpu = CpuidContext { apic_id, cpus, cr4, xcr0 };
        for leaf in [leaf, leaf & 0x1f, 0x8000_0000 | leaf & 0x1f, 0x4000_0000 | leaf & 0x1f] {
            let _ = BASELINE.answer(leaf, subleaf, &cpu);
        }
        let beyond = leaf.max(0x8000_0009);
        prop_assert_eq!(BASELINE.answer(beyond, subleaf, &cpu), CpuidResult::default());
    }
}
