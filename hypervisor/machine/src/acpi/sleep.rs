//! The sleep types of S5, soft off, found in AML without interpreting it (ACPI 6.5, 7.4.2 and 20.2).
//!
//! `Name (\_S5, Package () {a, b, ..})` holds constants on every machine, so that its encoding can be looked
//! for: NameOp, the name, PackageOp, the package's length, its element count and its elements.

use crate::fields::u8_at;

/// The name's bytes: segments are padded with underscores (20.2.2).
const NAME: &[u8; 4] = b"_S5_";
const NAME_OP: u8 = 0x08;
const ROOT_PREFIX: u8 = b'\\';
const PACKAGE_OP: u8 = 0x12;

/// Sleep types for S5, each 0 to 7: what to write to SLP_TYP of PM1a and PM1b control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SleepTypes {
    /// For PM1a control.
    pub a: u8,
    /// For PM1b control.
    pub b: u8,
}

/// The sleep types of the first `_S5_` package in `aml` that makes sense.
pub(crate) fn find_s5(aml: &[u8]) -> Option<SleepTypes> {
    let mut names =
        aml.windows(NAME.len()).enumerate().filter(|(_, window)| window == NAME).map(|(at, _)| at);
    names.find_map(|at| {
        let before = aml.get(..at)?;
        let named = matches!(before, [.., NAME_OP] | [.., NAME_OP, ROOT_PREFIX]);
        if named { sleep_types(aml.get(at + NAME.len()..)?) } else { None }
    })
}

/// `PackageOp PkgLength NumElements PackageElementList` (20.2.5.4).
fn sleep_types(term: &[u8]) -> Option<SleepTypes> {
    let (&op, rest) = term.split_first()?;
    if op != PACKAGE_OP {
        return None;
    }
    let (length, length_bytes) = package_length(rest)?;
    // PkgLength counts itself.
    let (&count, elements) = rest.get(length_bytes..length)?.split_first()?;
    let (first, rest) = integer(elements)?;
    // ACPICA reads a package of one element as both types in one integer; so do systems that ship.
    let (a, b) = if count == 1 { (first & 0xff, first >> 8 & 0xff) } else { (first, integer(rest)?.0) };
    let sleep_type = |value| u8::try_from(value).ok().filter(|&value| value <= 7);
    Some(SleepTypes { a: sleep_type(a)?, b: sleep_type(b)? })
}

/// A PkgLength and how many bytes it takes itself (20.2.4): bits 7:6 of the first byte count those that
/// follow.
fn package_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let lead = u8_at(bytes, 0)?;
    let more = usize::from(lead >> 6);
    let mut length = if more == 0 { usize::from(lead & 0x3f) } else { usize::from(lead & 0x0f) };
    for index in 0..more {
        length |= usize::from(u8_at(bytes, 1 + index)?) << (4 + 8 * index);
    }
    Some((length, 1 + more))
}

/// A constant integer and what follows it (20.2.3): ZeroOp, OneOp, byte, word or double word.
fn integer(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&op, rest) = bytes.split_first()?;
    let width = match op {
        0x00 | 0x01 => return Some((op.into(), rest)),
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(width)?;
    Some((digits.iter().rev().fold(0, |value, &digit| value << 8 | u32::from(digit)), rest))
}
