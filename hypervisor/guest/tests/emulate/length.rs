//! Where the next instruction begins.

use godwit_guest::{
    emulate::{EmulateError, KnownCode, fetch, instruction_length},
    vcpu::{Exit, Reason},
};

use crate::fake::{CODE, FakeCpu, Memory, exit};

fn length(cpu: &mut FakeCpu, code: &[u8], reason: Reason) -> Result<u64, EmulateError> {
    let memory = Memory::identity();
    memory.put(cpu.system.segments.cs.base + cpu.registers.rip, code);
    instruction_length(cpu, &memory, &exit(reason))
}

#[test]
fn plain_forms_and_prefixed_ones() {
    for (code, reason) in [
        (&[0x0f, 0xa2][..], Reason::Cpuid),
        (&[0x0f, 0x32], Reason::ReadMsr),
        (&[0x0f, 0x30], Reason::WriteMsr),
        (&[0xf4], Reason::Halt),
        (&[0xf1], Reason::DebugTrap),
        (&[0x66, 0xf1], Reason::DebugTrap),
        (&[0x0f, 0x01, 0xd9], Reason::Hypercall),
        (&[0x0f, 0x01, 0xc1], Reason::Hypercall),
        (&[0x0f, 0x01, 0xd1], Reason::SetExtendedControl),
        (&[0x0f, 0x09], Reason::CacheFlush),
        (&[0x0f, 0x08], Reason::CacheFlush),
        (&[0xf3, 0x90], Reason::Pause),
        (&[0x0f, 0x31], Reason::ReadTsc),
        (&[0x0f, 0x01, 0xf9], Reason::ReadTscp),
        // With prefixes, the decoder is asked.
        (&[0x66, 0xf3, 0x90], Reason::Pause),
        (&[0x66, 0x0f, 0x31], Reason::ReadTsc),
        (&[0x66, 0x0f, 0xa2], Reason::Cpuid),
        (&[0x48, 0x0f, 0x32], Reason::ReadMsr),
        (&[0xf3, 0xf4], Reason::Halt),
        (&[0x0f, 0x01, 0xf9], Reason::NotOffered),
        (&[0x0f, 0xc7, 0xf0], Reason::NotOffered),
    ] {
        let found = length(&mut FakeCpu::long(), code, reason);
        assert_eq!(found, Ok(CODE + code.len() as u64), "{code:02x?}");
    }
}

#[test]
fn the_processor_is_believed() {
    let given = |next_rip, instruction: &[u8]| Exit {
        reason: Reason::Cpuid,
        next_rip,
        instruction: (!instruction.is_empty()).then(|| instruction.iter().copied().collect()),
    };
    let memory = Memory::identity();
    let mut cpu = FakeCpu::long();
    assert_eq!(instruction_length(&mut cpu, &memory, &given(Some(0x1234), &[])), Ok(0x1234));
    assert_eq!(instruction_length(&mut cpu, &memory, &given(None, &[0x0f, 0xa2, 0xcc])), Ok(CODE + 2));
    assert_eq!(instruction_length(&mut cpu, &memory, &given(None, &[0x66, 0x0f, 0xa2])), Ok(CODE + 3));
}

#[test]
fn the_mode_decides_about_width() {
    let mut cpu = FakeCpu::real();
    cpu.system.segments.cs.base = 0x1_0000;
    // mov eax, imm: 16-bit operands in real mode.
    let code = [0xb8, 1, 2, 3, 4];
    let other = Reason::Unexpected { code: 0 };
    assert_eq!(length(&mut cpu, &code, other), Ok(CODE + 3));
    assert_eq!(length(&mut FakeCpu::protected(), &code, other), Ok(CODE + 5));
    // The instruction pointer wraps at 4 GiB outside 64-bit mode.
    let mut cpu = FakeCpu::protected();
    cpu.system.segments.cs.base = 0x9001;
    cpu.registers.rip = 0xffff_ffff;
    let memory = Memory::identity();
    memory.put(0x9000, &[0xf4]);
    assert_eq!(instruction_length(&mut cpu, &memory, &exit(Reason::Halt)), Ok(0));
}

#[test]
fn only_an_instruction_that_crosses_needs_the_next_page() {
    let memory = Memory::identity();
    memory.put(Memory::entry_of(0xa000), &[0; 8]);
    memory.put(0x9ffe, &[0x0f, 0xa2]);
    let mut cpu = FakeCpu::long();
    cpu.registers.rip = 0x9ffe;
    assert_eq!(instruction_length(&mut cpu, &memory, &exit(Reason::Cpuid)), Ok(0xa000));
    assert_eq!(fetch(&mut cpu, &memory).to_string(), "0f a2");
    cpu.registers.rip = 0x9fff;
    memory.put(0x9fff, &[0x0f]);
    let error = instruction_length(&mut cpu, &memory, &exit(Reason::Cpuid)).unwrap_err();
    assert!(matches!(error, EmulateError::Unfetchable { rip: 0x9fff, .. }), "{error}");
    memory.put(Memory::entry_of(0xa000), &0xb067u64.to_le_bytes());
    memory.put(0xb000, &[0xa2]);
    assert_eq!(instruction_length(&mut cpu, &memory, &exit(Reason::Cpuid)), Ok(0xa001));
}

#[test]
fn no_code_is_read_beyond_the_segment() {
    let mut cpu = FakeCpu::protected();
    cpu.system.segments.cs.limit = CODE as u32;
    let error = length(&mut cpu, &[0x0f, 0xa2], Reason::Cpuid).unwrap_err();
    assert!(matches!(error, EmulateError::Unfetchable { .. }), "{error}");
    cpu.system.segments.cs.limit += 1;
    assert_eq!(length(&mut cpu, &[0x0f, 0xa2], Reason::Cpuid), Ok(CODE + 2));
}

/// The next RIP by `known`, and how many reads of memory it took.
fn known_rip(known: &mut KnownCode, cpu: &mut FakeCpu, memory: &Memory) -> (u64, u32) {
    memory.take_reads();
    let next = known.next_rip(cpu, memory, &exit(Reason::Cpuid)).unwrap();
    (next, memory.take_reads())
}

#[test]
fn known_code_is_found_without_a_walk() {
    let (memory, mut cpu, mut known) = (Memory::identity(), FakeCpu::long(), KnownCode::default());
    memory.put(CODE, &[0x0f, 0xa2, 0x0f, 0xa2, 0x66, 0x0f, 0xa2]);
    memory.put(CODE + 0xffe, &[0x0f, 0xa2]);
    // Four levels of tables and the code; then the code, anywhere on the page, and whether the entries are what they were.
    assert_eq!(known_rip(&mut known, &mut cpu, &memory), (CODE + 2, 5));
    cpu.registers.rip = CODE + 2;
    assert_eq!(known_rip(&mut known, &mut cpu, &memory), (CODE + 4, 5));
    // What is not plain is fetched as ever, and so is what may go on in the next page.
    cpu.registers.rip = CODE + 4;
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 7);
    cpu.registers.rip = CODE + 0xffe;
    assert_eq!(known_rip(&mut known, &mut cpu, &memory), (CODE + 0x1000, 5));
}

#[test]
fn known_code_is_forgotten_with_its_address_space() {
    let (memory, mut known) = (Memory::identity(), KnownCode::default());
    memory.put(CODE, &[0x0f, 0xa2]);
    // Other tables, by which the same address leads to other code.
    for table in 0..4u64 {
        let from: [u8; 4096] = memory.get(0x1000 + table * 0x1000);
        memory.put(0x1_1000 + table * 0x1000, &from);
        memory.put(0x1_1000 + table * 0x1000, &(0x1_2027 + table * 0x1000).to_le_bytes());
    }
    memory.put(0x1_4000 + (CODE >> 12) * 8, &0x9067u64.to_le_bytes());
    memory.put(0x9000, &[0x66, 0x0f, 0xa2]);
    let mut cpu = FakeCpu::long();
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
    cpu.system.control.cr3 = 0x1_1000;
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 3);
    cpu.system.control.cr3 = 0x1000;
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
}

#[test]
fn known_code_that_moved_is_fetched_anew() {
    let (memory, mut cpu, mut known) = (Memory::identity(), FakeCpu::long(), KnownCode::default());
    memory.put(CODE, &[0x0f, 0xa2]);
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
    // The page's new place has a longer form; its old place was used for something else.
    memory.put(0x9000, &[0x66, 0x0f, 0xa2]);
    memory.put(Memory::entry_of(CODE), &0x9067u64.to_le_bytes());
    memory.put(CODE, &[0x90; 16]);
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 3);
}

#[test]
fn known_code_whose_page_was_exchanged_is_fetched_anew() {
    // Both pages hold an instruction at the same place, of another length.
    for (entry, moved) in [(Memory::entry_of(CODE), 0x9067_u64), (0x3000, 0x1_2067)] {
        let (memory, mut cpu, mut known) = (Memory::identity(), FakeCpu::long(), KnownCode::default());
        memory.put(CODE, &[0x0f, 0xa2]);
        memory.put(0x9000, &[0x66, 0x0f, 0xa2]);
        // Another table of the lowest level, for the second round.
        let table: [u8; 4096] = memory.get(Memory::entry_of(0));
        memory.put(0x1_2000, &table);
        memory.put(0x1_2000 + (CODE >> 12) * 8, &0x9067u64.to_le_bytes());
        assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
        let before: [u8; 8] = memory.get(entry);
        memory.put(entry, &moved.to_le_bytes());
        assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 3, "{entry:#x}");
        memory.put(entry, &before);
        assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2, "{entry:#x}");
    }
}

#[test]
fn known_code_that_is_mapped_no_more_is_what_the_processor_executed() {
    let (memory, mut cpu, mut known) = (Memory::identity(), FakeCpu::long(), KnownCode::default());
    memory.put(CODE, &[0x0f, 0xa2]);
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
    // Without INVLPG the processor goes on by its own buffer.
    memory.put(Memory::entry_of(CODE), &[0; 8]);
    assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + 2);
}

#[test]
fn known_code_in_a_segment_that_begins_within_a_page() {
    let (memory, mut cpu, mut known) = (Memory::identity(), FakeCpu::protected(), KnownCode::default());
    cpu.system.segments.cs.base = 0x345;
    for offset in [0, 0x10, 0xcba, 0xcbb] {
        cpu.registers.rip = CODE + offset;
        memory.put(CODE + offset + 0x345, &[0x0f, 0xa2]);
        assert_eq!(known_rip(&mut known, &mut cpu, &memory).0, CODE + offset + 2, "{offset:#x}");
    }
}
