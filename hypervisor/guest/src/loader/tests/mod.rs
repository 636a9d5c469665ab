//! What every plan has to keep, whatever the files are; the formats have modules of their own.

mod initrd;
mod linux;
mod pvh;
mod samples;

use alloc::vec::Vec;

use proptest::prelude::*;

use self::samples::{Ram, bzimage, elf};
use super::*;
use crate::{
    description::{GuestName, PagePolicy},
    file::Bytes,
    layout::LEGACY_HOLE,
};

const MIB: u64 = 1 << 20;
/// ACPI tables with their root pointer in the middle.
const TABLES: PlacedTables<'static> =
    PlacedTables { at: GuestAddress(0xe_0000), bytes: &[0xac; 300], rsdp: GuestAddress(0xe_0040) };

fn guest(memory_mib: u64, command_line: &str) -> GuestDescription {
    GuestDescription {
        name: GuestName::new("a").unwrap(),
        memory_bytes: memory_mib * MIB,
        command_line: CommandLine::new(command_line).unwrap(),
        pages: PagePolicy::Largest,
        autostart: true,
        processors: Default::default(),
        trust_domain: None,
        tsc_hz: None,
    }
}

/// Plans a guest of `memory_mib` and checks what holds for every plan.
fn try_plan(memory_mib: u64, kernel: &[u8], initrd: Option<&[u8]>) -> Result<LoadPlan, LoadError> {
    let description = guest(memory_mib, "console=ttyS0 quiet");
    let layout = description.layout().unwrap();
    let kernel = Bytes { name: "vmlinux", bytes: kernel };
    let initrd = initrd.map(|bytes| Bytes { name: "initramfs", bytes });
    let initrd = initrd.as_ref().map(|file| file as &dyn File);
    let plan = plan(&description, &layout, &kernel, initrd, TABLES)?;
    check(&plan, &layout, kernel.bytes(), initrd.map(File::bytes));
    Ok(plan)
}

fn check(plan: &LoadPlan, layout: &MemoryLayout, kernel_bytes: u64, initrd_bytes: Option<u64>) {
    let mut ranges = Vec::new();
    for copy in &plan.copies {
        let file_bytes = match copy.file {
            FileRole::Kernel => kernel_bytes,
            FileRole::Initrd => initrd_bytes.unwrap(),
        };
        assert!(copy.bytes > 0 && copy.offset.checked_add(copy.bytes).unwrap() <= file_bytes, "{copy:?}");
        ranges.push((copy.to.0, copy.bytes));
    }
    ranges.extend(plan.writes.iter().map(|(at, bytes)| (at.0, bytes.len() as u64)));
    ranges.sort_unstable();
    for &(start, bytes) in &ranges {
        assert!(layout.regions().iter().any(|region| region.holds(start, bytes)), "{start:#x}, {bytes}");
    }
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{ranges:x?}");
    }
}

fn load(memory_mib: u64, kernel: &[u8], initrd: Option<&[u8]>) -> (Ram, CpuState) {
    let plan = try_plan(memory_mib, kernel, initrd).unwrap();
    let ram = Ram::filled(memory_mib * MIB, &plan, kernel, initrd);
    (ram, plan.cpu)
}

fn refusal(memory_mib: u64, kernel: &[u8], initrd: Option<&[u8]>) -> alloc::string::String {
    alloc::string::ToString::to_string(&try_plan(memory_mib, kernel, initrd).unwrap_err())
}

#[test]
fn what_is_no_kernel_is_named() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", &[0; 4096]] {
        let error = refusal(64, bytes, None);
        assert!(error.starts_with("kernel `vmlinux`: not a kernel"), "{error}");
    }
}

#[test]
fn tables_belong_in_the_legacy_hole() {
    let description = guest(64, "");
    let layout = description.layout().unwrap();
    let image = elf::sample().build();
    let kernel = Bytes { name: "vmlinux", bytes: &image };
    let try_at = |at, rsdp| {
        let tables = PlacedTables { at: GuestAddress(at), rsdp: GuestAddress(rsdp), ..TABLES };
        plan(&description, &layout, &kernel, None, tables)
    };
    assert!(try_at(LEGACY_HOLE.start, LEGACY_HOLE.start).is_ok());
    assert!(try_at(LEGACY_HOLE.end - 300, LEGACY_HOLE.end - 1).is_ok());
    for (at, rsdp) in [
        (LEGACY_HOLE.start - 1, LEGACY_HOLE.start),
        (LEGACY_HOLE.end - 299, LEGACY_HOLE.end - 1),
        (0xe_0000, 0xe_0000 + 300),
        (0xe_0000, 0),
        (u64::MAX, u64::MAX),
    ] {
        assert_eq!(try_at(at, rsdp), Err(LoadError::Tables), "{at:#x} {rsdp:#x}");
    }
}

#[test]
fn both_entries_start_with_the_tables_in_memory() {
    for kernel in [elf::sample().build(), bzimage::sample()] {
        let (ram, cpu) = load(64, &kernel, None);
        assert_eq!(ram.text(COMMAND_LINE), "console=ttyS0 quiet");
        assert_eq!(ram.bytes(0xe_0000, 300), [0xac; 300]);
        let segments = cpu.segments;
        for segment in
            [segments.cs, segments.ds, segments.es, segments.fs, segments.gs, segments.ss, segments.tr]
        {
            assert!(segment.selector + 7 <= cpu.gdtr.limit);
            let descriptor = ram.u64(cpu.gdtr.base + u64::from(segment.selector));
            let attributes = descriptor >> 40 & 0xff | descriptor >> 52 << 8 & 0xf00;
            assert_eq!(u64::from(segment.attributes.bits()), attributes, "{segment:x?}");
            let limit = descriptor & 0xffff | descriptor >> 32 & 0xf_0000;
            let pages = descriptor >> 55 & 1 != 0;
            assert_eq!(u64::from(segment.limit), if pages { limit << 12 | 0xfff } else { limit });
            assert_eq!(segment.base, 0);
        }
        assert_eq!((cpu.registers.rflags, cpu.debug.dr6, cpu.debug.dr7), (2, 0xffff_0ff0, 0x400));
        assert_eq!((cpu.msrs.pat, cpu.control.xcr0), (0x0007_0406_0007_0406, 1));
        assert_eq!(
            (cpu.fpu.len(), &cpu.fpu[..2], &cpu.fpu[24..28]),
            (576, &[0x7f, 0x03][..], &[0x80, 0x1f, 0, 0][..])
        );
        assert!(cpu.fpu[28..].iter().all(|&byte| byte == 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_planned_or_refused(kernel: Vec<u8>, initrd: Option<Vec<u8>>, memory_mib in (4u64..200).prop_map(|steps| steps * 2)) {
        // Whatever comes of it: what is planned is checked there.
        let _ = try_plan(memory_mib, &kernel, initrd.as_deref());
    }

    #[test]
    fn any_change_to_a_kernel_is_planned_or_refused(
        mut kernel in prop_oneof![Just(elf::sample().build()), Just(bzimage::sample())],
        changes in prop::collection::vec((0usize..0x300, prop_oneof![any::<u64>(), any::<u8>().prop_map(u64::from), Just(u64::MAX)]), 1..4),
        memory_mib in (4u64..40).prop_map(|steps| steps * 2),
    ) {
        for (at, value) in changes {
            let at = at.min(kernel.len() - 8);
            kernel[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let _ = try_plan(memory_mib, &kernel, Some(&[1; 100]));
    }
}
