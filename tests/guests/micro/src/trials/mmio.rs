//! Device registers by many forms of instructions, each carried out on RAM as well: the processor itself says what is
//! right.

use core::arch::asm;

use crate::{
    apic,
    asked::Asked,
    single::Single,
    trial::{Outcome, Trial, check},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("mmio-moves-do-as-on-ram", |_| all(&MOVES)),
    Trial::new("mmio-arithmetic-does-as-on-ram", |_| all(&ARITHMETIC)),
    Trial::new("mmio-exchanges-do-as-on-ram", |_| all(&EXCHANGES)),
    Trial::new("mmio-bit-tests-do-as-on-ram", |_| all(&BITS)),
    Trial::new("mmio-strings-do-as-on-ram", |_| all(&STRINGS)),
    Trial::new("mmio-string-moves-both-ways", copies),
];

/// What an instruction left: the word in memory, RDX, RAX, and the status flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Left {
    word: u32,
    rdx: u64,
    rax: u64,
    flags: u64,
}

type Form = unsafe fn(*mut u32, u64, u64, bool) -> (u64, u64, u64);

/// A function that executes one instruction on the word at RSI, with RDX, RAX and the carry as given.
macro_rules! form {
    ($($line:literal),+) => {{
        /// # Safety
        /// The pointer leads to a word that the instruction may change.
        unsafe fn run(at: *mut u32, mut rdx: u64, mut rax: u64, carry: bool) -> (u64, u64, u64) {
            let flags: u64;
            // SAFETY: the caller's promise; the stack is used and left as it was.
            unsafe {
                asm!(
                    "push 2", "popfq",
                    "bt {carry:e}, 0",
                    $($line,)+
                    "pushfq", "pop {flags}",
                    carry = in(reg) u32::from(carry), flags = out(reg) flags,
                    in("rsi") at, inout("rdx") rdx, inout("rax") rax, out("rcx") _, out("rdi") _,
                );
            }
            (rdx, rax, flags & 0x8d5)
        }
        ($(concat!($line, "; "),)+ run as Form)
    }};
}

/// Moves of one word.
const MOVES: [(&str, Form); 10] = [
    form!("mov [rsi], edx"),
    form!("mov edx, [rsi]"),
    form!("mov [rsi], eax"),
    form!("mov dword ptr [rsi], 0x12345678"),
    form!("mov r8d, [rsi]\nmov rdx, r8"),
    form!("lea rcx, [rsi-64]\nmov eax, [rcx+64]"),
    form!("mov ecx, 16\nmov eax, [rsi+rcx*4-64]"),
    form!("mov eax, [esi]"),
    form!("movsxd rdx, dword ptr [rsi]"),
    form!("movnti [rsi], edx"),
];

/// Arithmetic and logic on one word.
const ARITHMETIC: [(&str, Form); 35] = [
    form!("add [rsi], edx"),
    form!("add edx, [rsi]"),
    form!("adc [rsi], edx"),
    form!("adc edx, [rsi]"),
    form!("sub [rsi], edx"),
    form!("sub edx, [rsi]"),
    form!("sbb [rsi], edx"),
    form!("and [rsi], edx"),
    form!("and dword ptr [rsi], -16"),
    form!("or [rsi], edx"),
    form!("or edx, [rsi]"),
    form!("lock or dword ptr [rsi], 1"),
    form!("xor [rsi], edx"),
    form!("xor edx, [rsi]"),
    form!("cmp [rsi], edx"),
    form!("cmp edx, [rsi]"),
    form!("cmp dword ptr [rsi], 0x7f"),
    form!("test [rsi], edx"),
    form!("test dword ptr [rsi], 0x80000000"),
    form!("inc dword ptr [rsi]"),
    form!("dec dword ptr [rsi]"),
    form!("neg dword ptr [rsi]"),
    form!("not dword ptr [rsi]"),
    form!("lock add [rsi], edx"),
    form!("lock sub dword ptr [rsi], 3"),
    form!("lock and [rsi], edx"),
    form!("lock xor [rsi], edx"),
    form!("lock inc dword ptr [rsi]"),
    form!("lock neg dword ptr [rsi]"),
    form!("lock not dword ptr [rsi]"),
    form!("add eax, [rsi]"),
    form!("adc dword ptr [rsi], -1"),
    form!("sbb edx, [rsi]"),
    form!("and edx, [rsi]"),
    form!("test dword ptr [rsi], eax"),
];

/// Instructions that read one word and write it, whole.
const EXCHANGES: [(&str, Form); 7] = [
    form!("xchg [rsi], edx"),
    form!("lock xadd [rsi], edx"),
    form!("lock cmpxchg [rsi], edx"),
    form!("mov eax, [rsi]\nlock cmpxchg [rsi], edx"),
    form!("xchg [rsi], eax"),
    form!("xadd [rsi], edx"),
    form!("lock xchg [rsi], edx"),
];

/// Tests of one bit.
const BITS: [(&str, Form); 7] = [
    form!("bt dword ptr [rsi], 5"),
    form!("lock bts dword ptr [rsi], 31"),
    form!("btr dword ptr [rsi], 4"),
    form!("btc dword ptr [rsi], 0"),
    form!("lock btr dword ptr [rsi], 31"),
    form!("mov ecx, 9\nbt [rsi], ecx"),
    form!("mov ecx, 30\nlock bts [rsi], ecx"),
];

/// String instructions on one word.
const STRINGS: [(&str, Form); 3] = [
    form!("mov rdi, rsi\nstosd\nmov rdx, rdi\nsub rdx, rsi"),
    form!("mov rcx, rsi\nlodsd\nsub rsi, rcx\nmov rdx, rsi\nmov rsi, rcx"),
    form!("mov ecx, 1\nmov rdi, rsi\nrep stosd\nmov edx, ecx"),
];

static RAM: Single<[u32; 1024]> = Single::new([0; 1024]);

/// Carries out each form on the device and on RAM, with many values.
fn all(forms: &[(&str, Form)]) -> Outcome {
    apic::start(false);
    // With its timer masked the initial count is a plain 32-bit register.
    let device = (apic::LOCAL + apic::INITIAL_COUNT) as *mut u32;
    // SAFETY: inside the static; the forms may reach a little before and after it.
    let ram = unsafe { RAM.get().cast::<u32>().add(512) };
    let values = [0, 1, 0x10, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1234_5678, 0xf];
    for (name, form) in forms {
        for (place, word) in values.into_iter().enumerate() {
            let other = 0xaaaa_bbbb_0000_0000 | u64::from(values[(place * 3 + 1) % values.len()]);
            let rax = 0xcccc_dddd_0000_0000 | u64::from(values[(place * 5 + 2) % values.len()]);
            for carry in [false, true] {
                let on = |at: *mut u32| {
                    // SAFETY: a word of RAM, or the register chosen above.
                    unsafe {
                        at.write_volatile(word);
                        let (rdx, rax, flags) = form(at, other, rax, carry);
                        Left { word: at.read_volatile(), rdx, rax, flags }
                    }
                };
                let (right, found) = (on(ram), on(device));
                check!(
                    found == right,
                    "`{name}` on {word:#x} with {other:#x}, {rax:#x}, {carry}: {found:x?}, in RAM {right:x?}"
                );
            }
        }
    }
    apic::write(apic::INITIAL_COUNT, 0);
    Ok(())
}

/// MOVS from and to the device, upwards and downwards.
fn copies(_: &Asked<'_>) -> Outcome {
    apic::start(false);
    let device = apic::LOCAL + apic::INITIAL_COUNT;
    let ram = RAM.address();
    let (source, target, count): (u64, u64, u64);
    // SAFETY: one word of the static each way.
    unsafe {
        (ram as *mut u32).write_volatile(0x600d_cafe);
        asm!("std", "rep movsd", "cld", inout("rsi") ram => source, inout("rdi") device => target, inout("rcx") 1u64 => count);
    }
    check!(
        (source, target, count) == (ram - 4, device - 4, 0),
        "REP MOVSD downwards ended at {source:#x}, {target:#x}, {count} left"
    );
    let found = apic::read(apic::INITIAL_COUNT);
    check!(found == 0x600d_cafe, "REP MOVSD wrote {found:#x}");
    let copied: u32;
    // SAFETY: as above.
    unsafe {
        asm!("movsd", inout("rsi") device => _, inout("rdi") ram + 8 => _);
        copied = ((ram + 8) as *const u32).read_volatile();
    }
    check!(copied == 0x600d_cafe, "MOVSD read {copied:#x}");
    apic::write(apic::INITIAL_COUNT, 0);
    Ok(())
}
