//! The harness finds planted bugs within a bounded budget, shrinks their inputs, and runs them again.

use std::process::{Command, Output};

/// Executions in which a planted bug has to be found.
const BUDGET: &str = "--executions=20000";

fn fuzz(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_godwit-fuzz")).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

/// Finds the bug of a target: the bytes of its shrunk input, after it was run again.
fn find(target: &str, cause: &str) -> usize {
    let (output, text) = fuzz(&["--target", target, BUDGET, "--patience=2"]);
    assert_eq!(output.status.code(), Some(1), "{target} was not found: {text}");
    assert!(text.contains("CRASHED") && text.contains(cause), "{text}");
    let input =
        text.lines().find_map(|line| line.split_once("--input ")).map(|(_, input)| input).expect("an input");
    let (output, again) = fuzz(&["--target", target, "--input", input, "--patience=2"]);
    assert_eq!(output.status.code(), Some(1), "{target} survives {input}: {again}");
    assert!(again.contains(cause), "{again}");
    input.len() / 2
}

#[test]
fn an_index_that_is_used_before_it_is_checked() {
    assert_eq!(find("planted-index", "index out of bounds"), 12, "magic and the fixed fields are needed");
}

#[test]
fn a_length_whose_sum_wraps() {
    assert!(find("planted-length", "out of range for slice") <= 16);
}

#[test]
fn a_count_that_is_off_by_one() {
    assert_eq!(find("planted-count", "the len is 16 but the index is 16"), 12 + 17);
}

#[test]
fn memory_by_an_announced_length() {
    assert!(find("planted-allocation", "memory allocation of") <= 12);
}

#[test]
fn a_stack_that_overflows() {
    assert!(find("planted-recursion", "overflowed its stack") <= 12);
}

#[test]
fn a_loop_without_an_end() {
    find("planted-hang", "it does not end");
}

/// The same seed makes the same run, and another one another.
#[test]
fn a_run_comes_out_the_same() {
    let run = |seed| {
        let (_, text) = fuzz(&["--target", "planted-count", BUDGET, "--seed", seed]);
        let crash = text.lines().find(|line| line.starts_with("planted-count crashed")).expect("it is found");
        crash.to_owned()
    };
    assert_eq!(run("7"), run("7"));
    assert_ne!(run("7"), run("8"));
}

#[test]
fn figures_are_written() {
    let directory = std::env::temp_dir().join(format!("godwit-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let file = directory.join("figures.json");
    let path = file.to_str().expect("its name is text");
    let (output, text) = fuzz(&["--target=frame", "--target=cpu-state", "--executions=300", "--json", path]);
    let json = std::fs::read_to_string(&file);
    std::fs::remove_dir_all(&directory).expect("it goes away");
    assert!(output.status.success(), "{text}");
    let json: serde_json::Value = serde_json::from_str(&json.expect("it was written")).expect("it is JSON");
    assert_eq!(json["metrics"]["trust.fuzz_executions_ci"], 300, "a frame is no guest's");
    assert_eq!(json["metrics"]["trust.fuzz_executions.frame"], 300);
    assert_eq!(json["metrics"]["trust.fuzz_crashes"], 0);
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let (output, _) = fuzz(&["--target=nothing"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("board-restore"));
    for arguments in [&["--input=00"][..], &["--target=board", "--input=0g"]] {
        let (output, _) = fuzz(arguments);
        assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--input"));
    }
}
