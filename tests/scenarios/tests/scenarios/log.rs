//! What CPUs log while somebody types: every line whole, and the prompt below them as it was.

use anyhow::{Result, ensure};
use godwit_scenarios::{ANSWER, boot, sized_spec};

const CPUS: u32 = 8;
/// How often all CPUs are asked. In about a third of the rounds lines are logged after the prompt was drawn, so that it has
/// to be drawn again; every round ends the same.
const ROUNDS: usize = 20;

#[test]
fn a_half_typed_line_stands_below_what_other_processors_log() -> Result<()> {
    let (host, _) = boot(&sized_spec("north-1", CPUS, "128MiB")?)?;
    host.command("log debug", ANSWER)?;
    for _ in 0..ROUNDS {
        // What follows Enter is typed ahead: it is half a line once the test is over. Each CPU logs after it has answered,
        // when the first CPU may sleep at its prompt already.
        host.type_bytes(b"selftest mailbox\rlo")?;
        for _ in 0..CPUS {
            let line = host.expect_line("an answer's log", |line| line.ends_with("is answered"), ANSWER)?;
            ensure!(line.text.starts_with('['), "something stands before a line of the log: {}", line.text);
        }
        host.expect("north-1> lo", ANSWER)?;
        ensure!(host.transcript().ends_with("\nnorth-1> lo"), "{}", host.transcript());
        host.type_bytes(b"g\r")?;
        let answer = host.wait_prompt(ANSWER)?;
        ensure!(answer == "g\nlog level is debug\n", "{answer}");
    }
    Ok(())
}
