//! A guest's console between the guest and whoever looks at it.

use alloc::{collections::VecDeque, sync::Arc};
use core::ops::Deref;

use spin::Mutex;

/// Bytes of output that are kept for whoever comes later.
const MAX_OUTPUT: usize = 16 << 10;
/// Typed bytes that wait for the guest.
const MAX_INPUT: usize = 1 << 10;

/// A guest's console, shared by whoever looks at it and whatever CPUs run the guest: looking at it never waits for the guest.
#[derive(Clone, Debug, Default)]
pub struct ConsoleHandle(Arc<Mutex<GuestConsole>>);

impl ConsoleHandle {
    /// Adds what the guest wrote.
    pub fn write(&self, bytes: &[u8]) {
        self.0.lock().write(bytes);
    }

    /// Hands typed bytes over, for as long as `give` takes them.
    pub fn feed(&self, give: impl FnMut(u8) -> bool) {
        self.0.lock().feed(give);
    }
}

impl Deref for ConsoleHandle {
    type Target = Mutex<GuestConsole>;

    fn deref(&self) -> &Mutex<GuestConsole> {
        &self.0
    }
}

/// Output that was not shown yet or is kept, and input that the guest has not taken yet.
#[derive(Debug, Default)]
pub struct GuestConsole {
    output: VecDeque<u8>,
    /// Bytes written so far, those that are gone included.
    written: u64,
    input: VecDeque<u8>,
}

impl GuestConsole {
    /// An empty console.
    pub const fn new() -> Self {
        Self { output: VecDeque::new(), written: 0, input: VecDeque::new() }
    }

    /// Adds what the guest wrote; the oldest bytes go where there is no room.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.output.len() == MAX_OUTPUT {
                self.output.pop_front();
            }
            self.output.push_back(byte);
        }
        self.written += bytes.len() as u64;
    }

    /// Bytes the guest wrote so far: a reader's place.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Copies output from place `from` on into `out`; answers with the place behind it, how many bytes were copied, and
    /// how many were gone already.
    pub fn read(&self, from: u64, out: &mut [u8]) -> (u64, usize, u64) {
        let oldest = self.written - self.output.len() as u64;
        let start = from.max(oldest).min(self.written);
        let kept = self.output.range((start - oldest) as usize..);
        let copied = out.iter_mut().zip(kept).map(|(to, &byte)| *to = byte).count();
        (start + copied as u64, copied, start.saturating_sub(from))
    }

    /// Takes a typed byte; `false` where the guest does not keep up.
    pub fn type_byte(&mut self, byte: u8) -> bool {
        let room = self.input.len() < MAX_INPUT;
        if room {
            self.input.push_back(byte);
        }
        room
    }

    /// Hands typed bytes over, for as long as `give` takes them.
    pub fn feed(&mut self, mut give: impl FnMut(u8) -> bool) {
        while let Some(&byte) = self.input.front() {
            if !give(byte) {
                break;
            }
            self.input.pop_front();
        }
    }

    /// Whether typed bytes wait.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// What a move takes along: output that is kept, and typed bytes that wait.
    pub fn contents(&self) -> (impl Iterator<Item = u8> + '_, impl Iterator<Item = u8> + '_) {
        (self.output.iter().copied(), self.input.iter().copied())
    }

    /// Makes it ready for the guest's next start: nothing that was typed before reaches it. Output stays for those who look on.
    pub fn begin(&mut self) {
        self.input.clear();
    }

    /// Empties it: the next byte is at place 0.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::{GuestConsole, MAX_INPUT, MAX_OUTPUT};

    #[test]
    fn a_reader_gets_every_byte_once_and_learns_what_is_gone() {
        let mut console = GuestConsole::new();
        console.write(b"hello");
        let mut out = [0; 3];
        assert_eq!((console.read(0, &mut out), &out), ((3, 3, 0), b"hel"));
        assert_eq!(console.read(3, &mut out).1, 2);
        assert_eq!(console.read(5, &mut out), (5, 0, 0));
        console.write(&vec![b'x'; MAX_OUTPUT + 7]);
        assert_eq!(console.read(5, &mut out), (5 + 7 + 3, 3, 7));
        assert_eq!(console.read(u64::MAX, &mut out).1, 0);
    }

    #[test]
    fn a_guest_that_starts_again_gets_nothing_that_was_typed_before() {
        let mut console = GuestConsole::new();
        console.write(b"before");
        console.type_byte(b'x');
        console.begin();
        assert_eq!((console.read(0, &mut [0; 9]).1, console.has_input()), (6, false));
        console.clear();
        assert_eq!((console.read(0, &mut [0; 9]), console.has_input()), ((0, 0, 0), false));
    }

    #[test]
    fn typed_bytes_wait_until_the_guest_takes_them_and_none_is_lost() {
        let mut console = GuestConsole::new();
        let taken = (0..MAX_INPUT + 5).filter(|&n| console.type_byte(n as u8)).count();
        assert_eq!(taken, MAX_INPUT);
        let mut got = Vec::new();
        console.feed(|byte| {
            got.push(byte);
            got.len() < 10
        });
        // The tenth was shown but not taken.
        console.feed(|byte| {
            got.push(byte);
            true
        });
        got.remove(9);
        assert_eq!(got, (0..MAX_INPUT).map(|n| n as u8).collect::<Vec<_>>());
        assert!(!console.has_input());
    }
}
