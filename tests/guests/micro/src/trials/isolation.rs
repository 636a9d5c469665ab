//! Walks over everything that a guest can name and does not have: what answers is what an empty bus gives, and it goes on.

use x86_64::instructions::port::Port;

use super::garbage::is_harmless;
use crate::{
    apic,
    asked::Asked,
    console,
    environment::{self, cpuid},
    pic, pit, rtc,
    trial::{Outcome, Trial, check, check_strictly, found},
    window::{self, PRESENT, Size, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("every-port-can-be-read", read_ports),
    Trial::new("every-port-can-be-written", write_ports),
    Trial::new("space-beyond-ram-reads-all-ones", beyond_ram),
    Trial::new("space-beyond-ram-keeps-nothing", keeps_nothing),
];

/// Page-table entries: uncacheable.
const UNCACHED: u64 = 1 << 4;

/// Four ports at a time; each one by itself where a PC's devices are.
fn read_ports(_: &Asked<'_>) -> Outcome {
    let mut answered = 0;
    for port in (0..=0xffff_u16).step_by(4).filter(|port| is_harmless(*port)) {
        // SAFETY: reading what may be read is what is tried; those that end the machine are left out.
        let value = unsafe { Port::<u32>::new(port).read() };
        answered += u32::from(value != u32::MAX);
    }
    for port in (0..0x500_u16).filter(|port| is_harmless(*port)) {
        // SAFETY: as above.
        unsafe {
            Port::<u8>::new(port).read();
            Port::<u16>::new(port).read();
        }
    }
    console::start();
    found!("{answered} of 16384 places answer with something else than all ones");
    check_strictly!(answered < 100, "{answered} of 16384 places answer");
    Ok(())
}

fn write_ports(_: &Asked<'_>) -> Outcome {
    let mut garbage = 0x9e37_79b9_u32;
    for port in (0..=0xffff_u16).step_by(4).filter(|port| is_harmless(*port)) {
        garbage = garbage.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        // SAFETY: whatever a device makes of it is what is tried.
        unsafe { Port::<u32>::new(port).write(garbage) };
    }
    // All of it back to where other trials begin.
    pic::start(0);
    pit::stop();
    rtc::stop();
    apic::start(false);
    console::start();
    crate::console::println!();
    let vendor = cpuid(0, 0);
    check!(vendor.eax >= 0xd, "leaf 0 ends at {:#x} afterwards", vendor.eax);
    Ok(())
}

/// Addresses where no RAM is and no device, up to the width that CPUID tells: about `count` of them, at odd strides. Plain emulators have
/// devices below 4 GiB.
fn addresses(count: u64) -> impl Iterator<Item = u64> {
    let end = environment::get().ram().iter().map(|range| range.end).max().unwrap_or(0);
    let last = 1_u64 << (cpuid(0x8000_0008, 0).eax & 0xff).clamp(32, 48);
    let first = if environment::get().is_strict() { end } else { end.max(8 << 30) };
    // Below 4 GiB closer together than above.
    let low = (first..4 << 30).step_by(0x20_3000);
    let stride = (last / count).next_multiple_of(4096) + 0x5000;
    let high = (first.max(4 << 30)..last).step_by(stride as usize);
    let edges = (32..48).map(|bit| 1_u64 << bit).flat_map(|power| [power, power - 4096]);
    low.chain(high)
        .chain(edges.filter(move |at| (first..last).contains(at)))
        .filter(|at| at & !0xfff != apic::LOCAL && at & !0xfff != apic::IO)
}

fn beyond_ram(_: &Asked<'_>) -> Outcome {
    let mut places = 0;
    for at in addresses(500) {
        let page = window::map(Size::Page4K, at & !0xfff, PRESENT | WRITABLE | UNCACHED);
        // SAFETY: reading what may be read is what is tried.
        let (byte, word) =
            unsafe { ((page as *const u8).read_volatile(), (page as *const u64).read_volatile()) };
        // QEMU 7.2 itself gives zeroes there.
        check_strictly!((byte, word) == (u8::MAX, u64::MAX), "address {at:#x} reads {byte:#x}, {word:#x}");
        if (byte, word) != (u8::MAX, u64::MAX) {
            break;
        }
        places += 1;
    }
    window::map(Size::Page4K, 0, 0);
    found!("{places} places beyond RAM read all ones");
    Ok(())
}

fn keeps_nothing(_: &Asked<'_>) -> Outcome {
    for at in addresses(300) {
        let page = window::map(Size::Page4K, at & !0xfff, PRESENT | WRITABLE | UNCACHED) as *mut u32;
        // SAFETY: whatever becomes of the words is what is tried; none of this guest's RAM is there.
        let found = unsafe {
            page.write_volatile(0x0bad_c0de);
            page.add(1023).write_volatile(0x0bad_c0de);
            [page.read_volatile(), page.add(1023).read_volatile()]
        };
        check!(!found.contains(&0x0bad_c0de), "address {at:#x} keeps what was written");
    }
    window::map(Size::Page4K, 0, 0);
    Ok(())
}
