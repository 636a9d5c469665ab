//! Bundles and files that are not as they should be: the host names them, and other guests run.

use std::fs;

use anyhow::{Context, Result, ensure};
use godwit_guest::description::GuestDescription;
use godwit_scenarios::{
    ANSWER, ensure_says,
    guests::{Bundle, GuestHost, MICRO, micro, micro_kernel},
    linux::linux,
    sized_spec,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A micro guest that starts with its host.
fn guest(name: &str) -> Result<GuestDescription> {
    Ok(GuestDescription { autostart: true, ..micro(name, "test=halt-forever")? })
}

/// The first `bytes` of a file.
fn cut(mut content: Vec<u8>, bytes: usize) -> Vec<u8> {
    content.truncate(bytes);
    content
}

/// Fails unless the guest that is as it should be runs.
fn ensure_good_runs(host: &GuestHost) -> Result<()> {
    host.ensure_state("good", "running")?;
    host.enter_console("good")?;
    host.expect("micro halt-forever begins", MICRO)?;
    host.leave_console("good")
}

#[test]
fn kernels_that_cannot_be_loaded_are_named_and_others_start() -> Result<()> {
    let linux = linux()?;
    let (vmlinux, vmlinuz) = (fs::read(linux.vmlinux)?, fs::read(linux.vmlinuz)?);
    let elf = fs::read(micro_kernel()?)?;
    let mut bundle = Bundle::new();
    let mut add = |name, file: &str, kernel, initrd: Option<Vec<u8>>| -> Result<()> {
        let kernel = bundle.file(file, kernel)?;
        let initrd = initrd.map(|content| bundle.file("ramdisk", content)).transpose()?;
        bundle.guest(guest(name)?, kernel, initrd)
    };
    // The program headers are there, and not what they load.
    add("cut-elf", "elf-half", cut(elf.clone(), 0x1800), None)?;
    add("cut-header", "elf-start", cut(elf.clone(), 40), None)?;
    add("cut-bzimage", "bzimage-half", cut(vmlinuz, 1 << 20), None)?;
    add("no-kernel", "notes.txt", b"not a kernel at all\n".repeat(100), None)?;
    add("empty", "nothing", Vec::new(), None)?;
    add("large-kernel", "vmlinux", vmlinux, None)?;
    add("large-initrd", "micro.elf", elf.clone(), Some(vec![7; 32 << 20]))?;
    add("good", "micro.elf", elf, None)?;

    let host = bundle.boot(&sized_spec("north", 8, "512MiB")?)?;
    let reasons = [
        ("cut-elf", "kernel `elf-half`: truncated"),
        ("cut-header", "kernel `elf-start`: truncated"),
        ("cut-bzimage", "kernel `bzimage-half`: truncated"),
        ("no-kernel", "kernel `notes.txt`: not a kernel"),
        ("empty", "kernel `nothing`: not a kernel"),
        ("large-kernel", "kernel `vmlinux`: too large for the memory: it needs "),
        ("large-initrd", "initrd `ramdisk`: too large: it has 32768 KiB"),
    ];
    for (name, reason) in reasons {
        host.has_said(&format!("guest {name} does not start: "), ANSWER)?;
        ensure_says(&host.command(&format!("guest {name}"), ANSWER)?, &["stopped", reason])?;
        host.ensure_state(name, "stopped")?;
    }
    ensure_good_runs(&host)?;
    // Trying again changes nothing, and takes no memory.
    let before = host.free_frames()?;
    for (name, reason) in reasons {
        host.tell("start", name, reason)?;
    }
    let after = host.free_frames()?;
    ensure!(after == before, "{before} frames were free, and {after} are");
    Ok(())
}

#[test]
fn memory_that_is_not_there_is_said() -> Result<()> {
    let mut bundle = Bundle::new();
    bundle.micro(GuestDescription { memory_bytes: 1 << 30, ..guest("greedy")? })?;
    bundle.micro(guest("good")?)?;
    let host = bundle.boot(&sized_spec("north", 2, "128MiB")?)?;
    let before = host.free_frames()?;
    host.tell("start", "greedy", "greedy does not start: no memory for it: ")?;
    ensure!(host.free_frames()? == before, "frames were lost");
    ensure_good_runs(&host)
}

/// Puts `new` into a bundle's manifest, `at` bytes from where the first `name` in it ends, and mends the header's sum, so
/// that it is as if it had been packed.
fn forge(bundle: &mut [u8], name: &str, at: isize, new: &[u8]) -> Result<()> {
    let manifest_bytes = u32::from_le_bytes(bundle[12..16].try_into()?) as usize;
    let length = u64::from_le_bytes(bundle[24..32].try_into()?);
    let manifest = &mut bundle[32..32 + manifest_bytes];
    let found = manifest.windows(name.len()).position(|window| window == name.as_bytes());
    let end = found.context("no such name in the manifest")? + name.len();
    let start = end.checked_add_signed(at).context("before the manifest")?;
    manifest[start..start + new.len()].copy_from_slice(new);
    let sum = xxh3_64_with_seed(manifest, length);
    bundle[16..24].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// The tool that packs bundles lets none of these through.
#[test]
fn guests_that_cannot_be_are_left_out_and_others_start() -> Result<()> {
    let mut bundle = Bundle::new();
    for name in ["twin-a", "twin-b", "tiny", "odd", "good"] {
        bundle.micro(guest(name)?)?;
    }
    let mut bytes = bundle.bytes()?;
    // Numbers are in groups of seven bits, lowest first; memory follows the name.
    let mib = |mib: u64| {
        let value = mib << 20;
        [value as u8 | 0x80, (value >> 7) as u8 | 0x80, (value >> 14) as u8 | 0x80, (value >> 21) as u8]
    };
    forge(&mut bytes, "twin-b", -1, b"a")?;
    forge(&mut bytes, "tiny", 0, &mib(3))?;
    forge(&mut bytes, "odd", 0, &mib(15))?;
    let host = GuestHost::boot(&sized_spec("north", 4, "128MiB")?, &bytes)?;
    for reason in [
        "guest twin-a in boot module 0 is left out: name: used twice",
        "guest tiny in boot module 0 is left out: memory: memory of 3145728 bytes is too little",
        "guest odd in boot module 0 is left out: memory: memory of 15728640 bytes is no multiple of 2 MiB",
    ] {
        host.has_said(reason, ANSWER)?;
    }
    let table = host.command("guests", ANSWER)?;
    for (name, times) in [("twin-a", 1), ("tiny", 0), ("odd", 0), ("good", 1)] {
        let found = table.lines().filter(|line| line.split_whitespace().next() == Some(name)).count();
        ensure!(found == times, "{name} is there {found} times:\n{table}");
    }
    host.ensure_state("twin-a", "running")?;
    ensure_good_runs(&host)
}

/// A bundle of one guest, `good`.
fn bundle() -> Result<Vec<u8>> {
    let mut bundle = Bundle::new();
    bundle.micro(guest("good")?)?;
    bundle.bytes()
}

#[test]
fn a_damaged_bundle_is_no_bundle() -> Result<()> {
    let whole = bundle()?;
    let mut flipped = whole.clone();
    // In the manifest, behind the header.
    flipped[40] ^= 1;
    let truncated = cut(whole.clone(), whole.len() - 1);
    for (module, reason) in [
        (flipped, "boot module 0 holds no guests: damaged: the manifest's sum is wrong"),
        (truncated, "boot module 0 holds no guests: truncated: the bundle has "),
        (b"a text".to_vec(), "boot module 0 holds no guests: not a bundle of guests"),
    ] {
        let host = GuestHost::boot(&sized_spec("north", 1, "128MiB")?, &module)?;
        host.has_said(reason, ANSWER)?;
        ensure_says(&host.command("guests", ANSWER)?, &["no guests"])?;
    }
    Ok(())
}

#[test]
fn a_damaged_file_spoils_only_its_guests() -> Result<()> {
    let elf = fs::read(micro_kernel()?)?;
    let mut bundle = Bundle::new();
    bundle.micro(guest("good")?)?;
    let other = bundle.file("other.elf", elf)?;
    bundle.guest(guest("bad")?, other, None)?;
    let mut bytes = bundle.bytes()?;
    // The last file's last byte.
    *bytes.last_mut().expect("a bundle has bytes") ^= 1;
    let host = GuestHost::boot(&sized_spec("north", 2, "128MiB")?, &bytes)?;
    host.tell("start", "bad", "bad does not start: `other.elf` is damaged: its sum is 0x")?;
    ensure_good_runs(&host)
}
