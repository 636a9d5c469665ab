//! The guest's way from one host to the other, told as it happens.

use std::{
    io::{IsTerminal, Write, stdout},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use godwit_lab::{GuestLine, Lab, RunningHost};

use super::{
    ANSWER,
    beats::{Beats, LongestGap},
};

/// How long the guest may take from its start to what it is asked for, and a move.
const GUEST: Duration = Duration::from_secs(180);
/// Beats that are shown on each host.
const SHOWN: usize = 4;
/// Ctrl-], which leaves a guest's console.
const LEAVE_CONSOLE: &[u8] = b"\x1d";

/// Two hosts, and the guest that goes from one to the other.
pub(super) struct Journey<'l> {
    pub(super) lab: &'l Lab,
    pub(super) guest: &'l str,
    pub(super) source: &'l RunningHost,
    pub(super) destination: &'l RunningHost,
}

/// What the move cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    /// How long the guest stood still, as the source says.
    pub(super) paused: Duration,
    /// Bytes of the guest's memory that were sent.
    pub(super) page_bytes: u64,
    /// Ethernet bytes that both hosts sent meanwhile.
    pub(super) wire_bytes: u64,
}

/// What the guest said about itself afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) beats: Beats,
    /// The longest time between two beats around the move.
    pub(super) gap: Duration,
    /// Rounds over the pages that the guest rewrites, all right.
    pub(super) page_rounds: u64,
}

impl Journey<'_> {
    /// Waits until the guest runs on the source and has filled its memory; shows its first beats.
    ///
    /// # Errors
    /// It does not come that far, or finds something wrong with itself.
    pub(super) fn watch_start(&self) -> Result<Beats> {
        let mut beats = Beats::default();
        let (mut is_up, mut is_filled) = (false, false);
        self.open_console(self.source)?;
        println!("  Linux boots ...");
        self.listen(self.source, "the guest's beats", |line| {
            match GuestLine::parse(line) {
                Some(GuestLine::UserSpace { ns }) if !is_up => {
                    is_up = true;
                    println!("  Linux started its first program {}", at(ns));
                }
                Some(GuestLine::Beat { number, ns }) => {
                    let is_new = beats.hear(number, ns);
                    if is_new && beats.count() <= SHOWN {
                        println!("  beat {number} {}", at(ns));
                    }
                }
                Some(GuestLine::FillOk { .. }) => is_filled = true,
                _ => {}
            }
            is_up && is_filled && beats.count() >= SHOWN
        })?;
        self.leave_console(self.source)?;
        Ok(beats)
    }

    /// Sends the guest to the destination and shows how that goes.
    ///
    /// # Errors
    /// It did not arrive; what the source says about it.
    pub(super) fn send(&self) -> Result<Moved> {
        let (guest, to) = (self.guest, self.destination.name());
        let before = self.bytes_sent()?;
        self.source.type_line(&format!("send {guest} {to}"))?;
        self.source.expect(&format!("> send {guest} {to}\n"), ANSWER)?;
        let progress = Progress::new();
        // The last line it writes is no progress any more.
        let under_way = format!("{guest} to {to}: ");
        let said = self.source.watch_prompt(GUEST, |line| {
            if line.starts_with(&under_way) {
                progress.show(line);
            }
        });
        progress.clear();
        let said = said?;
        print!("{said}");
        let arrived = said.lines().any(|line| line.starts_with(&format!("{guest} runs on {to}")));
        ensure!(arrived, "{guest} did not move; {} says above why", self.source.name());
        let paused = paused(&said).with_context(|| format!("no pause in what it says:\n{said}"))?;
        let page_bytes =
            page_bytes(&said).with_context(|| format!("no page bytes in what it says:\n{said}"))?;
        Ok(Moved { paused, page_bytes, wire_bytes: self.bytes_sent()? - before })
    }

    /// Waits at the destination until the guest has beaten on and checked its memory there; shows the beats since `last`.
    ///
    /// # Errors
    /// It does not go on, or something was lost on the way.
    pub(super) fn watch_arrival(&self, last: u64, moved: &Moved) -> Result<Account> {
        let mut beats = Beats::default();
        self.open_console(self.destination)?;
        println!(
            "  (the console came with its guest and shows again what was said on {})",
            self.source.name()
        );
        self.listen(self.destination, "beats after the move", |line| {
            if let Some(GuestLine::Beat { number, ns }) = GuestLine::parse(line) {
                beats.hear(number, ns);
            }
            let gap = beats.longest_gap_from(last).filter(|gap| gap.gap >= moved.paused);
            gap.is_some_and(|gap| beats.count_after(gap.before_beat) + 1 >= SHOWN)
        })?;
        // Of two rounds over its memory that end from now on the second began here; the same goes for the fill.
        let (mut rounds, mut fills) = (Vec::new(), Vec::new());
        self.listen(self.destination, "two checks of the guest's memory", |line| {
            match GuestLine::parse(line) {
                Some(GuestLine::PagesOk { round }) if !rounds.contains(&round) => rounds.push(round),
                Some(GuestLine::FillOk { number }) if !fills.contains(&number) => fills.push(number),
                _ => {}
            }
            rounds.len() >= 2 && fills.len() >= 2
        })?;
        self.leave_console(self.destination)?;

        let gap = beats.longest_gap_from(last).context("no beat after the move")?;
        show_around(&beats, last, gap);
        beats.check()?;
        Ok(Account { beats, gap: gap.gap, page_rounds: rounds.into_iter().max().unwrap_or(0) })
    }

    fn open_console(&self, host: &RunningHost) -> Result<()> {
        println!("{}> console {}", host.name(), self.guest);
        host.type_line(&format!("console {}", self.guest))?;
        host.expect(&format!("console of {}", self.guest), ANSWER).map(drop)
    }

    fn leave_console(&self, host: &RunningHost) -> Result<()> {
        host.type_bytes(LEAVE_CONSOLE)?;
        host.wait_prompt(ANSWER).map(drop)
    }

    /// Shows `heard` every line of the guest until it has heard enough. A line may come more than once.
    fn listen(&self, host: &RunningHost, what: &str, mut heard: impl FnMut(&str) -> bool) -> Result<()> {
        let mut bad = None;
        let is_over = |line: &str| {
            if let Some(GuestLine::Bad(text)) = GuestLine::parse(line) {
                bad = Some(text);
            }
            bad.is_some() || heard(line)
        };
        host.expect_line(what, is_over, GUEST)?;
        match bad {
            Some(text) => bail!("{} found something wrong on {}: {text}", self.guest, host.name()),
            None => Ok(()),
        }
    }

    /// Ethernet bytes that the hosts have sent so far.
    fn bytes_sent(&self) -> Result<u64> {
        let ports = [self.lab.port(self.source.name())?, self.lab.port(self.destination.name())?];
        Ok(ports.iter().map(|port| port.counters().from_host.bytes).sum())
    }
}

/// Shows the last beats before the longest gap, and those after it.
fn show_around(beats: &Beats, last: u64, gap: LongestGap) {
    for (number, ns) in beats.from(last) {
        if number == gap.before_beat {
            println!("  -- here it moved: {} ms without a beat", gap.gap.as_millis());
        }
        println!("  beat {number} {}", at(ns));
    }
}

/// A time of the guest for people.
fn at(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("at {}.{:03} s by the guest's clock", ms / 1000, ms % 1000)
}

/// How long the guest stood still: `… stood still for 812 ms of …`.
fn paused(said: &str) -> Option<Duration> {
    let (_, rest) = said.split_once("stood still for ")?;
    let (number, _) = rest.split_once(" ms")?;
    number.parse().ok().map(Duration::from_millis)
}

/// How much memory went over: `… 113881088 page bytes …`.
fn page_bytes(said: &str) -> Option<u64> {
    let (before, _) = said.split_once(" page bytes")?;
    before.split_whitespace().next_back()?.parse().ok()
}

/// The line about progress: one that changes on a terminal, several where the output goes to a file.
struct Progress {
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { is_terminal: stdout().is_terminal() }
    }

    fn show(&self, line: &str) {
        if self.is_terminal {
            print!("\r{line}\x1b[K");
            // Progress that is not seen is no reason to give up.
            let _ = stdout().flush();
        } else {
            println!("{line}");
        }
    }

    fn clear(&self) {
        if self.is_terminal {
            print!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_move_cost() {
        let said = "web-1 runs on south: it stood still for 812 ms of the 1004 ms that the move took\n  \
                    62914560 page bytes sent, 196 MiB zero and not sent\n";
        assert_eq!(paused(said), Some(Duration::from_millis(812)));
        assert_eq!(page_bytes(said), Some(60 << 20));
        assert_eq!(page_bytes("page bytes"), None);
        assert_eq!(paused("web-1 stays here: the connection to the peer is lost\n"), None);
    }
}
