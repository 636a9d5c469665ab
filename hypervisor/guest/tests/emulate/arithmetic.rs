//! Read-modify-write instructions against a second, independent model of results and flags.

use godwit_guest::{cpu::General::*, emulate::Emulated};
use proptest::prelude::*;

use crate::fake::{DEVICE, Devices, FakeCpu, Memory, emulate};

const CARRY: u64 = 1;
const STATUS: u64 = 0x8d5;

/// The opcode of `op [rbx], register-form` for one byte; the wider forms are one more.
const BINARY: [(&str, u8); 9] = [
    ("add", 0x00),
    ("or", 0x08),
    ("adc", 0x10),
    ("sbb", 0x18),
    ("and", 0x20),
    ("sub", 0x28),
    ("xor", 0x30),
    ("cmp", 0x38),
    ("test", 0x84),
];

/// Result and flags by exact signed and unsigned arithmetic in 128 bits, instead of bit tricks.
fn model(name: &str, a: u64, b: u64, carry: bool, bits: u32) -> (u64, u64) {
    let modulus = 1i128 << bits;
    let signed = |value: i128| if value >= modulus / 2 { value - modulus } else { value };
    let (ua, ub, c) = (i128::from(a), i128::from(b), i128::from(carry));
    let (sa, sb) = (signed(ua), signed(ub));
    let (unsigned, exact, nibble) = match name {
        "add" => (ua + ub, sa + sb, (ua & 15) + (ub & 15)),
        "adc" => (ua + ub + c, sa + sb + c, (ua & 15) + (ub & 15) + c),
        "sub" | "cmp" => (ua - ub, sa - sb, (ua & 15) - (ub & 15)),
        "sbb" => (ua - ub - c, sa - sb - c, (ua & 15) - (ub & 15) - c),
        "and" | "test" => (ua & ub, sa & sb, 0),
        "or" => (ua | ub, sa | sb, 0),
        "xor" => (ua ^ ub, sa ^ sb, 0),
        _ => unreachable!("{name} is in the table"),
    };
    let result = unsigned.rem_euclid(modulus);
    let parity = (0..8).filter(|bit| result >> bit & 1 == 1).count() % 2 == 0;
    let flags = [
        (0, unsigned != result),
        (2, parity),
        (4, !(0..16).contains(&nibble)),
        (6, result == 0),
        (7, signed(result) < 0),
        (11, signed(result) != exact),
    ];
    (result as u64, flags.iter().fold(0, |all, (bit, set)| all | u64::from(*set) << bit))
}

/// Operands near the edges more often than elsewhere.
fn operand() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..64u32, -2i64..=2).prop_map(|(bit, near)| (1u64 << bit).wrapping_add_signed(near)),
    ]
}

/// Prefixes and opcode for an operand of `1 << size` bytes.
fn sized(size: u32, opcode: &[u8]) -> Vec<u8> {
    let mut code = match size {
        1 => vec![0x66],
        3 => vec![0x48],
        _ => vec![],
    };
    let (last, first) = opcode.split_last().unwrap();
    code.extend(first);
    code.push(last + u8::from(size > 0));
    code
}

fn low(value: u64, bits: u32) -> u64 {
    value & (u64::MAX >> (64 - bits))
}

struct Run {
    device: u64,
    rax: u64,
    rdx: u64,
    flags: u64,
}

fn run(code: &[u8], memory_value: u64, rax: u64, rdx: u64, rflags: u64) -> Run {
    let mut cpu = FakeCpu::long().with(Rbx, DEVICE).with(Rax, rax).with(Rdx, rdx);
    cpu.registers.rflags = rflags;
    let (memory, mut devices) = (Memory::identity(), Devices::holding(memory_value));
    assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done), "{code:02x?}");
    Run {
        device: devices.value(DEVICE, 8),
        rax: cpu.registers.get(Rax),
        rdx: cpu.registers.get(Rdx),
        flags: cpu.registers.rflags,
    }
}

proptest! {
    #[test]
    fn binary_instructions((name, opcode) in proptest::sample::select(&BINARY[..]), size in 0..4u32,
        a in operand(), b in operand(), carry: bool)
    {
        let bits = 8 << size;
        let mut code = sized(size, &[opcode]);
        code.push(0x13); // [rbx], rdx
        let run = run(&code, a, 0, b, 2 | u64::from(carry));
        let (result, flags) = model(name, low(a, bits), low(b, bits), carry, bits);
        let kept = if matches!(name, "cmp" | "test") { a } else { a & !low(u64::MAX, bits) | result };
        prop_assert_eq!(run.device, kept, "{}", name);
        prop_assert_eq!(run.flags & STATUS, flags, "{}", name);
        prop_assert_eq!(run.flags & !STATUS, 2);
        prop_assert_eq!(run.rdx, b);
    }

    #[test]
    fn register_forms_and_immediates(a in operand(), b in operand(), near: i8) {
        // sub rdx,[rbx]
        let r = run(&[0x48, 0x2b, 0x13], a, 0, b, 2);
        prop_assert_eq!((r.rdx, r.flags & STATUS), model("sub", b, a, false, 64));
        // add qword [rbx], near
        let r = run(&[0x48, 0x83, 0x03, near as u8], a, 0, 0, 2);
        prop_assert_eq!((r.device, r.flags & STATUS), model("add", a, near as u64, false, 64));
    }

    #[test]
    fn unary_instructions(size in 0..4u32, a in operand(), carry: bool) {
        let bits = 8 << size;
        let (value, mask) = (low(a, bits), low(u64::MAX, bits));
        let expect = |result: u64| a & !mask | result;
        let flags = 2 | u64::from(carry);
        for (opcode, form, model_name, b) in [(0xfe, 0x03, "add", 1), (0xfe, 0x0b, "sub", 1)] {
            let r = run(&[sized(size, &[opcode]), vec![form]].concat(), a, 0, 0, flags);
            let (result, changed) = model(model_name, value, b, false, bits);
            prop_assert_eq!(r.device, expect(result));
            prop_assert_eq!(r.flags & STATUS, changed & !CARRY | u64::from(carry));
        }
        let r = run(&[sized(size, &[0xf6]), vec![0x13]].concat(), a, 0, 0, flags);
        prop_assert_eq!((r.device, r.flags), (expect(!value & mask), flags));
        let r = run(&[sized(size, &[0xf6]), vec![0x1b]].concat(), a, 0, 0, flags);
        let (result, changed) = model("sub", 0, value, false, bits);
        prop_assert_eq!((r.device, r.flags & STATUS), (expect(result), changed));
    }

    #[test]
    fn exchanges(size in 0..4u32, a in operand(), b in operand(), equal: bool, rax: u64) {
        let bits = 8 << size;
        let mask = low(u64::MAX, bits);
        let merge = |old: u64, new: u64| if bits == 32 { new & mask } else { old & !mask | new & mask };
        let in_memory = |new: u64| a & !mask | new & mask;
        let r = run(&[sized(size, &[0x86]), vec![0x13]].concat(), a, 0, b, 2);
        prop_assert_eq!((r.device, r.rdx, r.flags), (in_memory(b), merge(b, a), 2));

        // lock xadd [rbx], rdx
        let r = run(&[vec![0xf0], sized(size, &[0x0f, 0xc0]), vec![0x13]].concat(), a, 0, b, 2);
        let (sum, flags) = model("add", a & mask, b & mask, false, bits);
        prop_assert_eq!((r.device, r.rdx, r.flags & STATUS), (in_memory(sum), merge(b, a), flags));

        // lock cmpxchg [rbx], rdx
        let rax = if equal { rax & !mask | a & mask } else { rax };
        let r = run(&[vec![0xf0], sized(size, &[0x0f, 0xb0]), vec![0x13]].concat(), a, rax, b, 2);
        let same = rax & mask == a & mask;
        prop_assert_eq!(r.device, in_memory(if same { b } else { a }));
        prop_assert_eq!(r.rax, if same { rax } else { merge(rax, a) });
        prop_assert_eq!(r.flags & STATUS, model("cmp", rax & mask, a & mask, false, bits).1);
    }

    #[test]
    fn bits_by_immediate(a: u64, number: u8, size in 1..4u32) {
        let bits = 8u32 << size;
        let bit = 1u64 << (u32::from(number) % bits);
        let prefix: &[u8] = match size { 1 => &[0x66], 2 => &[], _ => &[0x48] };
        for (form, new) in [(0x23, a), (0x2b, a | bit), (0x33, a & !bit), (0x3b, a ^ bit)] {
            let r = run(&[prefix, &[0x0f, 0xba, form, number]].concat(), a, 0, 0, 2);
            prop_assert_eq!((r.device, r.flags & CARRY != 0), (new, a & bit != 0));
        }
    }

    #[test]
    fn bits_by_register_reach_beyond_the_operand(number in -16384i32..16384) {
        // bts [rbx], edx with the base in the middle of the devices' page.
        let base = DEVICE + 0x800;
        let mut cpu = FakeCpu::long().with(Rbx, base).with(Rdx, u64::from(number as u32));
        let (memory, mut devices) = (Memory::identity(), Devices::default());
        for at in DEVICE..DEVICE + 0x1000 {
            devices.bytes.insert(at, 0);
        }
        prop_assert_eq!(emulate(&mut cpu, &memory, &mut devices, &[0x0f, 0xab, 0x13]), Ok(Emulated::Done));
        let set: Vec<_> = devices.bytes.iter().filter(|(_, byte)| **byte != 0).collect();
        let at = base.wrapping_add_signed(i64::from(number >> 3));
        prop_assert_eq!(set, [(&at, &(1u8 << (number & 7)))]);
    }
}
