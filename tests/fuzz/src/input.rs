//! Bytes as decisions: how a target reads its input, and how inputs for it are written.

/// Numbers at which code goes wrong: ends of ranges and the numbers beside them.
pub const BOUNDARIES: [u64; 64] = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    32,
    33,
    63,
    64,
    65,
    0x7f,
    0x80,
    0x81,
    0xfe,
    0xff,
    0x100,
    0x101,
    0x1ff,
    0x200,
    0xffe,
    0xfff,
    0x1000,
    0x1001,
    0x7fff,
    0x8000,
    0xfffe,
    0xffff,
    0x1_0000,
    0x1_0001,
    0x000f_ffff,
    0x0010_0000,
    0x001f_ffff,
    0x0020_0000,
    0x3fff_ffff,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xfec0_0000,
    0xfee0_0000,
    0xffff_f000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0xf_ffff_ffff,
    0x10_0000_0000,
    0x0000_7fff_ffff_ffff,
    0x0000_8000_0000_0000,
    0xffff_8000_0000_0000,
    0x000f_ffff_ffff_f000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_f000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// An input as a target reads it. Behind its end there are zeros.
///
/// Numbers have a spelling of their own, so that random bytes are often a boundary: a byte below 0x40 is one of [`BOUNDARIES`],
/// below 0x80 one of them and a small number added, and the other bytes say how many bytes of the number follow.
#[derive(Clone, Debug)]
pub struct Input<'b> {
    rest: &'b [u8],
}

impl<'b> Input<'b> {
    /// All of `bytes`.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// A number below `bound`, which is 256 at most; 0 where the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// One of `choices`, of which there is one at least.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number of 64 bits.
    pub fn number(&mut self) -> u64 {
        let kind = self.byte();
        let boundary = BOUNDARIES[usize::from(kind % 64)];
        match kind {
            0..0x40 => boundary,
            0x40..0x80 => boundary.wrapping_add_signed(i64::from(self.byte() as i8)),
            0x80..0xc0 => self.plain(1),
            0xc0..0xe0 => self.plain(2),
            0xe0..0xf0 => self.plain(4),
            0xf0.. => self.plain(8),
        }
    }

    /// The next `count` bytes, or as many as there are.
    pub fn bytes(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Bytes behind their count, which is a number.
    pub fn counted(&mut self, max: usize) -> &'b [u8] {
        let count = self.number().min(max as u64) as usize;
        self.bytes(count)
    }

    fn plain(&mut self, count: usize) -> u64 {
        (0..count).fold(0, |value, place| value | u64::from(self.byte()) << (8 * place))
    }
}

/// Writes what [`Input`] reads: inputs for a corpus.
#[derive(Clone, Default, Debug)]
pub struct Script {
    bytes: Vec<u8>,
}

impl Script {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For [`Input::byte`], [`Input::flag`], [`Input::below`] and [`Input::pick`].
    #[must_use]
    pub fn byte(mut self, byte: u8) -> Self {
        self.bytes.push(byte);
        self
    }

    /// For [`Input::number`].
    #[must_use]
    pub fn number(mut self, value: u64) -> Self {
        let (kind, count) = match value {
            0..0x100 => (0x80, 1),
            0x100..0x1_0000 => (0xc0, 2),
            0x1_0000..0x1_0000_0000 => (0xe0, 4),
            0x1_0000_0000.. => (0xf0, 8),
        };
        self.bytes.push(kind);
        self.bytes.extend(&value.to_le_bytes()[..count]);
        self
    }

    /// For [`Input::bytes`].
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// For [`Input::counted`].
    #[must_use]
    pub fn counted(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).bytes(bytes)
    }

    /// What was written.
    pub fn end(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDARIES, Input, Script};

    #[test]
    fn what_a_script_writes_is_read() {
        let numbers = [0, 1, 0xff, 0x100, 0xffff, 0x1_0000, u32::MAX.into(), 1 << 32, u64::MAX];
        let script = numbers.iter().fold(Script::new().byte(7), |script, number| script.number(*number));
        let bytes = script.counted(b"abc").bytes(b"de").end();
        let mut input = Input::new(&bytes);
        assert_eq!(input.byte(), 7);
        for number in numbers {
            assert_eq!(input.number(), number);
        }
        assert_eq!((input.counted(100), input.bytes(9)), (&b"abc"[..], &b"de"[..]));
        assert!(input.is_empty());
        assert_eq!((input.byte(), input.number(), input.below(0)), (0, 0, 0), "zeros follow");
    }

    #[test]
    fn bytes_alone_reach_every_boundary() {
        for (kind, boundary) in BOUNDARIES.into_iter().enumerate() {
            assert_eq!(Input::new(&[kind as u8]).number(), boundary);
            assert_eq!(Input::new(&[kind as u8 + 0x40, 0xff]).number(), boundary.wrapping_sub(1));
        }
    }
}
