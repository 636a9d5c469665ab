//! The lab against a shell script that stands in for QEMU: what it does when a host talks, stays silent, or dies.

use std::{
    env, fs, io,
    io::{BufRead, Read},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use godwit_lab::{Emulator, HostSpec, RunningHost};
use tempfile::TempDir;

/// Long enough for anything that comes at all.
const SOON: Duration = Duration::from_secs(30);
/// Short enough to wait for in vain.
const BRIEFLY: Duration = Duration::from_millis(50);
/// The stand-in: any file will do as the image.
const FAKE_QEMU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-qemu");

fn spec(script: &str) -> HostSpec {
    let emulator = Emulator { program: FAKE_QEMU.into(), accelerator: "tcg".into() };
    let extra_arguments = vec!["-script".into(), script.into()];
    HostSpec { emulator, extra_arguments, ..HostSpec::new("fake", FAKE_QEMU).unwrap() }
}

fn start(script: &str) -> RunningHost {
    RunningHost::start(&spec(script)).unwrap()
}

#[test]
fn talks_to_a_monitor() {
    let host = start(
        r#"printf 'booting\r\ngodwit ready\r\nfake> ' >&0
        read -r line <&0
        printf 'fake> wrong\rfake> %s\033[K\r\nyou said %s\r\nfake> ' "$line" "$line" >&0
        read -r rest <&0"#,
    );
    assert_eq!(host.wait_ready(SOON).unwrap(), "booting\ngodwit ready\n");
    host.type_bytes(b"hello\n").unwrap();
    let answer = host.expect_line("an answer", |line| line.starts_with("you"), SOON).unwrap();
    assert_eq!((answer.before.as_str(), answer.text.as_str()), ("fake> hello\n", "you said hello"));
    assert_eq!(host.transcript(), "booting\ngodwit ready\nfake> hello\nyou said hello\nfake> ");
}

#[test]
fn a_command_returns_what_it_printed() {
    // Reads bytes up to the carriage return, as a serial monitor does.
    let host = start(
        r#"printf 'fake> ' >&0
        typed=$(head -c 5 <&0)
        printf 'cpus\r\n1 of 1 runs\r\nfake> ' >&0
        read -r rest <&0"#,
    );
    host.wait_prompt(SOON).unwrap();
    assert_eq!(host.command("cpus", SOON).unwrap(), "1 of 1 runs\n");
}

#[test]
fn a_silent_host_meets_its_deadline() {
    let host = start(r"printf 'one\ntwo\n' >&0; read -r line <&0");
    host.expect("two", SOON).unwrap();
    let error = host.expect("three", BRIEFLY).unwrap_err().to_string();
    for part in ["host fake", "`three`", "did not come", "| one", "| two"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn a_host_that_ends_is_noticed_at_once() {
    let mut host = start("printf 'last words' >&0; echo 'qemu: out of memory' >&2; exit 3");
    let asked = Instant::now();
    let error = host.expect("godwit ready", SOON).unwrap_err().to_string();
    assert!(asked.elapsed() < SOON);
    for part in ["ended before `godwit ready`", "last words", "QEMU said: qemu: out of memory"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let exit = host.wait_exit(SOON).unwrap();
    assert_eq!((exit.status.code(), exit.reason), (Some(3), None));
}

#[test]
fn the_reason_for_a_shutdown_is_read() {
    let event = r#"{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}"#;
    let exit = start(&format!("echo '{event}' >&1")).wait_exit(SOON).unwrap();
    assert!(exit.status.success());
    assert_eq!(exit.reason.as_deref(), Some("guest-shutdown"));
}

#[test]
fn an_emulator_that_does_not_start_says_why() {
    let with_program =
        |program: &str| Emulator { program: program.into(), accelerator: "no-such-accelerator".into() };
    // `ls` knows none of QEMU's options, and complains as QEMU does of an option that it does not know.
    let complains = HostSpec { emulator: with_program("ls"), ..spec("") };
    let error = RunningHost::start(&complains).unwrap_err().to_string();
    assert!(error.contains("host fake: ls did not start") && error.contains("QEMU said: ls"), "{error}");
    let missing = HostSpec { emulator: with_program("/nowhere/qemu"), ..spec("") };
    let error = RunningHost::start(&missing).unwrap_err().to_string();
    assert!(error.contains("did not start") && error.contains("setpriv: failed to execute"), "{error}");
    let no_image = HostSpec { image: "/nowhere/image".into(), ..spec("") };
    let error = format!("{:#}", RunningHost::start(&no_image).unwrap_err());
    assert!(error.contains("no image at /nowhere/image"), "{error}");
}

#[test]
fn a_dropped_host_is_gone() {
    let host = start("read -r line <&0");
    let process = format!("/proc/{}", host.process_id());
    assert!(Path::new(&process).exists());
    drop(host);
    assert!(!Path::new(&process).exists());
}

/// Runs this very test program again as a process of its own, which starts a host and is killed while it runs.
#[test]
fn a_host_ends_with_the_program_that_started_it() {
    const HELD_OPEN: &str = "GODWIT_LAB_TEST_HELD_OPEN";
    if let Ok(held_open) = env::var(HELD_OPEN) {
        let host = start(&format!("exec 3>{held_open}; echo open >&3; read -r line <&0"));
        // Until killed: nothing is ever printed here.
        host.expect("never", Duration::from_secs(600)).unwrap();
    }
    let directory = TempDir::new().unwrap();
    let held_open = directory.path().join("held-open");
    assert!(Command::new("mkfifo").arg(&held_open).status().unwrap().success());
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_host_ends_with_the_program_that_started_it"])
        .env(HELD_OPEN, &held_open)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The end of this pipe is the end of the stand-in, which alone holds it open.
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut pipe = io::BufReader::new(fs::File::open(held_open).unwrap());
        let mut first = String::new();
        pipe.read_line(&mut first).unwrap();
        said.send(first).unwrap();
        let mut rest = String::new();
        pipe.read_to_string(&mut rest).unwrap();
        said.send("ended".to_owned()).unwrap();
    });
    assert_eq!(heard.recv_timeout(SOON).unwrap(), "open\n");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(heard.recv_timeout(SOON).unwrap(), "ended");
}
