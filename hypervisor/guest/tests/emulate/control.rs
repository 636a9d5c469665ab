//! MOV from and to CR4.

use godwit_guest::{
    cpu::General,
    emulate::{EmulateError, Emulated, Fault, control_register},
    vcpu::{Event, Reason},
};

use crate::fake::{CODE, FakeCpu, Memory, exit};

fn emulate(cpu: &mut FakeCpu, code: &[u8], reason: Reason) -> Result<Emulated, EmulateError> {
    let memory = Memory::identity();
    memory.put(CODE, code);
    control_register(cpu, &memory, &exit(reason))
}

#[test]
fn it_is_written_from_any_register_as_wide_as_the_mode_has_it() {
    // mov cr4, rcx; mov cr4, r9.
    let mut cpu = FakeCpu::long().with(General::Rcx, 0x1_0000_0020);
    assert_eq!(emulate(&mut cpu, &[0x0f, 0x22, 0xe1], Reason::WriteCr4), Ok(Emulated::Done));
    assert_eq!((cpu.system.control.cr4, cpu.registers.rip), (0x1_0000_0020, CODE + 3));
    let mut cpu = FakeCpu::long().with(General::R9, 0x68);
    assert_eq!(emulate(&mut cpu, &[0x41, 0x0f, 0x22, 0xe1], Reason::WriteCr4), Ok(Emulated::Done));
    assert_eq!((cpu.system.control.cr4, cpu.registers.rip), (0x68, CODE + 4));
    // The upper half of a register is none outside 64-bit mode.
    for mut cpu in [FakeCpu::protected(), FakeCpu::real()] {
        cpu = cpu.with(General::Rax, 0x1_0000_0060);
        assert_eq!(emulate(&mut cpu, &[0x0f, 0x22, 0xe0], Reason::WriteCr4), Ok(Emulated::Done));
        assert_eq!((cpu.system.control.cr4, cpu.registers.rip), (0x60, CODE + 3));
    }
}

#[test]
fn it_is_read_into_any_register() {
    // mov rdx, cr4; mov edx, cr4.
    let mut cpu = FakeCpu::long().with(General::Rdx, u64::MAX);
    assert_eq!(emulate(&mut cpu, &[0x0f, 0x20, 0xe2], Reason::ReadCr4), Ok(Emulated::Done));
    assert_eq!((cpu.registers.get(General::Rdx), cpu.registers.rip), (0x20, CODE + 3));
    let mut cpu = FakeCpu::protected().with(General::Rdx, 0xffff_ffff);
    assert_eq!(emulate(&mut cpu, &[0x0f, 0x20, 0xe2], Reason::ReadCr4), Ok(Emulated::Done));
    assert_eq!(cpu.registers.get(General::Rdx), 0);
}

#[test]
fn what_is_not_offered_raises_a_general_protection_fault() {
    let mut cpu = FakeCpu::long().with(General::Rax, 1 << 12 | 0x20);
    let faulted = Ok(Emulated::Faulted(Fault::GENERAL_PROTECTION));
    assert_eq!(emulate(&mut cpu, &[0x0f, 0x22, 0xe0], Reason::WriteCr4), faulted);
    assert_eq!((cpu.system.control.cr4, cpu.registers.rip), (0x20, CODE));
    assert_eq!(cpu.pending, Some(Event::GENERAL_PROTECTION));
}

#[test]
fn code_that_changed_meanwhile_is_not_taken_for_it() {
    // mov cr3, rax; mov eax, ecx.
    for code in [&[0x0f, 0x22, 0xd8][..], &[0x89, 0xc8]] {
        let mut cpu = FakeCpu::long();
        let error = emulate(&mut cpu, code, Reason::WriteCr4).unwrap_err();
        assert!(matches!(error, EmulateError::Unsupported { .. }), "{error}");
        assert_eq!((cpu.system.control.cr4, cpu.registers.rip), (0x20, CODE));
    }
}
