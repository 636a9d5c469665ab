//! The command line: each message word for word, and any line survived.

use godwit_host::{
    command_line::{CommandLine, KEYS, MAX_PROBLEMS, Options, Problem, ProblemKind},
    fragment::FragmentSetting,
    name::Name,
    network::{Peers, Subnet},
    svm_without::SvmWithout,
};
use log::LevelFilter;
use proptest::prelude::*;

fn messages(line: &str) -> (Options, Vec<String>) {
    let read = CommandLine::parse(line, false);
    (read.options, read.problems().iter().map(ToString::to_string).collect())
}

#[test]
fn every_key_sets_its_option() {
    let line = "godwit.host=lab-a godwit.group=\"bench-1\" godwit.log=debug godwit.cpus=2 godwit.fragment=60:7 godwit.tsc_hz=2600000000 \
         godwit.address=10.0.0.1/24 godwit.peers=lab-b@10.0.0.2,lab-c@10.0.0.3 godwit.svm_without=nrip,clean-bits";
    let (options, problems) = messages(line);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(
        options,
        Options {
            host: Name::new("lab-a"),
            group: Name::new("bench-1"),
            log: LevelFilter::Debug,
            cpus: Some(2),
            fragment: Some(FragmentSetting { percent: 60, seed: 7 }),
            tsc_hz: Some(2_600_000_000),
            address: Subnet::new([10, 0, 0, 1].into(), 24),
            peers: Peers::parse("lab-b@10.0.0.2,lab-c@10.0.0.3").unwrap(),
            svm_without: SvmWithout { next_rip: true, clean_bits: true, ..SvmWithout::default() },
        }
    );
    assert_eq!((options.host_name(), options.group_name()), ("lab-a", "bench-1"));
}

#[test]
fn an_empty_line_leaves_every_default() {
    let (options, problems) = messages("  ");
    assert_eq!((options, problems.len()), (Options::default(), 0));
    assert_eq!((options.host_name(), options.group_name()), ("godwit", "default"));
}

#[test]
fn an_unknown_key_is_reported_with_the_key_it_resembles() {
    for (line, expected) in [
        ("x=1 godwit.hots=a", "command line byte 4: unknown key \"godwit.hots\": did you mean godwit.host?"),
        ("x=1 godwti.host=a", "command line byte 4: unknown key \"godwti.host\": did you mean godwit.host?"),
        ("x=1 group=a", "command line byte 4: unknown key \"group\": did you mean godwit.group?"),
        (
            "x=1 console=ttyS0",
            "command line byte 4: unknown key \"console\"; known keys are godwit.host, godwit.group, godwit.log, \
             godwit.cpus, godwit.fragment, godwit.tsc_hz, godwit.address, godwit.peers, godwit.svm_without.",
        ),
    ] {
        let (options, problems) = messages(line);
        assert_eq!(options, Options::default());
        assert_eq!(problems.get(1).map(String::as_str), Some(expected));
    }
}

#[test]
fn a_bad_value_is_reported_and_keeps_the_default_and_the_rest_counts() {
    for (word, expected) in [
        (
            "godwit.host=a.b",
            "bad value \"a.b\" for godwit.host: expected 1 to 32 letters, digits and inner hyphens, such as \
             lab-a; the host is called godwit",
        ),
        (
            "godwit.group=\"\"",
            "bad value \"\" for godwit.group: expected 1 to 32 letters, digits and inner hyphens, such as lab-a; \
             the host belongs to group default",
        ),
        (
            "godwit.log=loud",
            "bad value \"loud\" for godwit.log: expected off, error, warn, info, debug or trace; the log level is \
             info",
        ),
        (
            "godwit.fragment=60",
            "bad value \"60\" for godwit.fragment: expected PERCENT:SEED with a percentage from 1 to 100, such as \
             60:7; memory stays as it is",
        ),
        (
            "godwit.address=10.0.0.1",
            "bad value \"10.0.0.1\" for godwit.address: expected a host's IPv4 address and prefix length, such as \
             10.0.0.1/24; the host has no network address",
        ),
        (
            "godwit.peers=lab-b",
            "bad value \"lab-b\" for godwit.peers: expected up to 16 times NAME@ADDRESS with commas between, such \
             as lab-b@10.0.0.2; no other host is known by name",
        ),
    ] {
        let (options, problems) = messages(&format!("{word} godwit.cpus=3"));
        assert_eq!(options, Options { cpus: Some(3), ..Options::default() });
        let position = word.find('=').map_or(0, |at| at + 1) + usize::from(word.contains('"'));
        assert_eq!(problems, [format!("command line byte {position}: {expected}")]);
    }
    for cpus in ["0", "65", "+1", "1.5", "", "99999999999", "two"] {
        let (options, problems) = messages(&format!("godwit.cpus={cpus}"));
        assert_eq!((options.cpus, problems.len()), (None, 1), "{cpus}");
        assert!(problems[0].ends_with("expected a number of CPUs from 1 to 64; every CPU is started"));
    }
}

#[test]
fn features_of_svm_are_named_once_each() {
    let (options, problems) = messages("godwit.svm_without=decode-assists,flush-by-asid,nrip,clean-bits");
    let all = SvmWithout { next_rip: true, decode_assists: true, flush_by_asid: true, clean_bits: true };
    assert_eq!((options.svm_without, problems.len()), (all, 0));
    for list in ["", "nrip,", "npt", "nrip,nrip", "nrip clean-bits", "NRIP", "nrip, clean-bits"] {
        let (options, problems) = messages(&format!("godwit.svm_without=\"{list}\""));
        assert_eq!(options, Options::default(), "{list}");
        assert_eq!(
            problems,
            [format!(
                "command line byte 20: bad value \"{list}\" for godwit.svm_without: expected nrip, decode-assists, \
                 flush-by-asid and clean-bits, each once at most, with commas between; every feature that the \
                 processor has is used"
            )]
        );
    }
}

#[test]
fn a_repeated_key_keeps_its_default() {
    let (options, problems) = messages("godwit.host=a godwit.cpus=2 godwit.host=b godwit.host=c");
    assert_eq!(options, Options { cpus: Some(2), ..Options::default() });
    let said = |position| {
        format!(
            "command line byte {position}: godwit.host was given before, at byte 0: expected once; the host is \
             called godwit"
        )
    };
    assert_eq!(problems, [said(28), said(42)]);
}

#[test]
fn malformed_words_are_reported_where_they_are() {
    let (options, problems) = messages("quiet godwit.host=\"a\"b godwit.group=\"lab godwit.cpus=2");
    assert_eq!(options, Options::default());
    assert_eq!(problems.len(), 3);
    assert!(
        problems[0]
            .starts_with("command line byte 0: \"quiet\" has no value: expected key=value; known keys")
    );
    assert_eq!(
        problems[1],
        "command line byte 21: expected a space after the quoted value of \"godwit.host\"; the word is left out"
    );
    assert_eq!(
        problems[2],
        "command line byte 36: the quote after \"godwit.group=\" is never closed: expected another \"; the rest is \
         left out"
    );
}

#[test]
fn the_last_word_of_a_cut_line_is_not_obeyed() {
    let read = CommandLine::parse("godwit.cpus=2 godwit.host=lab", true);
    assert_eq!(read.options, Options { cpus: Some(2), ..Options::default() });
    assert_eq!(read.problems(), [Problem { position: 14, kind: ProblemKind::Cut }]);
}

#[test]
fn messages_carry_no_control_characters_and_stay_short() {
    let (_, problems) = messages(&format!("{}=1 godwit.host=\"a\u{1b}[2Jb\"", "k".repeat(3000)));
    assert!(
        problems.iter().all(|text| text.len() < 240 && !text.chars().any(char::is_control)),
        "{problems:?}"
    );
    assert!(problems[1].contains("\"a?[2Jb\""));
}

#[test]
fn problems_beyond_the_bound_are_counted() {
    let read = CommandLine::parse(&"x ".repeat(MAX_PROBLEMS + 5), false);
    assert_eq!((read.problems().len(), read.problems_left_out()), (MAX_PROBLEMS, 5));
}

/// Lines made of pieces that mean something, so that odd orders of them are common.
fn line() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(KEYS.iter().map(|key| key.name.to_owned()).collect::<Vec<_>>()),
        prop::sample::select(vec!["=", "\"", " ", ":", "60:7", "lab-a", "\u{0}", "é", "=2"])
            .prop_map(String::from),
        ".{0,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_line_is_survived(line in prop_oneof![line(), any::<String>()], cut: bool) {
        let read = CommandLine::parse(&line, cut);
        prop_assert!(read.problems().iter().all(|problem| problem.position <= line.len()));
        prop_assert!(read.problems().windows(2).all(|pair| pair[0].position <= pair[1].position));
        for problem in read.problems() {
            prop_assert!(!problem.to_string().chars().any(char::is_control));
        }
    }
}
