//! Memory types: what a guest may set, and that no byte is lost by it.

use core::arch::asm;

use x86_64::registers::control::{Cr0, Cr0Flags};

use super::msr::{is_gp, try_read, try_write};
use crate::{
    asked::Asked,
    faults::Shown,
    single::Single,
    trial::{Outcome, Trial, check, check_strictly, found},
    window::{self, PRESENT, Size, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("pat-takes-every-type-there-is", pat),
    Trial::new("pat-types-keep-memory-right", types),
    Trial::new("mtrr-registers-are-as-their-capability-says", mtrr),
    Trial::new("cache-disable-keeps-memory-right", cache_disable),
    Trial::new("wbinvd-and-invd-lose-nothing", flushes),
];

const PAT: u32 = 0x277;
const PAT_AT_RESET: u64 = 0x0007_0406_0007_0406;
const MTRR_CAPABILITY: u32 = 0xfe;
const MTRR_DEFAULT: u32 = 0x2ff;

static WORDS: Single<[u64; 512]> = Single::new([0; 512]);

/// Uncacheable, write-combining, write-through, write-protected, write-back, uncacheable-minus; none else.
fn pat(_: &Asked<'_>) -> Outcome {
    for kind in 0..=8_u64 {
        let value = (0..8).fold(0, |value, slot| value | kind << (slot * 8));
        let caught = try_write(PAT, value);
        if matches!(kind, 0 | 1 | 4..=7) {
            check!(caught.is_none(), "PAT of type {kind}: {}", Shown(caught));
            check!(try_read(PAT) == Ok(value), "PAT reads {:x?}, {value:#x} was written", try_read(PAT));
        } else {
            check_strictly!(is_gp(caught), "PAT of type {kind}, which is none: {}", Shown(caught));
        }
    }
    let caught = try_write(PAT, PAT_AT_RESET);
    check!(caught.is_none(), "PAT as at reset: {}", Shown(caught));
    Ok(())
}

/// A page through each slot of the PAT (PWT, PCD, PAT) shows what was written through another.
fn types(_: &Asked<'_>) -> Outcome {
    for slot in 0..8_u64 {
        let bits = (slot & 3) << 3 | (slot >> 2) << 7;
        let at = window::map(Size::Page4K, WORDS.address(), PRESENT | WRITABLE | bits) as *mut u64;
        for place in 0..64 {
            let value = slot << 32 | place as u64;
            // SAFETY: both lead to this trial's static.
            let (direct, alias) = unsafe {
                at.add(place).write_volatile(value);
                asm!("mfence");
                let direct = WORDS.get().cast::<u64>().add(place).read_volatile();
                WORDS.get().cast::<u64>().add(place).write_volatile(!value);
                asm!("mfence");
                (direct, at.add(place).read_volatile())
            };
            check!(
                direct == value && alias == !value,
                "slot {slot}, word {place}: {direct:#x} and {alias:#x} of {value:#x} and {:#x}",
                !value
            );
        }
    }
    window::map(Size::Page4K, 0, 0);
    Ok(())
}

/// As many variable ranges as MTRRcap says, and no more; fixed ones where it says so.
fn mtrr(_: &Asked<'_>) -> Outcome {
    let Ok(capability) = try_read(MTRR_CAPABILITY) else {
        found!("there is no MTRRcap");
        return Ok(());
    };
    let ranges = (capability & 0xff) as u32;
    found!("{ranges} variable ranges, fixed ones: {}", capability & 1 << 8 != 0);
    let caught = try_write(MTRR_CAPABILITY, capability ^ 0xff);
    check_strictly!(is_gp(caught), "writing MTRRcap: {}", Shown(caught));
    for range in 0..ranges {
        let read = (try_read(0x200 + range * 2), try_read(0x201 + range * 2));
        check!(read.0.is_ok() && read.1.is_ok(), "variable range {range} of {ranges} gives {read:x?}");
    }
    if ranges < 8 {
        let beyond = try_read(0x200 + ranges * 2);
        check_strictly!(is_gp(beyond.err()), "variable range {ranges} of {ranges} gives {beyond:x?}");
    }
    for fixed in [0x250, 0x258, 0x259, 0x268, 0x26f] {
        let read = try_read(fixed);
        let right = if capability & 1 << 8 != 0 { read.is_ok() } else { is_gp(read.err()) };
        check_strictly!(right, "fixed range {fixed:#x} gives {read:x?}");
    }
    let default = try_read(MTRR_DEFAULT);
    check!(default.is_ok(), "MTRRdefType gives {default:x?}");
    let value = default.unwrap_or(0);
    // Off and on again, as systems do; then a reserved bit.
    for written in [value & !0xc00, value] {
        let caught = try_write(MTRR_DEFAULT, written);
        check!(caught.is_none(), "writing {written:#x} to MTRRdefType: {}", Shown(caught));
    }
    let caught = try_write(MTRR_DEFAULT, value | 1 << 40);
    check_strictly!(is_gp(caught), "a reserved bit of MTRRdefType: {}", Shown(caught));
    try_write(MTRR_DEFAULT, value);
    Ok(())
}

fn fill(seed: u64) {
    for place in 0..512 {
        // SAFETY: this trial's static.
        unsafe { WORDS.get().cast::<u64>().add(place).write_volatile(seed ^ place as u64) };
    }
}

fn holds(seed: u64) -> bool {
    // SAFETY: this trial's static.
    (0..512)
        .all(|place| unsafe { WORDS.get().cast::<u64>().add(place).read_volatile() } == seed ^ place as u64)
}

/// CR0.CD and back, with what systems do in between.
fn cache_disable(_: &Asked<'_>) -> Outcome {
    fill(0x1111);
    // SAFETY: caching changes nothing but the time that things take.
    unsafe {
        Cr0::update(|flags| flags.insert(Cr0Flags::CACHE_DISABLE));
        asm!("wbinvd");
    }
    let without = holds(0x1111);
    fill(0x2222);
    crate::environment::cpuid(0, 0);
    let seen = Cr0::read().contains(Cr0Flags::CACHE_DISABLE);
    // SAFETY: as it was.
    unsafe {
        asm!("wbinvd");
        Cr0::update(|flags| flags.remove(Cr0Flags::CACHE_DISABLE));
    }
    let with = holds(0x2222);
    check!(without && with, "memory with CR0.CD is right: {without}, behind it: {with}");
    check!(seen, "CR0.CD is clear after it was set");
    Ok(())
}

/// INVD of a guest must not drop what has not reached memory yet.
fn flushes(_: &Asked<'_>) -> Outcome {
    for round in 0..10 {
        fill(round);
        // SAFETY: the machine's caches are the host's; for a guest both leave memory as it is.
        unsafe { asm!("invd") };
        let invd = holds(round);
        fill(round + 100);
        // SAFETY: as above.
        unsafe { asm!("wbinvd") };
        check!(invd && holds(round + 100), "round {round}: memory is right behind INVD: {invd}");
    }
    Ok(())
}
