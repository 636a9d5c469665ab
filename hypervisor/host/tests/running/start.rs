//! What a host says while it comes up.

use godwit_host::{
    boot::{MemoryMap, MemoryRegion, RegionKind},
    description::{CpuState, Virtualization},
};

use crate::{
    fake::{FakeMachine, Randomness},
    world::Setup,
};

fn banner(setup: Setup) -> String {
    let mut world = setup.build();
    world.run();
    world.output()
}

#[test]
fn the_banner_says_what_was_found_and_ready_stands_alone() {
    assert_eq!(
        banner(Setup::default()),
        "\n\
         Godwit 0.1.0 (build 0123abc)\n\
         \n\
         \x20 boot      PVH, command line: godwit.host=lab-a\n\
         \x20 host      lab-a in work group default, incarnation 0000000000000000123456789abcdef0\n\
         \x20 cpu       AuthenticAMD, Pretended CPU 9000\n\
         \x20           2 of 2 CPUs running, xAPIC, 40 physical address bits\n\
         \x20           time stamp counter at 2394.5 MHz by ACPI PM timer\n\
         \x20 svm       found: NPT, vGIF\n\
         \x20           missing: nRIP save, flush-by-ASID\n\
         \x20           mitigations: IBPB between guests, return stack fill at exits\n\
         \x20 memory    0x0000000000000 - 0x000000009efff   636 KiB  usable\n\
         \x20           0x000000009f000 - 0x00000000fffff   388 KiB  reserved\n\
         \x20           0x0000000100000 - 0x000000fffffff   255 MiB  usable\n\
         \x20 frames    255.6 MiB managed, 0 B used, 255.6 MiB free\n\
         \x20           127 free 2 MiB runs, 0 free 1 GiB runs, largest free run 255 MiB\n\
         \x20 pci       00:00.0 8086:1237 host bridge (Intel)\n\
         \x20           00:02.0 8086:100e Ethernet controller (Intel)\n\
         \n\
         godwit ready\n\
         lab-a> "
    );
}

#[test]
fn a_processor_without_mitigations_is_said_to_have_none() {
    let mut machine = FakeMachine::new(1);
    machine.description.mitigations.clear();
    let text = banner(Setup { machine, ..Setup::default() });
    assert!(text.contains("\n            mitigations: none offered by this processor\n"), "{text}");
}

#[test]
fn what_is_missing_or_wrong_is_said_and_the_host_comes_up() {
    let mut machine = FakeMachine::new(3);
    machine.state().randomness = Randomness::Missing;
    machine.description.virtualization = Virtualization::Missing("switch SVM on in the firmware");
    machine.description.features.iter_mut().for_each(|feature| feature.present = false);
    machine.description.cpus[1].state = CpuState::Silent;
    machine.description.cpus_beyond_support = 6;
    machine.description.pci.clear();
    machine.description.notes = vec!["ACPI table SSDT is refused: bad checksum".into()];
    let command_line = "godwit.hots=lab-a godwit.cpus=many godwit.log=warn godwit.log=info";
    let text = banner(Setup { machine, command_line, ..Setup::default() });
    for line in [
        "  host      godwit in work group default, no incarnation: no hardware randomness",
        "            2 of 3 CPUs running, xAPIC, 40 physical address bits",
        "            cpu1 did not answer the start signal",
        "            6 more CPUs are beyond what this build supports: not started",
        "  guests    cannot run here: switch SVM on in the firmware",
        "  features  missing: NPT, nRIP save, vGIF, flush-by-ASID",
        "  pci       no function found",
        "  notes     command line byte 0: unknown key \"godwit.hots\": did you mean godwit.host?",
        "            command line byte 30: bad value \"many\" for godwit.cpus: expected a number of CPUs",
        "            command line byte 51: godwit.log was given before, at byte 35: expected once; the",
        "            ACPI table SSDT is refused: bad checksum",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing from\n{text}");
    }
    assert!(text.ends_with("\ngodwit ready\ngodwit> "));
    assert!(text.lines().all(|line| line.len() <= 96), "{text}");
}

#[test]
fn corrections_of_the_memory_map_are_noted() {
    let usable = |start, bytes| MemoryRegion { start, bytes, kind: RegionKind::Usable };
    let memory = MemoryMap::from_regions(&[usable(8 << 20, 4 << 20), usable(2 << 20, 0)], 3);
    let mut world = Setup::default().build();
    let boot = godwit_host::boot::BootInfo {
        path: godwit_host::boot::BootPath::Pvh,
        regions: Default::default(),
        regions_dropped: 3,
        command_line: Default::default(),
        command_line_cut: false,
        rsdp: None,
        modules: [godwit_host::boot::Module {
            start: 0x40_0000,
            bytes: 5000,
            name: "keys".try_into().unwrap(),
        }]
        .into_iter()
        .collect(),
    };
    let command_line = godwit_host::command_line::CommandLine::parse("", false);
    let startup = godwit_host::Startup {
        version: "1",
        build_id: "x",
        boot: &boot,
        memory: &memory,
        command_line: &command_line,
    };
    let mut text = String::new();
    godwit_host::banner::write_banner(&mut text, &startup, world.machine, &world.frames.report()).unwrap();
    for line in [
        "  boot      PVH, no command line",
        "            module at 0x400000, 4.8 KiB keys",
        "  notes     the memory map has 3 more entries than are kept: their memory is not used",
        "            memory map entry 1 at 0x200000 is out of order: sorted",
        "            memory map entry 1 at 0x200000 is empty: left out",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is missing from\n{text}");
    }
    world.run();
}

#[test]
fn memory_is_fragmented_before_the_host_is_ready() {
    let command_line = "godwit.host=lab-a godwit.fragment=50:7";
    let text = banner(Setup { command_line, ..Setup::default() });
    let fragmented = text.find("\nfragmented 50 % with seed 7: 64 of 127 free 2 MiB blocks broken up by ");
    let ready = text.find("\ngodwit ready\n");
    assert!(fragmented.is_some() && fragmented < ready, "{text}");
    assert!(text.contains("free 2 MiB runs: 127 before, 63 after"), "{text}");
}
