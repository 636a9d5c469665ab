//! MOV to CR8.

use godwit_guest::{
    cpu::General,
    emulate::{EmulateError, written_task_priority},
    vcpu::Reason,
};

use crate::fake::{FakeCpu, Memory, exit};

fn written(cpu: &mut FakeCpu, code: &[u8]) -> Result<Option<u8>, EmulateError> {
    let memory = Memory::identity();
    memory.put(cpu.registers.rip, code);
    written_task_priority(cpu, &memory, &exit(Reason::WriteTaskPriority))
}

#[test]
fn every_source_and_spelling_is_understood() {
    let mut cpu = FakeCpu::long();
    cpu.registers.set(General::Rax, 3);
    cpu.registers.set(General::R9, 15);
    assert_eq!(written(&mut cpu, &[0x44, 0x0f, 0x22, 0xc0]), Ok(Some(3)), "mov cr8, rax");
    assert_eq!(written(&mut cpu, &[0x45, 0x0f, 0x22, 0xc1]), Ok(Some(15)), "mov cr8, r9");
    assert_eq!(written(&mut cpu, &[0xf0, 0x0f, 0x22, 0xc0]), Ok(Some(3)), "lock mov cr0, rax");
}

#[test]
fn reserved_bits_are_a_fault() {
    let mut cpu = FakeCpu::long();
    for value in [16, 1 << 32, u64::MAX] {
        cpu.registers.set(General::Rax, value);
        assert_eq!(written(&mut cpu, &[0x44, 0x0f, 0x22, 0xc0]), Ok(None), "{value:#x}");
    }
}

#[test]
fn anything_else_is_refused() {
    for code in [&[0x0f, 0x22, 0xc0][..], &[0x44, 0x0f, 0x20, 0xc0], &[0x90]] {
        let refused = written(&mut FakeCpu::long(), code);
        assert!(matches!(refused, Err(EmulateError::Undecodable { .. })), "{code:02x?}: {refused:?}");
    }
}
