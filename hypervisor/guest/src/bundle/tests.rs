use alloc::{format, string::ToString, vec, vec::Vec};

use proptest::prelude::*;

use super::{
    header::Header,
    manifest::{FileEntry, GuestEntry, Manifest},
    *,
};
use crate::{
    description::{CommandLine, GuestName, PagePolicy},
    file::Bytes,
};

fn description(name: &str) -> GuestDescription {
    GuestDescription {
        name: GuestName::new(name).unwrap(),
        memory_bytes: 64 << 20,
        command_line: CommandLine::new("quiet").unwrap(),
        pages: PagePolicy::Largest,
        autostart: false,
        processors: Default::default(),
        trust_domain: None,
        tsc_hz: None,
    }
}

fn open(bytes: &[u8]) -> Result<Bundle, BundleError> {
    Bundle::read(&Bytes { name: "bundle", bytes })
}

fn sample() -> Vec<u8> {
    let mut builder = Builder::new();
    let kernel = builder.file("vmlinux", vec![1; 5000]).unwrap();
    let initrd = builder.file("initramfs", (0..=255).cycle().take(9000).collect()).unwrap();
    builder.guest(description("a"), kernel, Some(initrd)).unwrap();
    builder.guest(description("b"), kernel, None).unwrap();
    builder.build().unwrap()
}

/// A bundle with a right header and sum around a manifest that a builder would never write.
fn wrap(manifest: &[u8]) -> Vec<u8> {
    let (manifest_bytes, bundle_bytes) = (manifest.len() as u32, 32 + manifest.len() as u64);
    let header = Header::new(manifest, manifest_bytes, bundle_bytes);
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(manifest);
    bytes
}

fn read_all(file: &FileRange, bundle: &[u8]) -> Vec<u8> {
    let mut content = vec![0; file.bytes as usize];
    file.within(&Bytes { name: "bundle", bytes: bundle }).read(0, &mut content).unwrap();
    content
}

#[test]
fn what_was_packed_is_read_back() {
    let bytes = sample();
    let bundle = open(&bytes).unwrap();
    let [a, b] = bundle.guests() else { panic!("{bundle:?}") };
    assert_eq!((&a.description, &b.description), (&description("a"), &description("b")));
    assert_eq!((&a.kernel, &b.initrd), (&b.kernel, &None));
    assert_eq!(read_all(&a.kernel, &bytes), [1; 5000]);
    let initrd = a.initrd.as_ref().unwrap();
    assert_eq!((initrd.name.as_str(), initrd.offset % FILE_ALIGNMENT), ("initramfs", 0));
    assert!(read_all(initrd, &bytes).iter().copied().eq((0..=255).cycle().take(9000)));
    assert_eq!(bundle.refused(), []);
}

#[test]
fn a_packed_file_ends_where_it_ends() {
    let bytes = sample();
    let bundle = open(&bytes).unwrap();
    let source = Bytes { name: "bundle", bytes: &bytes };
    let file = bundle.guests()[0].kernel.within(&source);
    assert_eq!((file.name(), file.bytes()), ("vmlinux", 5000));
    assert_eq!(file.read(4999, &mut [0]), Ok(()));
    // The bundle goes on behind it, with the next file.
    for (offset, bytes) in [(4999, 2), (5000, 1), (u64::MAX, 1), (u64::MAX, 0)] {
        assert_eq!(file.read(offset, &mut vec![0; bytes]), Err(Truncated), "{offset} {bytes}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = sample();
    for length in 0..bytes.len() {
        let error = open(&bytes[..length]).unwrap_err();
        if length >= 32 {
            assert_eq!(error, BundleError::Truncated { wanted: bytes.len() as u64, found: length as u64 });
        }
    }
    // A loader may round a module up to whole pages.
    let padded = [bytes.as_slice(), &[0; 100]].concat();
    assert_eq!(open(&padded), open(&bytes));
}

#[test]
fn a_changed_byte_is_noticed() {
    let bytes = sample();
    let manifest_bytes = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    for at in 0..32 + manifest_bytes {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(open(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn damaged_files_are_noticed_in_bounded_steps() {
    let mut bytes = sample();
    let bundle = open(&bytes).unwrap();
    let file = bundle.guests()[0].initrd.clone().unwrap();
    let sum = |bytes: &[u8]| {
        let mut sum = FileSum::new(file.clone());
        let mut steps = 0;
        loop {
            steps += 1;
            if sum.step(&Bytes { name: "bundle", bytes }, 4096)? {
                return Ok(steps);
            }
        }
    };
    assert_eq!(sum(&bytes), Ok(3));
    let cut = &bytes[..bytes.len() - 1];
    assert_eq!(sum(cut), Err(SumError::Truncated { name: "initramfs".into() }));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(sum(&bytes), Err(SumError::Damaged { .. })));
}

#[test]
fn a_bad_guest_leaves_the_others_alone() {
    let guest = |name: &str| GuestEntry::new(description("x"), 0, None).named(name);
    let files = vec![
        FileEntry { name: "k".into(), offset: 0, bytes: 1, sum: 0 },
        FileEntry { name: "far".into(), offset: u64::MAX, bytes: 2, sum: 0 },
    ];
    let guests = vec![
        guest("good"),
        guest("good"),
        guest("BAD"),
        GuestEntry { memory_bytes: 3 << 20, ..guest("small") },
        GuestEntry { command_line: "a\0b".into(), ..guest("nul") },
        GuestEntry { kernel: 7, ..guest("lost") },
        GuestEntry { initrd: Some(1), ..guest("outside") },
        guest("last"),
    ];
    let bytes = wrap(&postcard::to_allocvec(&Manifest { files, guests }).unwrap());
    let bundle = open(&bytes).unwrap();
    let names: Vec<_> = bundle.guests().iter().map(|guest| guest.description.name.as_str()).collect();
    assert_eq!(names, ["good", "last"]);
    let refused: Vec<_> =
        bundle.refused().iter().map(|one| format!("{} {}: {}", one.index, one.name, one.error)).collect();
    let expected = [
        ("1 good: name: used twice", "own"),
        ("2 BAD: name: expected", "lower-case"),
        ("3 small: memory: ", "8 MiB"),
        ("4 nul: cmdline: ", "NUL at byte 1"),
        ("5 lost: kernel: ", "no file 7"),
        ("6 outside: initrd: `far` ", "outside the bundle"),
    ];
    assert_eq!(refused.len(), expected.len(), "{refused:#?}");
    for (found, (begin, word)) in refused.iter().zip(expected) {
        assert!(found.starts_with(begin) && found.contains(word), "{found}");
    }
}

#[test]
fn a_bundle_of_another_kind_says_what_it_is() {
    assert_eq!(open(b"#!/bin/sh"), Err(BundleError::NotABundle));
    let mut bytes = sample();
    bytes[8] = 3;
    assert_eq!(open(&bytes), Err(BundleError::Version { version: 3 }));
    assert!(open(&bytes).unwrap_err().to_string().contains("reads version 2"));
    bytes[8] = 2;
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(open(&bytes), Err(BundleError::ManifestTooLong { bytes: u32::MAX }));
    let long_name = vec![FileEntry { name: "x".repeat(256), offset: 0, bytes: 0, sum: 0 }];
    let manifest = Manifest { files: long_name, guests: Vec::new() };
    assert_eq!(open(&wrap(&postcard::to_allocvec(&manifest).unwrap())), Err(BundleError::Manifest));
}

#[test]
fn a_builder_keeps_the_rules() {
    let mut builder = Builder::new();
    for name in ["", "x".repeat(256).as_str()] {
        assert_eq!(builder.file(name, Vec::new()), Err(BuildError::FileName { bytes: name.len() }));
    }
    let file = builder.file("k", Vec::new()).unwrap();
    builder.guest(description("a"), file, None).unwrap();
    let twice = builder.guest(description("a"), file, None);
    assert_eq!(twice, Err(BuildError::NameTwice { name: "a".into() }));
    let small = GuestDescription { memory_bytes: 3 << 20, ..description("b") };
    assert!(matches!(builder.guest(small, file, None), Err(BuildError::Memory { .. })));
    for index in 1..MAX_GUESTS {
        builder.guest(description(&format!("g{index}")), file, None).unwrap();
    }
    assert_eq!(builder.guest(description("more"), file, None), Err(BuildError::Guests));
    for _ in 1..MAX_FILES {
        builder.file("k", Vec::new()).unwrap();
    }
    assert_eq!(builder.file("k", Vec::new()), Err(BuildError::Files));
    assert_eq!(open(&builder.build().unwrap()).unwrap().guests().len(), MAX_GUESTS);
}

impl GuestEntry {
    fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bundles_go_around(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 1..6),
        guests in prop::collection::btree_map("[a-z0-9-]{1,32}", (any::<prop::sample::Index>(), 4u64..99), 0..20),
    ) {
        let mut builder = Builder::new();
        let mut ids = Vec::new();
        for (index, content) in contents.iter().enumerate() {
            ids.push(builder.file(&format!("file {index}"), content.clone()).unwrap());
        }
        for (name, (file, memory)) in &guests {
            let description = GuestDescription { memory_bytes: memory << 21, ..description(name) };
            let file = *file.get(&ids);
            builder.guest(description, file, Some(file)).unwrap();
        }
        let bytes = builder.build().unwrap();
        let bundle = open(&bytes).unwrap();
        prop_assert_eq!((bundle.guests().len(), bundle.refused().len()), (guests.len(), 0));
        for (found, (name, (file, memory))) in bundle.guests().iter().zip(&guests) {
            prop_assert_eq!(found.description.name.as_str(), name.as_str());
            prop_assert_eq!(found.description.memory_bytes, memory << 21);
            prop_assert_eq!(found.kernel.offset % FILE_ALIGNMENT, 0);
            prop_assert_eq!(&read_all(&found.kernel, &bytes), file.get(&contents));
        }
    }

    #[test]
    fn any_bytes_are_a_bundle_or_an_error(bytes: Vec<u8>, manifest: Vec<u8>) {
        prop_assert!(open(&bytes).is_err());
        if let Ok(bundle) = open(&wrap(&manifest)) {
            prop_assert!(bundle.guests().len() <= manifest.len());
        }
    }

    #[test]
    fn any_manifest_yields_guests_that_can_be_tried(
        mut bytes in Just(postcard::to_allocvec(&Manifest {
            files: vec![FileEntry { name: "k".into(), offset: 4, bytes: 8, sum: 1 }],
            guests: vec![GuestEntry::new(description("a"), 0, Some(0)), GuestEntry::new(description("b"), 0, None)],
        }).unwrap()),
        at: prop::sample::Index,
        value: u8,
    ) {
        *at.get_mut(&mut bytes) = value;
        let bytes = wrap(&bytes);
        if let Ok(bundle) = open(&bytes) {
            for guest in bundle.guests() {
                prop_assert!(guest.description.layout().is_ok());
                prop_assert!(guest.kernel.offset + guest.kernel.bytes <= bytes.len() as u64);
            }
        }
    }
}
