use super::*;

/// Where the test file's code is mapped.
pub(crate) const TEXT: u64 = 0xffff_ffff_8010_0000;
/// Length of its code in bytes.
pub(crate) const TEXT_BYTES: u64 = 0x100;

/// A symbol of a test file: name, ELF type (`STT_FUNC` 2, `STT_NOTYPE` 0, `STT_OBJECT` 1), section, address.
pub(crate) type TestSymbol = (&'static str, u8, u16, u64);

/// Index of the test file's code section.
pub(crate) const CODE: u16 = 1;
/// Index of its section for function names, writable data.
pub(crate) const NAMES: u16 = 2;

/// A minimal ELF64 file with code, a section of `name_bytes` zeroes for function names, and `symbols`.
pub(crate) fn elf(symbols: &[TestSymbol], name_bytes: usize) -> Vec<u8> {
    let section_names = b"\0.text\0.godwit.symbols\0.symtab\0.strtab\0";
    let mut strings = vec![0];
    let mut table = vec![0; 24];
    for (name, kind, section, address) in symbols {
        table.extend((strings.len() as u32).to_le_bytes());
        table.extend([0x10 | kind, 0]);
        table.extend(section.to_le_bytes());
        table.extend(address.to_le_bytes());
        table.extend(0u64.to_le_bytes());
        strings.extend(name.as_bytes());
        strings.push(0);
    }
    let strings_start = section_names.len();
    let strings = [section_names, strings.as_slice()].concat();
    let contents: [(u32, u32, u64, u64, Vec<u8>); 4] = [
        // Name, type, flags, address, bytes.
        (1, 1, 6, TEXT, vec![0x90; TEXT_BYTES as usize]),
        (7, 1, 2, TEXT + 0x1000, vec![0; name_bytes]),
        (23, 2, 0, 0, table),
        (31, 3, 0, 0, strings[strings_start..].to_vec()),
    ];
    let mut file = vec![0; 64];
    let mut headers = vec![0; 64];
    for (name, kind, flags, address, bytes) in &contents {
        let (link, entry_bytes) = if *kind == 2 { (4u32, 24u64) } else { (0, 0) };
        headers.extend(name.to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for field in [*flags, *address, file.len() as u64, bytes.len() as u64] {
            headers.extend(field.to_le_bytes());
        }
        headers.extend(link.to_le_bytes());
        headers.extend(1u32.to_le_bytes());
        headers.extend(1u64.to_le_bytes());
        headers.extend(entry_bytes.to_le_bytes());
        file.extend(bytes);
    }
    // The table of section names is the last section.
    headers.extend(0u32.to_le_bytes());
    headers.extend(3u32.to_le_bytes());
    for field in [0, 0, file.len() as u64, section_names.len() as u64, 0, 1, 0] {
        headers.extend(field.to_le_bytes());
    }
    file.extend(section_names);
    let headers_at = file.len() as u64;
    file.extend(headers);
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0");
    file[20] = 1;
    file[40..48].copy_from_slice(&headers_at.to_le_bytes());
    file[52] = 64;
    file[58..64].copy_from_slice(&[64, 0, 6, 0, 5, 0]);
    file
}

#[test]
fn sorts_and_demangles_and_leaves_data_out() {
    let file = elf(
        &[
            ("_ZN6godwit4boot5start17h0123456789abcdefE", 2, CODE, TEXT + 0x40),
            ("assembly_label", 0, CODE, TEXT + 0x20),
            ("label_beside_a_function", 0, CODE, TEXT + 0x40),
            ("a_table", 1, NAMES, TEXT + 0x1000),
            ("data_in_code", 1, CODE, TEXT + 0x80),
            ("_RNvCs1234_6godwit6second", 2, CODE, TEXT + 0x60),
            ("folded_function", 2, CODE, TEXT + 0x60),
        ],
        0,
    );
    let functions = Functions::read(&file).unwrap();
    let named: Vec<_> = functions.sorted().iter().map(|f| (f.address - TEXT, f.name.as_str())).collect();
    assert_eq!(named, [(0x20, "assembly_label"), (0x40, "godwit::boot::start"), (0x60, "godwit::second")]);
}

#[test]
fn describes_only_addresses_in_code() {
    let functions = Functions::read(&elf(&[("first", 2, CODE, TEXT + 0x10)], 0)).unwrap();
    assert_eq!(functions.describe(TEXT + 0x10).as_deref(), Some("first+0x0"));
    assert_eq!(functions.describe(TEXT + 0xff).as_deref(), Some("first+0xef"));
    for address in [0, TEXT, TEXT + 0xf, TEXT + TEXT_BYTES, u64::MAX] {
        assert_eq!(functions.describe(address), None, "{address:#x}");
    }
}

#[test]
fn refuses_what_is_no_elf_file() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
        assert!(Functions::read(bytes).is_err());
    }
}
