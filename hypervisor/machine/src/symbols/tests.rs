//! Blobs as the build makes them, and as none should be.

use proptest::prelude::*;

use super::*;

fn blob(symbols: &[(u64, &str)]) -> Vec<u8> {
    let mut names = String::new();
    let mut entries = Vec::new();
    for (address, name) in symbols {
        entries.extend(address.to_le_bytes());
        entries.extend((names.len() as u32).to_le_bytes());
        entries.extend((name.len() as u32).to_le_bytes());
        names.push_str(name);
    }
    let mut blob = MAGIC.to_vec();
    blob.extend((symbols.len() as u32).to_le_bytes());
    blob.extend((names.len() as u32).to_le_bytes());
    blob.extend(entries);
    blob.extend(names.bytes());
    blob
}

#[test]
fn an_address_belongs_to_the_last_symbol_at_or_below_it() {
    let blob = blob(&[(0x1000, "entry"), (0x1040, "kern::größe"), (0x1040, "alias"), (0x2000, "last")]);
    let symbols = Symbols::new(&blob).unwrap();
    assert_eq!(symbols.lookup(0xfff), None);
    assert_eq!(symbols.lookup(0x1000), Some(("entry", 0)));
    assert_eq!(symbols.lookup(0x103f), Some(("entry", 0x3f)));
    assert_eq!(symbols.lookup(0x1041), Some(("alias", 1)));
    assert_eq!(symbols.lookup(u64::MAX), Some(("last", u64::MAX - 0x2000)));
}

#[test]
fn no_symbols_name_nothing() {
    let blob = blob(&[]);
    let symbols = Symbols::new(&blob).unwrap();
    assert_eq!((symbols.lookup(0), symbols.lookup(u64::MAX)), (None, None));
}

#[test]
fn what_is_cut_or_something_else_is_refused() {
    let whole = blob(&[(0x1000, "entry")]);
    for length in 0..whole.len() {
        let expected = if length < 8 { SymbolsError::BadMagic } else { SymbolsError::Cut };
        assert_eq!(Symbols::new(&whole[..length]), Err(expected), "{length} bytes");
    }
    let mut more = whole.clone();
    more.extend([0xff; 9]);
    assert_eq!(Symbols::new(&more), Symbols::new(&whole));
    let mut absurd = whole;
    absurd[8..12].fill(0xff);
    assert_eq!(Symbols::new(&absurd), Err(SymbolsError::Cut));
}

#[test]
fn a_name_that_is_not_there_is_none() {
    let whole = blob(&[(0x1000, "entry"), (0x2000, "after")]);
    let name_offset = HEADER_BYTES + 8;
    for (at, value) in [(name_offset, 6_u32), (name_offset, u32::MAX), (name_offset + 4, u32::MAX)] {
        let mut damaged = whole.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let symbols = Symbols::new(&damaged).unwrap();
        assert_eq!(symbols.lookup(0x1000), None, "{at} {value}");
        assert_eq!(symbols.lookup(0x2000), Some(("after", 0)));
    }
    let mut not_text = whole;
    *not_text.last_mut().unwrap() = 0xff;
    assert_eq!(Symbols::new(&not_text).unwrap().lookup(0x2000), None);
}

proptest! {
    /// A good blob finds what a search from the start finds.
    #[test]
    fn the_search_finds_what_a_walk_finds(
        mut addresses in prop::collection::vec(0_u64..500, 0..40),
        wanted in 0_u64..520,
    ) {
        addresses.sort_unstable();
        let names: Vec<String> = (0..addresses.len()).map(|index| format!("symbol{index}")).collect();
        let list: Vec<_> = addresses.iter().copied().zip(names.iter().map(String::as_str)).collect();
        let blob = blob(&list);
        let expected = list.iter().rev().find(|(start, _)| *start <= wanted);
        let found = Symbols::new(&blob).unwrap().lookup(wanted);
        prop_assert_eq!(found, expected.map(|(start, name)| (*name, wanted - start)));
    }

    /// A damaged blob is refused or gives names out of itself.
    #[test]
    fn any_bytes_can_be_searched(
        mut bytes in prop::collection::vec(any::<u8>(), 16..400),
        count in 0_u32..30,
        names in 0_u32..200,
        wanted in any::<u64>(),
    ) {
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&count.to_le_bytes());
        bytes[12..16].copy_from_slice(&names.to_le_bytes());
        if let Ok(symbols) = Symbols::new(&bytes)
            && let Some((name, _)) = symbols.lookup(wanted)
        {
            prop_assert!(name.len() <= names as usize);
        }
    }
}
