//! A stream as it arrives, shared between the thread that reads it and those that wait for it to say something.

use std::{
    io::Read,
    iter,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::screen::Screen;

/// Bytes taken from the stream at once.
const READ_BYTES: usize = 4096;

/// What was waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Match {
    /// Everything since the last match, up to this one.
    pub before: String,
    /// The matched text, or the matched line without its end.
    pub text: String,
}

/// A finished line and when it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StampedLine {
    /// When the lab read its end. Nobody who waits delays that: a thread of its own reads.
    pub at: Instant,
    /// The line without its end.
    pub text: String,
}

/// Why a wait ended without a match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoMatch {
    /// The deadline passed.
    Deadline,
    /// The stream ended: nothing more will come.
    Ended,
}

/// All that a stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    screen: Screen,
    /// Where in the screen's text the next search starts.
    cursor: usize,
    /// When each of the screen's finished lines came.
    arrivals: Vec<Instant>,
    ended: bool,
}

impl State {
    fn show(&mut self, bytes: &[u8], now: Instant) {
        let before = self.screen.finished().len();
        self.screen.show(bytes);
        let finished = self.screen.finished()[before..].bytes().filter(|byte| *byte == b'\n').count();
        self.arrivals.extend(iter::repeat_n(now, finished));
    }
}

impl Transcript {
    /// Starts a thread that reads `stream` to its end.
    pub(crate) fn follow(mut stream: impl Read + Send + 'static) -> Arc<Self> {
        let transcript = Arc::new(Self::default());
        let writer = Arc::clone(&transcript);
        thread::spawn(move || {
            let mut bytes = [0; READ_BYTES];
            // A stream that fails has ended for us: an emulator that is killed resets its sockets.
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let now = Instant::now();
                writer.lock().show(&bytes[..count], now);
                writer.changed.notify_all();
            }
            writer.lock().ended = true;
            writer.changed.notify_all();
        });
        transcript
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.lock().screen.text()
    }

    /// Every finished line so far, and when it came.
    pub(crate) fn stamped_lines(&self) -> Vec<StampedLine> {
        let state = self.lock();
        let lines = state.screen.finished().lines().zip(&state.arrivals);
        lines.map(|(text, at)| StampedLine { at: *at, text: text.to_owned() }).collect()
    }

    /// Waits until `needle` appears after the last match.
    pub(crate) fn expect(&self, needle: &str, deadline: Instant) -> Result<Match, NoMatch> {
        self.wait(deadline, |state| {
            let text = state.screen.text();
            let (start, unread) = unread(&text, state.cursor);
            let at = unread.find(needle)?;
            state.cursor = start + at + needle.len();
            Some(Match { before: unread[..at].to_owned(), text: needle.to_owned() })
        })
    }

    /// Waits until a whole line after the last match satisfies `wanted`.
    pub(crate) fn expect_line(
        &self,
        mut wanted: impl FnMut(&str) -> bool,
        deadline: Instant,
    ) -> Result<Match, NoMatch> {
        self.wait(deadline, |state| {
            let (start, unread) = unread(state.screen.finished(), state.cursor);
            let mut at = 0;
            for line in unread.split_inclusive('\n') {
                let content = line.trim_end_matches('\n');
                if wanted(content) {
                    let found = Match { before: unread[..at].to_owned(), text: content.to_owned() };
                    state.cursor = start + at + line.len();
                    return Some(found);
                }
                at += line.len();
            }
            None
        })
    }

    /// Waits until the line under the cursor is exactly `line`, as a prompt is; the next search starts with that line. Shows `seen`
    /// each other line that is written there meanwhile up to an erased end, as a line about progress is; one that is there only
    /// for a moment may be passed over.
    pub(crate) fn watch_current_line(
        &self,
        line: &str,
        deadline: Instant,
        mut seen: impl FnMut(&str),
    ) -> Result<Match, NoMatch> {
        let mut last = String::new();
        self.wait(deadline, |state| {
            let text = state.screen.text();
            let finished_bytes = state.screen.finished().len();
            let current = &text[finished_bytes..];
            if current != line {
                if state.screen.is_drawn() && current != last {
                    seen(current);
                    current.clone_into(&mut last);
                }
                return None;
            }
            let (_, before) = unread(&text[..finished_bytes], state.cursor);
            let found = Match { before: before.to_owned(), text: line.to_owned() };
            state.cursor = finished_bytes;
            Some(found)
        })
    }

    /// Waits until the stream has ended.
    pub(crate) fn expect_end(&self, deadline: Instant) -> Result<(), NoMatch> {
        match self.wait(deadline, |state| state.ended.then_some(())) {
            Ok(()) | Err(NoMatch::Ended) => Ok(()),
            Err(NoMatch::Deadline) => Err(NoMatch::Deadline),
        }
    }

    fn wait<T>(
        &self,
        deadline: Instant,
        mut attempt: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<T, NoMatch> {
        let mut state = self.lock();
        loop {
            if let Some(found) = attempt(&mut state) {
                return Ok(found);
            }
            if state.ended {
                return Err(NoMatch::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(NoMatch::Deadline);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A thread that panicked while it held the lock has left the text as it was: the text is still good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of `text` from `cursor` on, and where it starts: a redrawn line may have become shorter than the cursor.
fn unread(text: &str, cursor: usize) -> (usize, &str) {
    let mut start = cursor.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    (start, &text[start..])
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn pair() -> (UnixStream, Arc<Transcript>) {
        let (near, far) = UnixStream::pair().unwrap();
        (near, Transcript::follow(far))
    }

    #[test]
    fn finds_text_in_order_and_only_once() {
        let (mut stream, transcript) = pair();
        stream.write_all(b"one two\r\nthree\r\n").unwrap();
        let found = transcript.expect("two", soon()).unwrap();
        assert_eq!((found.before.as_str(), found.text.as_str()), ("one ", "two"));
        assert_eq!(transcript.expect_line(|line| line.starts_with("th"), soon()).unwrap().text, "three");
        assert_eq!(transcript.expect("one", Instant::now()), Err(NoMatch::Deadline));
    }

    #[test]
    fn sees_text_that_comes_later() {
        let (mut stream, transcript) = pair();
        let waiting = Arc::clone(&transcript);
        let waiter = thread::spawn(move || waiting.expect("late", soon()));
        stream.write_all(b"la").unwrap();
        stream.write_all(b"te").unwrap();
        assert_eq!(waiter.join().unwrap().unwrap().text, "late");
    }

    #[test]
    fn lines_are_stamped_in_order() {
        let (mut stream, transcript) = pair();
        let began = Instant::now();
        stream.write_all(b"one\ntwo\nthr").unwrap();
        transcript.expect("thr", soon()).unwrap();
        stream.write_all(b"ee\n\n").unwrap();
        drop(stream);
        transcript.expect_end(soon()).unwrap();
        let lines = transcript.stamped_lines();
        assert_eq!(
            lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
            ["one", "two", "three", ""]
        );
        assert!(lines[0].at >= began && lines.is_sorted_by_key(|line| line.at));
        assert!(lines[3].at <= Instant::now());
    }

    #[test]
    fn an_unfinished_line_is_no_line() {
        let (mut stream, transcript) = pair();
        stream.write_all(b"rea").unwrap();
        transcript.expect("rea", soon()).unwrap();
        assert_eq!(transcript.expect_line(|_| true, Instant::now()), Err(NoMatch::Deadline));
    }

    #[test]
    fn tells_an_end_from_a_deadline() {
        let (stream, transcript) = pair();
        assert_eq!(transcript.expect_end(Instant::now()), Err(NoMatch::Deadline));
        drop(stream);
        assert_eq!(transcript.expect("x", soon()), Err(NoMatch::Ended));
        assert_eq!(transcript.expect_end(soon()), Ok(()));
    }

    #[test]
    fn a_line_that_is_written_anew_can_be_watched() {
        let (mut stream, transcript) = pair();
        stream.write_all(b"10 %\x1b[K").unwrap();
        let mut lines = Vec::new();
        let found = transcript.watch_current_line("a> ", soon(), |line| {
            lines.push(line.to_owned());
            // The next bytes come only once these were seen.
            let next: &[u8] = if lines.len() == 1 { b"\r90 %\x1b[K" } else { b"\rdone\x1b[K\na> " };
            if lines.len() <= 2 {
                stream.write_all(next).unwrap();
            }
        });
        assert_eq!(found.unwrap().before, "done\n");
        assert_eq!(lines[0], "10 %");
        assert!(lines.contains(&"90 %".to_owned()), "{lines:?}");
    }

    #[test]
    fn a_prompt_is_seen_after_the_echo_of_a_redrawn_line() {
        let (mut stream, transcript) = pair();
        stream.write_all(b"a> ").unwrap();
        transcript.watch_current_line("a> ", soon(), |_| ()).unwrap();
        stream.write_all(b"\ra> cpu\x1b[K\ra> cpus\x1b[K\r\n2 CPUs\r\na> ").unwrap();
        assert_eq!(transcript.expect_line(|_| true, soon()).unwrap().text, "a> cpus");
        assert_eq!(transcript.watch_current_line("a> ", soon(), |_| ()).unwrap().before, "2 CPUs\n");
    }
}
