//! Guests: their memory and how they are offered.

use std::{cell::RefCell, collections::BTreeMap};

use godwit_guest::{GuestAddress, GuestFrame, GuestMemory, NotRam};
use godwit_wire::{Baseline, LeafRun, Name, Offer, PagePolicy, Region};

use crate::random::Random;

pub(crate) type Content = Box<[u8; 4096]>;

static ZERO: std::sync::LazyLock<Content> = std::sync::LazyLock::new(|| Box::new([0; 4096]));

/// RAM; frames that were never written are zero.
#[derive(Clone)]
pub(crate) struct Ram {
    regions: Vec<Region>,
    frames: RefCell<BTreeMap<u64, Content>>,
}

impl Ram {
    pub(crate) fn new(regions: &[Region]) -> Self {
        Self { regions: regions.to_vec(), frames: RefCell::default() }
    }

    /// Frames that are not zero.
    pub(crate) fn written(&self) -> BTreeMap<u64, Content> {
        let frames = self.frames.borrow();
        frames.iter().filter(|(_, content)| **content != *ZERO).map(|(k, v)| (*k, v.clone())).collect()
    }

    /// Whether all frames from `first` up to `end` are zero.
    pub(crate) fn is_zero(&self, first: GuestFrame, end: GuestFrame) -> bool {
        self.frames.borrow().range(first.0..end.0).all(|(_, content)| *content == *ZERO)
    }

    pub(crate) fn fill(&self, frame: u64, seed: u64) {
        let mut content = Box::new([0; 4096]);
        let mut random = Random(seed);
        // A frame may be zero but for its last bytes.
        let from = random.pick(&[0, 0, 0, 2048, 4088]);
        content[from..]
            .chunks_mut(8)
            .for_each(|word| word.copy_from_slice(&(random.next() | 1).to_le_bytes()));
        self.frames.borrow_mut().insert(frame, content);
    }

    fn check(&self, at: GuestAddress, bytes: usize) -> Result<(), NotRam> {
        let (first, last) = (at.frame(), GuestAddress(at.0 + bytes as u64 - 1).frame());
        let is_ram = |frame: u64| {
            self.regions
                .iter()
                .any(|region| (region.start.0..region.start.0 + region.frames).contains(&frame))
        };
        if (first.0..=last.0).all(is_ram) { Ok(()) } else { Err(NotRam { at }) }
    }
}

impl GuestMemory for Ram {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        self.check(at, out.len())?;
        let frames = self.frames.borrow();
        let mut address = at.0;
        for piece in pieces_mut(at, out) {
            let offset = (address % 4096) as usize;
            match frames.get(&(address / 4096)) {
                Some(content) => piece.copy_from_slice(&content[offset..offset + piece.len()]),
                None => piece.fill(0),
            }
            address += piece.len() as u64;
        }
        Ok(())
    }

    fn write(&self, at: GuestAddress, bytes: &[u8]) -> Result<(), NotRam> {
        self.check(at, bytes.len())?;
        let mut frames = self.frames.borrow_mut();
        let (mut address, mut left) = (at.0, bytes);
        while !left.is_empty() {
            let offset = (address % 4096) as usize;
            let (piece, rest) = left.split_at(left.len().min(4096 - offset));
            let content = frames.entry(address / 4096).or_insert_with(|| Box::new([0; 4096]));
            content[offset..offset + piece.len()].copy_from_slice(piece);
            (address, left) = (address + piece.len() as u64, rest);
        }
        Ok(())
    }
}

/// `out`, cut at frame boundaries.
fn pieces_mut(at: GuestAddress, out: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let first = out.len().min(4096 - at.offset() as usize);
    let (first, rest) = out.split_at_mut(first);
    std::iter::once(first).chain(rest.chunks_mut(4096))
}

/// A guest with the given RAM, mapped by 4 KiB leaves.
pub(crate) fn offer(regions: Vec<Region>) -> Offer {
    let leaves = regions
        .iter()
        .map(|region| LeafRun {
            start: region.start,
            order: 0,
            leaves: u32::try_from(region.frames).unwrap(),
        })
        .collect();
    Offer {
        guest: Name::new("web-1"),
        description: vec![1, 2, 3],
        frames_to_send: regions.iter().map(|region| region.frames).sum(),
        regions,
        leaves,
        baseline: Baseline { name: Name::new("plain"), version: 1 },
        tsc_hz: 1_000_000_000,
        page_policy: PagePolicy::Small,
        acknowledge_port: 4789,
    }
}

/// A small guest of one to three regions, filled to a random share.
pub(crate) fn random_guest(random: &mut Random) -> (Offer, Ram) {
    let mut regions = Vec::new();
    let mut start = random.pick(&[0, 0, 160]);
    for _ in 0..=random.below(3) {
        let frames = 1 + random.below(40);
        regions.push(Region { start: GuestFrame(start), frames });
        start += frames + random.pick(&[0, 1, 100, 1 << 20, 1 << 33]);
    }
    let ram = Ram::new(&regions);
    let percent = random.pick(&[0, 5, 50, 90, 100]);
    for region in &regions {
        for frame in region.start.0..region.start.0 + region.frames {
            if random.percent(percent) {
                ram.fill(frame, random.next());
            }
        }
    }
    (offer(regions), ram)
}
