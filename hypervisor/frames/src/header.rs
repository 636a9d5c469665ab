//! What is known about one 2 MiB block, in one word.

use crate::block::{BLOCK_FRAMES, Content, Mobility};

/// Free frames of a block that is not vacant, 0 to 511. With [`MOBILITY`] above it, this is the number of a list.
const FREE: Field = Field { shift: 0, bits: 9 };
/// [`Mobility`].
const MOBILITY: Field = Field { shift: 9, bits: 1 };
/// All 512 frames are free.
const VACANT: Field = Field { shift: 10, bits: 1 };
/// Reserved frames, 0 to 512.
const RESERVED: Field = Field { shift: 11, bits: 10 };
/// The largest buddy level that the block may still hold.
const LEVEL: Field = Field { shift: 21, bits: 4 };
/// [`Content`].
const CONTENT: Field = Field { shift: 25, bits: 2 };
/// The mark is from before the block was handed out.
const LENT: Field = Field { shift: 27, bits: 1 };
/// The CPU handle that owns the block, 0 for none.
const OWNER: Field = Field { shift: 32, bits: 32 };

/// Some bits of a word.
struct Field {
    shift: u32,
    bits: u32,
}

impl Field {
    const fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    const fn get(&self, word: u64) -> u64 {
        (word >> self.shift) & self.mask()
    }

    const fn set(&self, word: u64, value: u64) -> u64 {
        debug_assert!(value <= self.mask());
        (word & !(self.mask() << self.shift)) | (value << self.shift)
    }
}

/// A block's state.
///
/// The block's bitmap is looked at only while the block is *mixed* (some frames free, some not) or owned:
/// a vacant or a full block does not touch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header(u64);

impl Header {
    /// A block that holds nothing but reserved frames.
    pub(crate) const fn reserved() -> Self {
        let word = RESERVED.set(0, BLOCK_FRAMES);
        Self(CONTENT.set(MOBILITY.set(word, Mobility::Unmovable as u64), Content::Dirty as u64))
    }

    pub(crate) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// Free frames, 0 to 512.
    #[inline]
    pub(crate) const fn free(self) -> u32 {
        (FREE.get(self.0) + VACANT.get(self.0) * BLOCK_FRAMES) as u32
    }

    #[inline]
    pub(crate) const fn with_free(self, frames: u32) -> Self {
        let (rest, vacant) = (frames as u64 % BLOCK_FRAMES, frames as u64 / BLOCK_FRAMES);
        Self(VACANT.set(FREE.set(self.0, rest), vacant))
    }

    pub(crate) const fn reserved_frames(self) -> u32 {
        RESERVED.get(self.0) as u32
    }

    pub(crate) const fn with_reserved_frames(self, frames: u32) -> Self {
        Self(RESERVED.set(self.0, frames as u64))
    }

    /// Frames that are allocated or that a CPU keeps at hand.
    pub(crate) const fn used(self) -> u32 {
        BLOCK_FRAMES as u32 - self.free() - self.reserved_frames()
    }

    /// Whether all 512 frames are free.
    pub(crate) const fn is_vacant(self) -> bool {
        VACANT.get(self.0) == 1
    }

    /// The largest level that a free buddy in the block may have: never too low, often too high.
    pub(crate) const fn level(self) -> u32 {
        LEVEL.get(self.0) as u32
    }

    pub(crate) const fn with_level(self, level: u32) -> Self {
        Self(LEVEL.set(self.0, level as u64))
    }

    pub(crate) const fn mobility(self) -> Mobility {
        if MOBILITY.get(self.0) == Mobility::Movable as u64 { Mobility::Movable } else { Mobility::Unmovable }
    }

    pub(crate) const fn with_mobility(self, mobility: Mobility) -> Self {
        Self(MOBILITY.set(self.0, mobility as u64))
    }

    pub(crate) const fn content(self) -> Content {
        match CONTENT.get(self.0) {
            0 => Content::Clean,
            2 => Content::Ghost,
            _ => Content::Dirty,
        }
    }

    /// Marks the block by the word of whoever holds it.
    pub(crate) const fn with_content(self, content: Content) -> Self {
        Self(LENT.set(CONTENT.set(self.0, content as u64), 0))
    }

    /// Handed out whole: the mark stays readable, and counts no longer once the block comes back.
    pub(crate) const fn lent(self) -> Self {
        Self(LENT.set(self.0, 1))
    }

    /// Frames come back: a mark from before the block was handed out says nothing any more.
    pub(crate) const fn returned(self) -> Self {
        if LENT.get(self.0) == 1 { self.with_content(Content::Dirty) } else { self }
    }

    /// The CPU handle that owns the block, 0 for none.
    pub(crate) const fn owner(self) -> u32 {
        OWNER.get(self.0) as u32
    }

    pub(crate) const fn with_owner(self, owner: u32) -> Self {
        Self(OWNER.set(self.0, owner as u64))
    }

    /// Whether the block's bitmap counts: some frames are free and some are not, or a handle owns the block.
    #[inline]
    pub(crate) const fn has_bitmap(self) -> bool {
        self.owner() != 0 || FREE.get(self.0) != 0
    }

    /// The list that the block is on, [`List::NONE`] where it is vacant or full.
    #[inline]
    pub(crate) const fn list(self) -> List {
        let (free, class) = (FREE.get(self.0), self.0 & MOBILITY.mask() << MOBILITY.shift);
        match (self.owner(), free) {
            (0, 0) => List::NONE,
            (0, _) => List((class | free) as u32),
            _ => List(class as u32),
        }
    }

    /// Whether this or `other` may hold a run of several frames.
    #[inline]
    pub(crate) const fn either_has_level(self, other: Self) -> bool {
        LEVEL.get(self.0 | other.0) != 0
    }
}

/// A list of blocks: per class one for every number of free frames from 1 to 511, and one of the blocks that
/// CPU handles own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct List(u32);

impl List {
    /// No list at all. (Not an `Option`, since most calls compare two lists.)
    pub(crate) const NONE: Self = Self(u32::MAX);
    /// How many lists there are.
    pub(crate) const COUNT: usize = 2 * BLOCK_FRAMES as usize;

    /// The blocks of a class that handles own: no mixed block has 0 free frames.
    pub(crate) const fn owned(mobility: Mobility) -> Self {
        Self::with_free(mobility, 0)
    }

    /// The mixed blocks of a class with `free` free frames, 1 to 511.
    pub(crate) const fn with_free(mobility: Mobility, free: u32) -> Self {
        Self((mobility as u32) << MOBILITY.shift | free)
    }

    /// The list's number, below [`COUNT`](Self::COUNT).
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// All lists.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT as u32).map(Self)
    }
}
