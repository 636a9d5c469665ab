//! A person at the console.

use proptest::prelude::*;

use crate::{
    fake::FakeMachine,
    world::{Setup, World},
};

fn ready() -> World {
    Setup::default().ready()
}

#[test]
fn a_whole_session() {
    let mut world = Setup { machine: FakeMachine::new(4), ..Setup::default() }.ready();
    assert!(world.command("help").contains("\n  frames [raw]             a picture of the frames"));
    let cpus = world.command("cpus");
    assert!(cpus.contains("  cpu3           6  running  1000.1 MHz\n"), "{cpus}");
    assert!(world.command("pci").contains("00:02.0 8086:100e Ethernet controller (Intel)"));
    assert!(world.command("memory").contains("  255 MiB  usable\n"));
    let frames = world.command("frames");
    assert!(frames.contains("  0x000000000000  ................ "), "{frames}");
    assert!(world.command("fragment 60 7").contains("free 2 MiB runs: 127 before, 50 after"));
    let frames = world.command("frames");
    assert!(frames.contains("u partly unmovable") && frames.contains("+ partly used"), "{frames}");
    assert!(frames.contains("  fragmented on purpose, 60 % with seed 7: "), "{frames}");
    assert!(world.command("selftest frames").starts_with("selftest frames: passed ("));
    assert!(world.command("defragment").contains("free 2 MiB runs: 50 before, 127 after"));
    assert_eq!(
        world.command("poweroff"),
        "godwit powering off\npowering off failed: the switch is only pretended\n"
    );
    assert_eq!(world.command("reboot"), "godwit rebooting\nrebooting failed: the button is only pretended\n");
    assert_eq!(world.machine.state().power, ["off", "reset"]);
}

#[test]
fn about_repeats_who_the_host_is() {
    let mut world = ready();
    world.machine.state().now_ns = 3_723 * 1_000_000_000;
    let about = world.command("about");
    for line in [
        "Godwit 0.1.0 (build 0123abc)",
        "  host      lab-a in work group default, incarnation 0000000000000000123456789abcdef0",
        "  svm       found: NPT, vGIF",
        "            mitigations: IBPB between guests, return stack fill at exits",
        "  up        1:02:03",
    ] {
        assert!(about.lines().any(|found| found == line), "{line:?} is missing from\n{about}");
    }
}

#[test]
fn every_command_has_help_and_refuses_words_that_it_does_not_take() {
    let mut world = ready();
    let listed = world.command("help");
    let names: Vec<_> =
        listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    let names: Vec<_> = names.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 13, "{listed}");
    for name in names.iter().filter(|name| **name != "Tab") {
        assert!(world.command(&format!("help {name}")).starts_with(name));
        let refusal = world.command(&format!("{name} a b c"));
        assert!(refusal.starts_with(&format!("{name}: expected \"{name}")), "{refusal}");
        assert!(refusal.ends_with(&format!("; see \"help {name}\"\n")), "{refusal}");
    }
    assert!(world.machine.state().power.is_empty());
}

#[test]
fn every_line_of_output_fits_the_console() {
    let mut world = ready();
    for command in [
        "help",
        "help fragment",
        "about",
        "cpus",
        "memory",
        "frames",
        "pci",
        "network",
        "selftest",
        "selftest all",
    ] {
        let output = world.command(command);
        assert!(output.lines().all(|line| line.len() <= 100), "{command}:\n{output}");
        assert!(output.ends_with('\n'), "{command}");
    }
}

#[test]
fn an_unknown_word_is_answered_with_what_may_be_meant() {
    let mut world = ready();
    assert_eq!(world.command("farmes"), "unknown command \"farmes\": did you mean \"frames\"?\n");
    assert_eq!(world.command("migrate web-1"), "unknown command \"migrate\"; \"help\" lists them\n");
    assert_eq!(world.command("help cpu"), "unknown command \"cpu\": did you mean \"cpus\"?\n");
    assert_eq!(world.command("selftest clok"), "unknown selftest \"clok\": did you mean \"clock\"?\n");
    assert_eq!(world.command("selftest xyz"), "unknown selftest \"xyz\"; \"selftest\" lists them\n");
    assert_eq!(
        world.command("fragment 0 7"),
        "fragment: expected a percentage from 1 to 100 and a seed, such as \"fragment 60 7\"\n"
    );
    assert!(world.command("fragment 60").starts_with("fragment: expected \"fragment [PERCENT SEED]\""));
    assert_eq!(world.command("defragment"), "memory is not fragmented on purpose: nothing to give back\n");
    assert_eq!(world.command("  "), "");
}

#[test]
fn the_log_level_is_shown_and_set() {
    let mut world = ready();
    assert_eq!(world.command("log warn"), "log level is warn\n");
    assert_eq!(log::max_level(), log::LevelFilter::Warn);
    assert_eq!(world.command("log"), "log level is warn\n");
    assert_eq!(world.command("log loud"), "log: expected off, error, warn, info, debug or trace\n");
    assert_eq!(log::max_level(), log::LevelFilter::Warn);
}

#[test]
fn the_raw_picture_is_complete_in_itself() {
    let mut world = ready();
    let raw = world.command("frames raw");
    let lines: Vec<_> = raw.lines().collect();
    assert!(
        lines[0].starts_with("frames raw 1 report total=65438 free=65438 cached=0 largest=65280 runs="),
        "{raw}"
    );
    assert_eq!(lines[1..], ["frames raw 1 blocks at=0x0 rle=f128", "frames raw 1 end blocks=128"]);
}

#[test]
fn what_is_typed_while_a_job_runs_is_kept_for_afterwards() {
    let mut world = ready();
    let output = world.enter("fragment 60 7\rselftest heap\rdefragment\r");
    let order = [
        "\nfragmented 60 %",
        "lab-a> selftest heap\n",
        "heap: passed",
        "lab-a> defragment\n",
        "frames back\n",
    ];
    let places: Vec<_> = order.iter().map(|text| output.find(text)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {output}");
}

#[test]
fn control_c_stops_a_job() {
    let mut world = Setup { memory_mib: 2048, ..Setup::default() }.ready();
    world.feed(b"fragment 90 7\r");
    world.turn();
    world.turn();
    let output = world.enter("junk\x03");
    assert!(output.contains("^C\nfragmented 90 % with seed 7: "), "{output}");
    assert!(output.ends_with("stopped early; \"defragment\" gives the frames back\nlab-a> "), "{output}");
    assert!(world.command("defragment").contains(" frames back\n"));
    assert_eq!(world.frames.report().used_frames(), 0);
    world.feed(b"selftest clock\r");
    world.turn();
    world.turn();
    assert!(world.enter("\x03").ends_with("^C\nselftest clock: stopped\nlab-a> "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            "frames", "help", "log info", "fragment 60 7", "defragment", "selftest heap", " ", "\t", "\r", "\r\n",
            "\x1b[A", "\x1b[", "\x1b[3~", "\x03", "é",
        ]).prop_map(|text| text.as_bytes().to_vec()),
    ], 0..60)) {
        let mut world = Setup { memory_mib: 32, ..Setup::default() }.ready();
        world.feed(&bytes.concat());
        world.run();
        world.output();
        // Whatever state that left, Ctrl-C leads back to an empty line.
        let output = world.enter("~\x03");
        prop_assert!(output.ends_with("^C\nlab-a> "), "{:?}", output);
        prop_assert_eq!(world.command("fragment 101 1").lines().count(), 1);
    }
}
