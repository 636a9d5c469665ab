//! As much of ACPI as it takes to switch off and to tell the time: RSDP → FADT → PM1a control block and PM timer, and `_S5_`.

use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use x86_64::instructions::{hlt, interrupts, port::Port};

use crate::{console::println, time};

/// PM1a control port.
static CONTROL: AtomicU16 = AtomicU16::new(0);
/// Sleep type of S5.
static SLEEP_TYPE: AtomicU16 = AtomicU16::new(0);
/// PM timer port.
static TIMER: AtomicU16 = AtomicU16::new(0);

/// The MADT, or 0.
static MADT: AtomicU64 = AtomicU64::new(0);

/// SLP_EN (ACPI 6.5, table 4.16).
const SLEEP_ENABLE: u16 = 1 << 13;

/// Finds the tables, from the loader's root pointer or where firmware puts it.
pub(crate) fn find(rsdp: u64) {
    let rsdp = if rsdp != 0 { Some(rsdp) } else { search() };
    MADT.store(rsdp.and_then(|rsdp| table(rsdp, *b"APIC")).unwrap_or(0), Ordering::Relaxed);
    let Some(fadt) = rsdp.and_then(|rsdp| table(rsdp, *b"FACP")) else {
        println!("micro found: no ACPI tables; the machine cannot be switched off");
        return;
    };
    CONTROL.store(read::<u32>(fadt + 64) as u16, Ordering::Relaxed);
    TIMER.store(read::<u32>(fadt + 76) as u16, Ordering::Relaxed);
    SLEEP_TYPE.store(sleep_type(u64::from(read::<u32>(fadt + 40))).unwrap_or(0), Ordering::Relaxed);
}

/// The port of the 3.579545 MHz timer, where there is one.
pub(crate) fn timer_port() -> Option<u16> {
    Some(TIMER.load(Ordering::Relaxed)).filter(|port| *port != 0)
}

/// Ports whose writes switch the machine off.
pub(crate) fn control_port() -> u16 {
    CONTROL.load(Ordering::Relaxed)
}

/// Switches the machine off; where that does not work, halts for ever.
pub(crate) fn power_off() -> ! {
    interrupts::disable();
    let (control, sleep_type) = (control_port(), SLEEP_TYPE.load(Ordering::Relaxed));
    if control != 0 {
        let mut port = Port::<u16>::new(control);
        // SAFETY: the FADT says that this is the PM1a control register; nothing is left to be done.
        unsafe { port.write((sleep_type & 7) << 10 | SLEEP_ENABLE) };
    }
    // An emulator may need a moment.
    time::wait(2000, || false);
    println!("micro found: the machine is still on after it was switched off");
    loop {
        hlt();
    }
}

/// The ids of the local APICs that the MADT lists as enabled, in its order (ACPI 6.5, 5.2.12.2).
pub(crate) fn local_apics(mut found: impl FnMut(u32)) {
    let madt = MADT.load(Ordering::Relaxed);
    if madt == 0 {
        return;
    }
    let end = madt + u64::from(read::<u32>(madt + 4));
    let mut entry = madt + 44;
    while entry + 8 <= end {
        let [kind, bytes, _, id] = read::<[u8; 4]>(entry);
        if kind == 0 && read::<u32>(entry + 4) & 1 != 0 {
            found(id.into());
        }
        entry += u64::from(bytes.max(2));
    }
}

/// A number in physical memory below 4 GiB.
fn read<T: Copy>(at: u64) -> T {
    // SAFETY: addresses come from the machine's own tables, all memory below 4 GiB is mapped, and every pattern is a number.
    unsafe { (at as *const T).read_unaligned() }
}

fn search() -> Option<u64> {
    (0xe_0000..0x10_0000).step_by(16).find(|at| read::<[u8; 8]>(*at) == *b"RSD PTR ")
}

/// A table by its signature, from the XSDT or, on old firmware, the RSDT.
fn table(rsdp: u64, signature: [u8; 4]) -> Option<u64> {
    let xsdt = read::<u64>(rsdp + 24);
    let (root, bytes) =
        if read::<u8>(rsdp + 15) >= 2 && xsdt != 0 { (xsdt, 8) } else { (read::<u32>(rsdp + 16).into(), 4) };
    let end = root + u64::from(read::<u32>(root + 4));
    (root + 36..end)
        .step_by(bytes)
        .map(|at| if bytes == 8 { read::<u64>(at) } else { read::<u32>(at).into() })
        .find(|table| read::<[u8; 4]>(*table) == signature)
}

/// The first element of the package `_S5_` in a DSDT (ACPI 6.5, 7.4.2 and 20.2.4).
fn sleep_type(dsdt: u64) -> Option<u16> {
    let end = dsdt + u64::from(read::<u32>(dsdt + 4));
    // The name and what is read behind it have 9 bytes where the package is short.
    let name = (dsdt + 36..end.checked_sub(8)?).find(|at| read::<[u8; 4]>(*at) == *b"_S5_")?;
    // PackageOp, PkgLength in 1 to 4 bytes, NumElements, then the first element.
    if read::<u8>(name + 4) != 0x12 {
        return None;
    }
    let first = name + 5 + 1 + u64::from(read::<u8>(name + 5) >> 6) + 1;
    match read::<u8>(first) {
        value @ 0..=1 => Some(value.into()),
        0x0a => Some(read::<u8>(first + 1).into()),
        _ => None,
    }
}
