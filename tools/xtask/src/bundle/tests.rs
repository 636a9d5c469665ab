use std::fs;

use godwit_guest::{bundle::Bundle, description::PagePolicy, file::Bytes};

use super::{guests::GuestsFile, pack};

const TWO_GUESTS: &str = r#"
[[guest]]
name = "web-1"
memory = "256MiB"
kernel = "vmlinux"
initrd = "initramfs"
cmdline = "console=ttyS0 quiet"
pages = "4k"
autostart = false

[[guest]]
name = "web-2"
memory = "3GiB"
kernel = "./vmlinux"
"#;

/// The smallest bzImage that the loader takes: one sector of setup, one of code.
fn kernel() -> Vec<u8> {
    let mut image = vec![0; 4 * 512];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]);
    put(0x1f4, &(2 * 512 / 16u32).to_le_bytes());
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x70]);
    put(0x202, b"HdrS");
    put(0x206, &0x020fu16.to_le_bytes());
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffffu32.to_le_bytes());
    put(0x236, &1u16.to_le_bytes());
    put(0x238, &2047u32.to_le_bytes());
    put(0x258, &0x100_0000u64.to_le_bytes());
    put(0x260, &0x10_0000u32.to_le_bytes());
    image
}

#[test]
fn packs_what_the_file_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("guests.toml");
    fs::write(&path, TWO_GUESTS).unwrap();
    fs::write(directory.path().join("vmlinux"), kernel()).unwrap();
    fs::write(directory.path().join("initramfs"), [7; 5000]).unwrap();
    let packed = pack(&path).unwrap();
    assert_eq!(packed.guests, ["web-1", "web-2"]);

    let bundle = Bundle::read(&Bytes { name: "bundle", bytes: &packed.bytes }).unwrap();
    let [first, second] = bundle.guests() else { panic!("{bundle:?}") };
    assert_eq!((first.description.memory_bytes, second.description.memory_bytes), (256 << 20, 3 << 30));
    assert_eq!(first.description.command_line.as_str(), "console=ttyS0 quiet");
    assert_eq!((first.description.pages, first.description.autostart), (PagePolicy::FourKib, false));
    assert_eq!((second.description.pages, second.description.autostart), (PagePolicy::Largest, true));
    assert_eq!(first.initrd.as_ref().map(|file| (file.name.as_str(), file.bytes)), Some(("initramfs", 5000)));
    assert_eq!((&second.initrd, &second.kernel), (&None, &first.kernel), "one kernel goes in once");
}

#[test]
fn every_refusal_names_its_line_guest_and_field() {
    let guest =
        |fields: &str| format!("[[guest]]\nname = \"a\"\nmemory = \"64MiB\"\nkernel = \"k\"\n{fields}\n");
    let long = "x".repeat(2048);
    let replace = |from: &str, to: &str| guest("").replace(from, to);
    let cases = [
        (String::new(), &["[[guest]]"][..]),
        (guest("cores = 2"), &["unknown field `cores`", "line 5", "`cmdline`"]),
        ("[[guests]]\n".to_owned(), &["unknown field `guests`"]),
        (replace("kernel = \"k\"", ""), &["missing field `kernel`"]),
        (replace("64MiB", "3MiB"), &["line 3", "guest 1 (`a`)", "`memory`", "at least 8 MiB"]),
        (replace("64MiB", "9MiB"), &["line 3", "`memory`", "2 MiB", "8 or 10 MiB"]),
        (replace("64MiB", "1024GiB"), &["line 3", "`memory`", "at most 1023 GiB"]),
        (replace("64MiB", "much"), &["line 3", "`memory`", "`much`", "GiB"]),
        (replace("\"a\"", "\"A b\""), &["line 2", "guest 1 (`A b`)", "`name`", "lower-case"]),
        (replace("\"k\"", "\"\""), &["line 4", "`kernel`", "empty"]),
        (guest("initrd = \"\""), &["line 5", "`initrd`", "empty"]),
        (guest("pages = \"2m\""), &["line 5", "`pages`", "`largest` or `4k`"]),
        (guest(&format!("cmdline = \"{long}\"")), &["line 5", "`cmdline`", "2048 bytes", "2047"]),
        (guest("cmdline = \"a\\u0000b\""), &["line 5", "`cmdline`", "NUL at byte 1"]),
        (guest("cpus = 17"), &["line 5", "`cpus`", "17 CPUs", "1 to 16"]),
        (guest("weight = 0"), &["line 5", "`weight`", "1 to 10000"]),
        (guest("cap = \"much\""), &["line 5", "`cap`", "`much`", "150%"]),
        (guest("cap = \"7000%\""), &["line 5", "`cap`", "1 to 6400"]),
        (guest("pin = []"), &["line 5", "`pin`", "at least one"]),
        (guest("pin = [64]"), &["line 5", "`pin`", "host CPU 64", "0 to 63"]),
        (guest("domain = \"A\""), &["line 5", "`domain`", "lower-case"]),
        (guest("tsc_hz = 2400"), &["line 5", "`tsc_hz`", "100 MHz"]),
        (guest("autostart = \"yes\""), &["line 5", "expected a boolean"]),
        (guest("") + &guest(""), &["line 7", "guest 2 (`a`)", "`name`", "used twice"]),
    ];
    for (text, words) in cases {
        let error = format!("{:#}", GuestsFile::parse(&text).unwrap_err());
        for word in words {
            assert!(error.contains(word), "{text:?}: `{word}` is not in: {error}");
        }
    }
}

#[test]
fn files_that_cannot_boot_are_refused_with_their_guest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("guests.toml");
    let refusal = || format!("{:#}", pack(&path).err().expect("refused"));
    assert!(refusal().contains("cannot read the file of guests"), "{}", refusal());

    fs::write(&path, "[[guest]]\nname = \"a\"\nmemory = \"16MiB\"\nkernel = \"k\"\n").unwrap();
    let missing = refusal();
    assert!(missing.contains("line 4: guest 1 (`a`): field `kernel`: cannot read"), "{missing}");
    fs::write(directory.path().join("k"), b"#!/bin/sh\n").unwrap();
    let foreign = refusal();
    assert!(foreign.contains("guest 1 (`a`): kernel `k`: not a kernel"), "{foreign}");
    fs::write(directory.path().join("k"), kernel()).unwrap();
    let large = refusal();
    assert!(large.contains("needs 18 MiB, and the guest has 16 MiB"), "{large}");
}
