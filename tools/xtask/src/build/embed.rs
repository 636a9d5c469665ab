//! Function names inside the image, for backtraces that need no other file.
//!
//! The image keeps a section of fixed size free for them. Numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `GWSYMS01` |
//! | 4 | count of functions |
//! | 4 | bytes of all names |
//! | 16 each | address (8), where the name starts among the names (4), its bytes (4); by address |
//! | | the names, UTF-8 |

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, read::elf::ElfFile64};

use crate::symbols::{Function, Functions};

/// The section that the image keeps free.
const SECTION: &str = ".godwit.symbols";
/// What the section starts with, its version included.
const MAGIC: &[u8; 8] = b"GWSYMS01";

/// Writes the function names of `elf` into its own section for them; returns how many there are.
///
/// # Errors
/// The file has no functions or no such section, or they do not fit; the error says which size is needed.
pub(super) fn embed(elf: &mut [u8]) -> Result<usize> {
    let functions = Functions::read(elf)?;
    let count = functions.sorted().len();
    if count == 0 {
        bail!("the image has no symbol table: it must not be stripped");
    }
    let table = encode(functions.sorted())?;
    let file: ElfFile64 = ElfFile64::parse(&*elf)?;
    let section =
        file.section_by_name(SECTION).with_context(|| format!("the image has no section {SECTION}"))?;
    let (start, bytes) = section
        .file_range()
        .with_context(|| format!("section {SECTION} has no bytes in the file: it must be PROGBITS"))?;
    if table.len() as u64 > bytes {
        bail!(
            "{count} function names need {} bytes and section {SECTION} has {bytes}: make it larger",
            table.len()
        );
    }
    let start = usize::try_from(start)?;
    elf.get_mut(start..start + table.len())
        .with_context(|| format!("section {SECTION} lies outside the file"))?
        .copy_from_slice(&table);
    Ok(count)
}

fn encode(functions: &[Function]) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    let mut names = Vec::new();
    for Function { address, name } in functions {
        entries.extend(address.to_le_bytes());
        entries.extend(u32::try_from(names.len())?.to_le_bytes());
        entries.extend(u32::try_from(name.len())?.to_le_bytes());
        names.extend(name.as_bytes());
    }
    let count = u32::try_from(functions.len())?.to_le_bytes();
    let name_bytes = u32::try_from(names.len())?.to_le_bytes();
    Ok([MAGIC.as_slice(), &count, &name_bytes, &entries, &names].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::tests::{CODE, TEXT, elf};

    const SYMBOLS: &[(&str, u8, u16, u64)] = &[("second", 2, CODE, TEXT + 0x20), ("first", 2, CODE, TEXT)];
    /// Header, two entries, the letters of both names.
    const TABLE_BYTES: usize = 16 + 2 * 16 + 11;

    #[test]
    fn the_table_lies_in_its_section_byte_for_byte() {
        let mut image = elf(SYMBOLS, TABLE_BYTES + 5);
        let before = image.clone();
        assert_eq!(embed(&mut image).unwrap(), 2);
        let file: ElfFile64 = ElfFile64::parse(image.as_slice()).unwrap();
        let section = file.section_by_name(SECTION).unwrap();
        let data = section.data().unwrap();
        assert_eq!(&data[..16], b"GWSYMS01\x02\0\0\0\x0b\0\0\0");
        assert_eq!(data[16..24], TEXT.to_le_bytes());
        assert_eq!(data[24..32], [0, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(data[32..40], (TEXT + 0x20).to_le_bytes());
        assert_eq!(data[40..48], [5, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(&data[48..], b"firstsecond\0\0\0\0\0");
        // Nothing else changed.
        let (start, bytes) = section.file_range().unwrap();
        let section = start as usize..(start + bytes) as usize;
        assert_eq!(image[..section.start], before[..section.start]);
        assert_eq!(image[section.end..], before[section.end..]);
    }

    #[test]
    fn says_which_size_is_needed() {
        assert_eq!(embed(&mut elf(SYMBOLS, TABLE_BYTES)).unwrap(), 2);
        let error = embed(&mut elf(SYMBOLS, TABLE_BYTES - 1)).unwrap_err().to_string();
        assert!(error.contains(&format!("need {TABLE_BYTES} bytes")), "{error}");
    }

    #[test]
    fn refuses_a_stripped_image() {
        assert!(embed(&mut elf(&[], 100)).unwrap_err().to_string().contains("stripped"));
    }
}
