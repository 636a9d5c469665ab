//! String instructions on memory and on ports.

use godwit_guest::{
    cpu::General::*,
    emulate::{self, Emulated, MAX_REPETITIONS},
    vcpu::{Event, Reason},
};

use crate::fake::{Asked, CODE, DEVICE, Devices, FakeCpu, Memory, emulate, exit};

const SINGLE_STEP: u64 = 1 << 8;
const DIRECTION: u64 = 1 << 10;

/// Emulates the port instruction `code` once.
fn on_port(cpu: &mut FakeCpu, memory: &Memory, devices: &mut Devices, code: &[u8]) -> Emulated {
    memory.put(cpu.system.segments.cs.base + cpu.registers.rip, code);
    let reason = Reason::Port { port: 0x1f0, bytes: 2, input: true, string: true };
    emulate::string_port(cpu, memory, &exit(reason), devices).unwrap()
}

#[test]
fn a_copy_to_a_device_goes_on_where_it_stopped() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    let bytes: Vec<u8> = (0..=255).collect();
    memory.put(0x9000, &bytes);
    let mut cpu = FakeCpu::long().with(Rsi, 0x9000).with(Rdi, DEVICE).with(Rcx, 150);
    let code = [0xf3, 0xa4];
    let mut calls = 1;
    while emulate(&mut cpu, &memory, &mut devices, &code) == Ok(Emulated::Again) {
        assert_eq!(cpu.registers.rip, CODE);
        assert_eq!(cpu.registers.get(Rcx), 150 - u64::from(MAX_REPETITIONS) * calls);
        calls += 1;
    }
    assert_eq!(calls, 3);
    assert_eq!(cpu.registers.rip, CODE + 2);
    assert_eq!([Rsi, Rdi, Rcx].map(|register| cpu.registers.get(register)), [0x9000 + 150, DEVICE + 150, 0]);
    for at in 0..150 {
        assert_eq!(devices.value(DEVICE + at, 1), at);
    }
    assert_eq!(devices.asked.len(), 150);
}

#[test]
fn a_single_step_is_one_repetition() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    for (code, register) in [(&[0xf3, 0xab][..], Rdi), (&[0xf3, 0xad], Rsi)] {
        let mut cpu = FakeCpu::long().with(register, DEVICE).with(Rcx, 3);
        cpu.registers.rflags |= SINGLE_STEP;
        for left in [2, 1] {
            assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Again));
            assert_eq!((cpu.registers.rip, cpu.registers.get(Rcx)), (CODE, left));
        }
        assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done));
        assert_eq!(cpu.steps, [CODE, CODE, CODE + 2]);
    }
    let mut cpu = FakeCpu::long().with(Rdi, 0x9000).with(Rcx, 2);
    cpu.registers.rflags |= SINGLE_STEP;
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &[0xf3, 0x6c]), Emulated::Again);
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &[0xf3, 0x6c]), Emulated::Done);
    assert_eq!(cpu.steps, [CODE, CODE + 2]);
    // Without it the host does many at once, and nothing traps.
    let mut cpu = FakeCpu::long().with(Rdi, DEVICE).with(Rcx, 3);
    assert_eq!(emulate(&mut cpu, &memory, &mut devices, &[0xf3, 0xab]), Ok(Emulated::Done));
    assert_eq!(cpu.steps, []);
}

#[test]
fn one_element_needs_no_counter() {
    let table: &[(&str, &[u8], u64, Asked)] = &[
        ("stosd", &[0xab], 4, Asked::Write { at: DEVICE, bytes: 4, value: 0x5566_7788 }),
        ("stosq", &[0x48, 0xab], 8, Asked::Write { at: DEVICE, bytes: 8, value: 0x1122_3344_5566_7788 }),
        ("movsw", &[0x66, 0xa5], 2, Asked::Write { at: DEVICE, bytes: 2, value: 0 }),
        ("stosb down", &[0xaa], u64::MAX, Asked::Write { at: DEVICE, bytes: 1, value: 0x88 }),
    ];
    for (name, code, step, asked) in table {
        let mut cpu = FakeCpu::long().with(Rdi, DEVICE).with(Rsi, 0x9000).with(Rcx, 7);
        cpu.registers.set(Rax, 0x1122_3344_5566_7788);
        if *step > 8 {
            cpu.registers.rflags |= DIRECTION;
        }
        let (memory, mut devices) = (Memory::identity(), Devices::default());
        assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done), "{name}");
        assert_eq!(devices.asked, [*asked], "{name}");
        assert_eq!(cpu.registers.get(Rdi), DEVICE.wrapping_add(*step), "{name}");
        assert_eq!(cpu.registers.get(Rcx), 7, "{name}");
    }
}

#[test]
fn lods_takes_its_segment_from_the_prefix() {
    let mut cpu = FakeCpu::long().with(Rsi, 0x10).with(Rax, u64::MAX);
    cpu.system.segments.fs.base = DEVICE;
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    devices.hold(DEVICE + 0x10, 0xabcd);
    assert_eq!(emulate(&mut cpu, &memory, &mut devices, &[0x64, 0x66, 0xad]), Ok(Emulated::Done));
    assert_eq!(cpu.registers.get(Rax), 0xffff_ffff_ffff_abcd);
    assert_eq!(cpu.registers.get(Rsi), 0x12);
}

#[test]
fn a_counter_of_zero_does_nothing() {
    // 32-bit addresses: the counter is ECX, whatever stands above it.
    let mut cpu = FakeCpu::long().with(Rdi, DEVICE).with(Rcx, 5 << 32);
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    assert_eq!(emulate(&mut cpu, &memory, &mut devices, &[0x67, 0xf3, 0xaa]), Ok(Emulated::Done));
    assert_eq!((devices.asked.len(), cpu.registers.get(Rdi)), (0, DEVICE));
    assert_eq!(cpu.registers.rip, CODE + 3);
}

#[test]
fn ins_fills_memory_in_bounded_parts() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    let mut cpu = FakeCpu::long().with(Rdi, 0x9ff0).with(Rcx, 100).with(Rdx, 0x1f0);
    let code = [0xf3, 0x66, 0x6d];
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &code), Emulated::Again);
    assert_eq!((cpu.registers.get(Rcx), cpu.registers.rip), (36, CODE));
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &code), Emulated::Done);
    assert_eq!((cpu.registers.get(Rcx), cpu.registers.get(Rdi)), (0, 0x9ff0 + 200));
    assert_eq!(cpu.registers.rip, CODE + 3);
    assert_eq!(devices.asked, [Asked::In { port: 0x1f0, bytes: 2 }; 100]);
    for element in 0..100u64 {
        assert_eq!(u64::from(u16::from_le_bytes(memory.get(0x9ff0 + element * 2))), element + 1);
    }
}

#[test]
fn outs_goes_down_in_16_bit_mode() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    memory.put(0x9000, &[1, 2, 3, 4]);
    // A 16-bit index wraps below zero and leaves the bits above.
    let mut cpu = FakeCpu::real().with(Rsi, 0x7777_0002).with(Rcx, 0x7777_0003);
    cpu.system.segments.es.base = 0x9000;
    cpu.registers.rflags |= DIRECTION;
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &[0x26, 0xf3, 0x6e]), Emulated::Done);
    let out = |value| Asked::Out { port: 0x1f0, bytes: 1, value };
    assert_eq!(devices.asked, [out(3), out(2), out(1)]);
    assert_eq!((cpu.registers.get(Rsi), cpu.registers.get(Rcx)), (0x7777_ffff, 0x7777_0000));
}

#[test]
fn a_page_fault_in_the_middle_keeps_what_is_done() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    memory.put(Memory::entry_of(0xa000), &[0; 8]);
    let mut cpu = FakeCpu::long().with(Rdi, 0x9ffc).with(Rcx, 10);
    let code = [0xf3, 0x6c];
    let ended = on_port(&mut cpu, &memory, &mut devices, &code);
    assert!(matches!(ended, Emulated::Faulted(_)));
    assert_eq!(cpu.cr2, Some(0xa000));
    assert_eq!(cpu.pending.take(), Some(Event::Exception { vector: 14, error_code: Some(2) }));
    assert_eq!((cpu.registers.get(Rcx), cpu.registers.get(Rdi), cpu.registers.rip), (6, 0xa000, CODE));
    // The port was not read for the element that has no place.
    assert_eq!(devices.asked.len(), 4);
    memory.put(Memory::entry_of(0xa000), &0xa067u64.to_le_bytes());
    assert_eq!(on_port(&mut cpu, &memory, &mut devices, &code), Emulated::Done);
    assert_eq!(memory.get::<10>(0x9ffc), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn another_instruction_than_the_exit_says_is_refused() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    let mut cpu = FakeCpu::long().with(Rdi, DEVICE).with(Rcx, 1);
    memory.put(CODE, &[0xf3, 0xaa]);
    let reason = Reason::Port { port: 1, bytes: 1, input: true, string: true };
    let error = emulate::string_port(&mut cpu, &memory, &exit(reason), &mut devices).unwrap_err();
    assert!(error.to_string().contains("Stosb_m8_AL (f3 aa) at 0x8000"), "{error}");
}
