//! Changes to an input, of the shapes that parsers and device models get wrong.

use godwit_host::split_mix::SplitMix64;

use crate::BOUNDARIES;

/// Bytes that a mutation inserts or copies at most.
const MAX_PIECE: u64 = 64;

/// Changes `input` once; `corpus` lends parts.
pub(super) fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut SplitMix64) {
    match random.below(16) {
        0 | 1 => with_byte(input, random, |byte, random| *byte ^= 1 << random.below(8)),
        2 | 3 => with_byte(input, random, |byte, random| *byte = boundary(random) as u8),
        4 => with_byte(input, random, |byte, random| *byte = random.next_u64() as u8),
        5 => with_byte(input, random, |byte, random| *byte = byte.wrapping_add_signed(step(random) as i8)),
        6 | 7 => {
            let value = boundary(random);
            with_number(input, random, |_| value);
        }
        8 => {
            // Lengths and counts that fit the input but for one.
            let value = (input.len() as u64).wrapping_add_signed(step(random));
            with_number(input, random, |_| value);
        }
        9 => {
            let by = step(random);
            with_number(input, random, |value| value.wrapping_add_signed(by));
        }
        10 => {
            let (at, count) = (place(input, random), random.below(MAX_PIECE / 4) + 1);
            let piece: Vec<u8> = (0..count).map(|_| random.next_u64() as u8).collect();
            input.splice(at..at, piece);
        }
        11 => {
            let range = range(input, random);
            input.drain(range);
        }
        12 => {
            // The same again, behind itself or anywhere else.
            let piece = input[range(input, random)].to_vec();
            let at = place(input, random);
            input.splice(at..at, piece);
        }
        13 => {
            // One part over another, which may overlap it.
            let range = range(input, random);
            let to = random.below((input.len() - range.len()) as u64 + 1) as usize;
            input.copy_within(range, to);
        }
        14 => {
            let other = &corpus[random.below(corpus.len() as u64) as usize];
            let piece = other[range(other, random)].to_vec();
            let at = place(input, random);
            let replaced = if random.below(2) == 0 { at } else { (at + piece.len()).min(input.len()) };
            input.splice(at..replaced, piece);
        }
        _ => {
            // The first half of one and the second half of another.
            let other = &corpus[random.below(corpus.len() as u64) as usize];
            input.truncate(place(input, random));
            input.extend(&other[place(other, random)..]);
        }
    }
}

/// A boundary; one in four lies a little below zero, where sums wrap.
fn boundary(random: &mut SplitMix64) -> u64 {
    match random.below(4) {
        0 => (random.below(256) + 1).wrapping_neg(),
        _ => BOUNDARIES[random.below(BOUNDARIES.len() as u64) as usize],
    }
}

/// A small step up or down.
fn step(random: &mut SplitMix64) -> i64 {
    random.below(17) as i64 - 8
}

/// A place between two bytes, or at an end.
fn place(input: &[u8], random: &mut SplitMix64) -> usize {
    random.below(input.len() as u64 + 1) as usize
}

/// A part, not a long one.
fn range(input: &[u8], random: &mut SplitMix64) -> std::ops::Range<usize> {
    let start = place(input, random);
    let bytes = random.below(MAX_PIECE.min((input.len() - start) as u64) + 1) as usize;
    start..start + bytes
}

fn with_byte(input: &mut [u8], random: &mut SplitMix64, change: impl FnOnce(&mut u8, &mut SplitMix64)) {
    let at = random.below(input.len() as u64) as usize;
    if let Some(byte) = input.get_mut(at) {
        change(byte, random);
    }
}

/// Changes a number of 1, 2, 4 or 8 bytes, little-endian (one in four: big-endian).
fn with_number(input: &mut [u8], random: &mut SplitMix64, change: impl FnOnce(u64) -> u64) {
    let bytes = 1usize << random.below(4);
    let Some(last) = input.len().checked_sub(bytes) else { return };
    let mut at = random.below(last as u64 + 1) as usize;
    if random.below(4) != 0 {
        // Fields lie at multiples of their length more often than not.
        at -= at % bytes;
    }
    let part = &mut input[at..at + bytes];
    let big_endian = random.below(4) == 0;
    if big_endian {
        part.reverse();
    }
    let value = part.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    part.copy_from_slice(&change(value).to_le_bytes()[..bytes]);
    if big_endian {
        part.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_input_can_be_mutated_and_stays_bounded() {
        let corpus = [vec![], vec![1], (0..=255).collect::<Vec<u8>>()];
        let mut random = SplitMix64::new(1);
        for start in &corpus {
            for _ in 0..5000 {
                let mut input = start.clone();
                mutate(&mut input, &corpus, &mut random);
                assert!(input.len() <= start.len() + 256, "{} bytes", input.len());
            }
        }
    }

    #[test]
    fn numbers_are_changed_in_both_byte_orders() {
        let mut seen = [false; 2];
        for seed in 0..200 {
            let mut input = vec![0; 8];
            with_number(&mut input, &mut SplitMix64::new(seed), |_| 0x0102_0304_0506_0708);
            seen[0] |= input == [8, 7, 6, 5, 4, 3, 2, 1];
            seen[1] |= input == [1, 2, 3, 4, 5, 6, 7, 8];
        }
        assert_eq!(seen, [true; 2]);
    }
}
