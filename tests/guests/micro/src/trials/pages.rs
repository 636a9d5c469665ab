//! 64-bit paging with every page size: the right bytes, and accessed and dirty bits where they belong.

use crate::{
    asked::Asked,
    environment::cpuid,
    single::Single,
    trial::{Outcome, check, found},
    window::{self, ACCESSED, DIRTY, PRESENT, Size, WRITABLE},
};

static WORDS: Single<[u64; 512]> = Single::new([0; 512]);

pub(super) fn run(_: &Asked<'_>) -> Outcome {
    for size in [Size::Page4K, Size::Page2M, Size::Page1G] {
        // Leaf 0x80000001, EDX bit 26.
        if size == Size::Page1G && cpuid(0x8000_0001, 0).edx & (1 << 26) == 0 {
            found!("1 GiB pages are not offered");
            continue;
        }
        one(size)?;
    }
    Ok(())
}

fn one(size: Size) -> Outcome {
    let target = WORDS.address();
    let base = target & !(size.bytes() - 1);
    let alias = window::map(size, base, PRESENT | WRITABLE) + (target - base);
    let marks = || window::entry(size) & (ACCESSED | DIRTY);
    check!(marks() == 0, "{size:?}: the entry is marked {:#x} before any access", marks());
    for place in 0..512u64 {
        let value = (0x0101_0101_0101_0101 * (place & 0xff)) ^ size.bytes();
        let (direct, alias) = (WORDS.get().cast::<u64>(), alias as *mut u64);
        // SAFETY: both lead to the same word of this trial's static.
        let (through_alias, through_direct) = unsafe {
            direct.add(place as usize).write_volatile(value);
            let seen = alias.add(place as usize).read_volatile();
            if place == 0 {
                check!(marks() == ACCESSED, "{size:?}: the entry is marked {:#x} after a read", marks());
            }
            alias.add(place as usize).write_volatile(!value);
            (seen, direct.add(place as usize).read_volatile())
        };
        check!(
            through_alias == value && through_direct == !value,
            "{size:?}: word {place} is {through_alias:#x} and {through_direct:#x}, {value:#x} and {:#x} were written",
            !value
        );
    }
    check!(marks() == ACCESSED | DIRTY, "{size:?}: the entry is marked {:#x} after a write", marks());
    window::map(size, 0, 0);
    Ok(())
}
