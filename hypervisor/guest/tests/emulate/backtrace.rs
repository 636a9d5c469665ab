//! Stacks by hand, and by chance.

use godwit_guest::{
    cpu::General,
    emulate::backtrace::{Backtrace, MAX_FRAMES, TraceEnd, backtrace, code_address, code_bits},
};
use proptest::{collection::vec, prelude::*};

use crate::{
    fake::{FakeCpu, Memory, RAM_BYTES},
    garbage::any_cpu,
};

/// A stack's frames in 64-bit code: where each lies, the next one's place, and the return address.
fn long(frames: &[(u64, u64, u64)], rbp: u64) -> (FakeCpu, Memory) {
    let (mut cpu, memory) = (FakeCpu::long(), Memory::identity());
    cpu.registers.set(General::Rbp, rbp);
    for (at, next, back) in frames {
        memory.put(*at, &next.to_le_bytes());
        memory.put(*at + 8, &back.to_le_bytes());
    }
    (cpu, memory)
}

fn traced(cpu: &FakeCpu, memory: &Memory) -> (Vec<u64>, TraceEnd) {
    let Backtrace { returns, end } = backtrace(&cpu.registers, &cpu.system, memory);
    (returns.to_vec(), end)
}

#[test]
fn a_chain_is_followed_to_its_end_and_marks_nothing() {
    // The second frame lies across two pages.
    let frames = [(0x9000, 0x9ff4, 0x8111), (0x9ff4, 0xb000, 0x8222), (0xb000, 0, 0xffff_ffff_8000_0333)];
    let (cpu, memory) = long(&frames, 0x9000);
    // Neither accessed nor dirty.
    let unmarked = 0x9007_u64.to_le_bytes();
    memory.put(Memory::entry_of(0x9000), &unmarked);
    let expected = (vec![0x8111, 0x8222, 0xffff_ffff_8000_0333], TraceEnd::Outermost);
    assert_eq!(traced(&cpu, &memory), expected);
    assert_eq!(memory.get(Memory::entry_of(0x9000)), unmarked, "a look changed the guest");
    assert_eq!((code_address(&cpu.registers, &cpu.system), code_bits(&cpu.system)), (cpu.registers.rip, 64));
}

#[test]
fn what_is_odd_cuts_the_chain() {
    let odd = 0x8000_0000_0000_0000;
    for (frames, rbp, expected) in [
        (&[(0x9000, 0x9000, 0x8111)][..], 0x9000, (vec![0x8111], TraceEnd::Odd(0x9000))),
        // A circle of two.
        (
            &[(0x9000, 0x9100, 0x8111), (0x9100, 0x9000, 0x8222)],
            0x9000,
            (vec![0x8111, 0x8222], TraceEnd::Odd(0x9000)),
        ),
        (&[(0x9000, odd, 0x8111)], 0x9000, (vec![0x8111], TraceEnd::Odd(odd))),
        (&[(0x9000, 0x9100, odd)], 0x9000, (vec![], TraceEnd::NoCode(odd))),
        (&[(0x9000, 0x9100, 0)], 0x9000, (vec![], TraceEnd::NoCode(0))),
        (&[], 0, (vec![], TraceEnd::Outermost)),
        (&[], odd, (vec![], TraceEnd::Odd(odd))),
        (&[], u64::MAX - 3, (vec![], TraceEnd::Odd(u64::MAX - 3))),
        (&[], 0x7fff_ffff_fffc, (vec![], TraceEnd::Odd(0x7fff_ffff_fffc))),
        (&[], 0x4000_0000, (vec![], TraceEnd::NoMemory(0x4000_0000))),
    ] {
        let (cpu, memory) = long(frames, rbp);
        assert_eq!(traced(&cpu, &memory), expected, "{frames:x?} from {rbp:#x}");
    }
}

#[test]
fn a_deep_stack_is_cut() {
    let frames: Vec<_> = (0..20).map(|at| (0x9000 + at * 0x20, 0x9020 + at * 0x20, 0x8000 + at)).collect();
    let (cpu, memory) = long(&frames, 0x9000);
    let (returns, end) = traced(&cpu, &memory);
    assert_eq!((returns.len(), end), (MAX_FRAMES, TraceEnd::Long));
    assert_eq!(returns.last(), Some(&(0x8000 + MAX_FRAMES as u64 - 1)));
}

#[test]
fn other_widths() {
    // 32-bit code without paging: 4-byte words, above the base of SS.
    let (mut cpu, memory) = (FakeCpu::protected(), Memory::new());
    cpu.system.segments.ss.base = 0x1_0000;
    cpu.registers.set(General::Rbp, 0xffff_ffff_0000_0100);
    memory.put(0x1_0100, &[0x40, 0x01, 0, 0, 0x44, 0x33, 0x22, 0x91]);
    memory.put(0x1_0140, &[0, 0, 0, 0, 0x55, 0, 0, 0]);
    assert_eq!(traced(&cpu, &memory), (vec![0x9122_3344, 0x55], TraceEnd::Outermost));

    let mut cpu = FakeCpu::real();
    cpu.system.segments.cs.base = 0xf_0000;
    cpu.registers.rip = 0xfff0;
    cpu.registers.set(General::Rbp, 0x9000);
    assert_eq!(traced(&cpu, &memory), (vec![], TraceEnd::Bits16));
    assert_eq!((code_address(&cpu.registers, &cpu.system), code_bits(&cpu.system)), (0xf_fff0, 16));
}

proptest! {
    #[test]
    fn any_stack_is_survived(
        cpu in any_cpu(),
        words in vec(prop_oneof![any::<u64>(), 0..RAM_BYTES as u64, Just(0x67)], 512),
        at in 0..RAM_BYTES as u64 - 4096,
        rbp in 0..RAM_BYTES as u64,
        of_its_own: bool,
    ) {
        let (mut cpu, memory) = (cpu, Memory::identity());
        for (word, at) in words.iter().zip((at..).step_by(8)) {
            memory.put(at, &word.to_le_bytes());
        }
        if !of_its_own {
            cpu.registers.set(General::Rbp, rbp);
        }
        let (returns, end) = traced(&cpu, &memory);
        prop_assert!(returns.len() <= MAX_FRAMES);
        prop_assert!(end != TraceEnd::Long || returns.len() == MAX_FRAMES);
        code_address(&cpu.registers, &cpu.system);
    }
}
