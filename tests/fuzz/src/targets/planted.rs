//! Bugs of the classic shapes, planted: a harness that does not find these finds nothing.

use crate::{Kind, Target};

const fn planted(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, kind: Kind::Planted, run, corpus: message, max_bytes: 256, executions: 100_000 }
}

/// An index that is used before it is checked.
pub(super) const INDEX: Target = planted("planted-index", index);
/// A length whose sum with an offset wraps, so that the check passes.
pub(super) const LENGTH: Target = planted("planted-length", length);
/// A count that is used before it is bounded, and is off by one.
pub(super) const COUNT: Target = planted("planted-count", count);
/// A step of a list that leads back.
pub(super) const HANG: Target = planted("planted-hang", hang);
/// Nesting without a bound.
pub(super) const RECURSION: Target = planted("planted-recursion", recursion);
/// Memory by a length that was announced and never came.
pub(super) const ALLOCATION: Target = planted("planted-allocation", allocation);

/// A message as these parsers want it: magic, kind, offset, length, body.
fn message() -> Vec<Vec<u8>> {
    let body = [0x22; 16];
    vec![[b"gw\x01\0".as_slice(), &4u32.to_le_bytes(), &8u32.to_le_bytes(), &body].concat()]
}

/// Kind, offset, length and body of what has the magic.
fn fields(bytes: &[u8]) -> Option<(u8, u32, u32, &[u8])> {
    let (&[kind, _], rest) = bytes.strip_prefix(b"gw")?.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let (length, body) = rest.split_first_chunk()?;
    Some((kind, u32::from_le_bytes(*offset), u32::from_le_bytes(*length), body))
}

fn index(bytes: &[u8]) {
    const HANDLERS: [u8; 5] = [1; 5];
    if let Some((kind, ..)) = fields(bytes) {
        assert!(HANDLERS[usize::from(kind)] > 0);
    }
}

fn length(bytes: &[u8]) {
    let Some((1, offset, length, body)) = fields(bytes) else { return };
    if offset.wrapping_add(length) as usize <= body.len() {
        let part = &body[offset as usize..][..length as usize];
        assert!(part.len() <= body.len());
    }
}

fn count(bytes: &[u8]) {
    let mut slots = [0; 16];
    let Some((1, _, count, body)) = fields(bytes) else { return };
    if count as usize <= slots.len() {
        for (at, byte) in body.iter().enumerate().take(count as usize + 1) {
            slots[at] = *byte;
        }
    }
}

fn hang(bytes: &[u8]) {
    let Some((1, mut at, _, body)) = fields(bytes) else { return };
    while let Some(step) = body.get(at as usize) {
        at += u32::from(*step);
    }
}

fn recursion(bytes: &[u8]) {
    fn nested(depth: u32) -> u64 {
        let room = std::hint::black_box([depth; 64]);
        if depth == 0 { 0 } else { nested(depth - 1) + u64::from(room[depth as usize % 64]) }
    }
    if let Some((1, _, depth, _)) = fields(bytes) {
        std::hint::black_box(nested(depth));
    }
}

fn allocation(bytes: &[u8]) {
    if let Some((1, _, length, body)) = fields(bytes) {
        let mut copy: Vec<u8> = std::hint::black_box(Vec::with_capacity(length as usize));
        copy.extend(body);
    }
}
