//! 64-bit paging with every page size: the right bytes, marks, rights, and what is forgotten when.

use core::arch::asm;

use x86_64::{
    VirtAddr,
    instructions::tlb,
    registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags},
};

use super::exceptions::expect;
use crate::{
    asked::Asked,
    environment::{self, cpuid},
    faults::{Caught, catch},
    single::Single,
    trial::{Outcome, Trial, check, found},
    window::{self, ACCESSED, DIRTY, NO_EXECUTE, PRESENT, Size, USER, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("pages-of-4k-lead-to-their-words", |_| one(Size::Page4K)),
    Trial::new("pages-of-2m-lead-to-their-words", |_| one(Size::Page2M)),
    Trial::new("pages-of-1g-lead-to-their-words", huge),
    Trial::new("no-execute-pages-refuse-code", no_execute),
    Trial::new("write-protection-follows-cr0-wp", write_protection),
    Trial::new("smep-refuses-the-users-code", smep),
    Trial::new("smap-refuses-the-users-data", smap),
    Trial::new("invlpg-forgets-a-page", invlpg),
    Trial::new("cr3-write-forgets-pages", cr3),
    Trial::new("global-page-is-forgotten-by-invlpg-and-pge", global),
    Trial::new("table-in-the-last-page-of-ram-works", last_page),
    Trial::new("code-that-was-rewritten-runs-anew", rewritten),
    Trial::new("code-page-that-was-exchanged-runs-anew", exchanged),
];

static WORDS: Single<[u64; 512]> = Single::new([0; 512]);
/// Two pages, told apart by their first words.
static FIRST: Single<[u64; 512]> = Single::new([1; 512]);
static SECOND: Single<[u64; 512]> = Single::new([2; 512]);

fn huge(_: &Asked<'_>) -> Outcome {
    // Leaf 0x80000001, EDX bit 26.
    if cpuid(0x8000_0001, 0).edx & (1 << 26) == 0 {
        found!("1 GiB pages are not offered");
        return Ok(());
    }
    one(Size::Page1G)
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

/// Where the page of `size` shows the static.
fn alias(size: Size, target: u64, rights: u64) -> u64 {
    let base = target & !(size.bytes() - 1);
    window::map(size, base, rights) + (target - base)
}

fn write(at: u64) -> Option<Caught> {
    catch!("mov byte ptr [rdi], 1"; in("rdi") at)
}

fn read(at: u64) -> Option<Caught> {
    catch!("mov al, [rdi]"; in("rdi") at, out("al") _)
}

/// A byte RET, called.
fn call(at: u64) -> Option<Caught> {
    catch!("call rdi", "jmp 79f", "79:", "nop"; in("rdi") at)
}

fn no_execute(_: &Asked<'_>) -> Outcome {
    // SAFETY: this trial's static; RET.
    unsafe { WORDS.get().cast::<u8>().write_volatile(0xc3) };
    for size in [Size::Page4K, Size::Page2M] {
        let at = alias(size, WORDS.address(), PRESENT | WRITABLE);
        check!(call(at).is_none(), "{size:?}: code that may be executed gave an exception");
        let at = alias(size, WORDS.address(), PRESENT | WRITABLE | NO_EXECUTE);
        // QEMU 7.2 forgets code of the page that INVLPG names only, not of the rest of a large one.
        tlb::flush(VirtAddr::new(at));
        // The CALL has pushed its return address: back over it.
        let caught = catch!("mov r8, rsp", "call rdi", "77:", "mov rsp, r8", "jmp 78f", "78:", "nop";
            in("rdi") at, out("r8") _);
        expect("code that forbids it", caught, 14, 0x11)?;
        check!(read(at).is_none(), "{size:?}: data that forbids execution cannot be read");
        window::map(size, 0, 0);
    }
    Ok(())
}

fn write_protection(_: &Asked<'_>) -> Outcome {
    for size in [Size::Page4K, Size::Page2M] {
        let at = alias(size, WORDS.address(), PRESENT);
        expect("writing a read-only page with CR0.WP", write(at), 14, 3)?;
        // SAFETY: the supervisor may then write what is read-only.
        unsafe { Cr0::update(|flags| flags.remove(Cr0Flags::WRITE_PROTECT)) };
        let caught = write(at);
        // SAFETY: as it was.
        unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::WRITE_PROTECT)) };
        check!(caught.is_none(), "{size:?}: writing a read-only page without CR0.WP: {caught:x?}");
        expect("writing a read-only page with CR0.WP again", write(at), 14, 3)?;
        window::map(size, 0, 0);
    }
    Ok(())
}

fn offered(bit: u32) -> bool {
    cpuid(0, 0).eax >= 7 && cpuid(7, 0).ebx & (1 << bit) != 0
}

fn smep(_: &Asked<'_>) -> Outcome {
    if !offered(7) {
        found!("SMEP is not offered");
        return Ok(());
    }
    // SAFETY: this trial's static; RET. Kernel code lies in the supervisor's pages.
    unsafe {
        WORDS.get().cast::<u8>().write_volatile(0xc3);
        Cr4::update(|flags| flags.insert(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION));
    }
    let at = alias(Size::Page4K, WORDS.address(), PRESENT | WRITABLE | USER);
    let caught = catch!("mov r8, rsp", "call rdi", "77:", "mov rsp, r8", "jmp 78f", "78:", "nop";
        in("rdi") at, out("r8") _);
    let data = read(at);
    // SAFETY: as it was.
    unsafe { Cr4::update(|flags| flags.remove(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION)) };
    let after = call(at);
    window::map(Size::Page4K, 0, 0);
    expect("executing the user's page with SMEP", caught, 14, 0x11)?;
    check!(data.is_none() && after.is_none(), "reading with SMEP gave {data:x?}, code without it {after:x?}");
    Ok(())
}

fn smap(_: &Asked<'_>) -> Outcome {
    if !offered(20) {
        found!("SMAP is not offered");
        return Ok(());
    }
    // SAFETY: kernel data lies in the supervisor's pages.
    unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION)) };
    let at = alias(Size::Page4K, WORDS.address(), PRESENT | WRITABLE | USER);
    let (reading, writing) = (read(at), write(at));
    // RFLAGS.AC suspends it.
    let open = catch!("stac", "mov al, [rdi]", "clac"; in("rdi") at, out("al") _);
    // SAFETY: as it was.
    unsafe { Cr4::update(|flags| flags.remove(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION)) };
    let after = read(at);
    window::map(Size::Page4K, 0, 0);
    expect("reading the user's page with SMAP", reading, 14, 1)?;
    expect("writing the user's page with SMAP", writing, 14, 3)?;
    check!(open.is_none() && after.is_none(), "with RFLAGS.AC {open:x?}, without SMAP {after:x?}");
    Ok(())
}

/// The word that an address shows.
fn seen(at: u64) -> u64 {
    // SAFETY: the window leads to one of this trial's statics.
    unsafe { (at as *const u64).read_volatile() }
}

fn invlpg(_: &Asked<'_>) -> Outcome {
    for round in 0..20 {
        let at = window::map(Size::Page4K, FIRST.address(), PRESENT);
        let first = seen(at);
        // `map` ends in INVLPG.
        window::map(Size::Page4K, SECOND.address(), PRESENT);
        let second = seen(at);
        check!((first, second) == (1, 2), "round {round}: {first} and then {second} is seen, not 1 and 2");
    }
    window::map(Size::Page4K, 0, 0);
    expect("reading what INVLPG has forgotten", read(window::WINDOW), 14, 0)
}

fn cr3(_: &Asked<'_>) -> Outcome {
    for round in 0..20 {
        let at = window::map(Size::Page4K, FIRST.address(), PRESENT);
        let first = seen(at);
        window::replace(SECOND.address() | PRESENT);
        tlb::flush_all();
        let second = seen(at);
        check!((first, second) == (1, 2), "round {round}: {first} and then {second} is seen, not 1 and 2");
    }
    window::map(Size::Page4K, 0, 0);
    Ok(())
}

/// A global page may outlive a write of CR3, but neither INVLPG nor a change of CR4.PGE.
fn global(_: &Asked<'_>) -> Outcome {
    const GLOBAL: u64 = 1 << 8;
    let before = Cr4::read();
    for pge in [true, false] {
        // SAFETY: no other page of this guest is global.
        unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::PAGE_GLOBAL)) };
        let at = window::map(Size::Page4K, FIRST.address(), PRESENT | GLOBAL);
        let first = seen(at);
        window::replace(SECOND.address() | PRESENT | GLOBAL);
        tlb::flush_all();
        let after_cr3 = seen(at);
        check!((1..=2).contains(&after_cr3), "after a write of CR3 the page shows {after_cr3}");
        if pge {
            // SAFETY: as above.
            unsafe { Cr4::update(|flags| flags.remove(Cr4Flags::PAGE_GLOBAL)) };
        } else {
            tlb::flush(VirtAddr::new(at));
        }
        let second = seen(at);
        check!((first, second) == (1, 2), "by CR4.PGE {pge}: {first} and then {second} is seen");
    }
    // SAFETY: as it was.
    unsafe { Cr4::write(before) };
    window::map(Size::Page4K, 0, 0);
    Ok(())
}

/// The table of the window's small pages in the last page of RAM below 4 GiB, which nothing else uses.
fn last_page(_: &Asked<'_>) -> Outcome {
    let end = environment::get().ram().iter().map(|range| range.end).filter(|end| *end <= 4 << 30).max();
    let table = (end.unwrap_or(0) & !0xfff) - 4096;
    // SAFETY: usable RAM that is mapped at its own address; this guest keeps nothing there.
    unsafe {
        (table as *mut u8).write_bytes(0, 4096);
        ((table + 4088) as *mut u64).write_volatile(FIRST.address() | PRESENT | WRITABLE);
    }
    window::map(Size::Page4K, 0, 0);
    window::use_table(table);
    let word = seen(window::WINDOW + (511 << 12));
    let missing = read(window::WINDOW + (510 << 12));
    // SAFETY: as above.
    let entry = unsafe { ((table + 4088) as *const u64).read_volatile() };
    window::map(Size::Page4K, 0, 0);
    tlb::flush_all();
    check!(word == 1, "through a table at {table:#x} the word is {word:#x}");
    check!(entry & (ACCESSED | DIRTY) == ACCESSED, "the entry at the end of RAM is {entry:#x}");
    expect("reading through an empty entry there", missing, 14, 0)
}

/// Calls code that answers in EAX and keeps everything but RCX, RDX.
fn answer(at: u64) -> u32 {
    let eax: u32;
    // SAFETY: the code is this trial's.
    unsafe {
        asm!("mov r8, rbx", "call {at}", "mov rbx, r8", at = in(reg) at, out("eax") eax, out("ecx") _, out("edx") _,
            out("r8") _);
    }
    eax
}

fn put(page: &Single<[u64; 512]>, code: &[u8]) {
    // SAFETY: this trial's static, in which nothing runs now.
    unsafe { page.get().cast::<u8>().copy_from_nonoverlapping(code.as_ptr(), code.len()) };
}

/// MOV EAX, n; RET.
fn constant(number: u8) -> [u8; 6] {
    [0xb8, number, 0, 0, 0, 0xc3]
}

/// Code is patched where it lies, also CPUID into a longer form of itself, which the host has to skip whole.
fn rewritten(_: &Asked<'_>) -> Outcome {
    let at = WORDS.address();
    for number in 1..50 {
        put(&WORDS, &constant(number));
        let found = answer(at);
        check!(found == u32::from(number), "code that was rewritten answers {found}, not {number}");
    }
    let leaf = cpuid(0, 0).eax;
    // XOR EAX, EAX; CPUID; RET, then with a prefix that means nothing, then with four.
    for code in [
        &[0x31, 0xc0, 0x0f, 0xa2, 0xc3][..],
        &[0x31, 0xc0, 0x48, 0x0f, 0xa2, 0xc3],
        &[0x31, 0xc0, 0x66, 0x2e, 0x3e, 0x48, 0x0f, 0xa2, 0xc3],
        &[0x31, 0xc0, 0x0f, 0xa2, 0xc3],
    ] {
        put(&WORDS, code);
        let found = answer(at);
        check!(found == leaf, "CPUID as {code:x?} answers {found:#x}, not {leaf:#x}");
    }
    put(&WORDS, &[0; 16]);
    Ok(())
}

/// The page behind the code is exchanged between two calls: what the host remembers of it must not count.
fn exchanged(_: &Asked<'_>) -> Outcome {
    let leaf = cpuid(0, 0).eax;
    // XOR EAX, EAX; CPUID; RET, and with prefixes.
    put(&FIRST, &[0x31, 0xc0, 0x0f, 0xa2, 0xc3]);
    put(&SECOND, &[0x31, 0xc0, 0x66, 0x2e, 0x48, 0x0f, 0xa2, 0xc3]);
    for round in 0..20 {
        let page = if round % 2 == 0 { &FIRST } else { &SECOND };
        let at = window::map(Size::Page4K, page.address(), PRESENT);
        let found = answer(at);
        check!(found == leaf, "round {round}: CPUID answers {found:#x}, not {leaf:#x}");
    }
    window::map(Size::Page4K, 0, 0);
    put(&FIRST, &[1, 0, 0, 0, 0, 0, 0, 0]);
    put(&SECOND, &[2, 0, 0, 0, 0, 0, 0, 0]);
    Ok(())
}
