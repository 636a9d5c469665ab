//! Every form that reaches a device: sizes, addressing modes, registers.

use godwit_guest::{
    cpu::General::{self, *},
    emulate::{EmulateError, Emulated},
};

use crate::fake::{Asked, CODE, DEVICE, Devices, FakeCpu, Memory, emulate, emulate_given};

const VALUE: u64 = 0x8877_6655_4433_f2f1;

/// A 64-bit CPU whose RAX holds a pattern, with RBX at the devices.
fn cpu() -> FakeCpu {
    FakeCpu::long().with(Rax, 0xa1a2_a3a4_a5a6_a7a8).with(Rbx, DEVICE).with(Rcx, 0x1111_2222_3333_4444)
}

#[test]
fn loads_leave_the_register_as_the_processor_does() {
    let table: &[(&str, &[u8], General, u64, u8)] = &[
        ("mov al,[rbx]", &[0x8a, 0x03], Rax, 0xa1a2_a3a4_a5a6_a7f1, 1),
        ("mov ah,[rbx]", &[0x8a, 0x23], Rax, 0xa1a2_a3a4_a5a6_f1a8, 1),
        ("mov sil,[rbx]", &[0x40, 0x8a, 0x33], Rsi, 0xf1, 1),
        ("mov ax,[rbx]", &[0x66, 0x8b, 0x03], Rax, 0xa1a2_a3a4_a5a6_f2f1, 2),
        ("mov eax,[rbx]", &[0x8b, 0x03], Rax, 0x4433_f2f1, 4),
        ("mov rax,[rbx]", &[0x48, 0x8b, 0x03], Rax, VALUE, 8),
        ("mov r9d,[rbx]", &[0x44, 0x8b, 0x0b], R9, 0x4433_f2f1, 4),
        ("movzx eax,byte[rbx]", &[0x0f, 0xb6, 0x03], Rax, 0xf1, 1),
        ("movzx eax,word[rbx]", &[0x0f, 0xb7, 0x03], Rax, 0xf2f1, 2),
        ("movsx eax,byte[rbx]", &[0x0f, 0xbe, 0x03], Rax, 0xffff_fff1, 1),
        ("movsx ax,byte[rbx]", &[0x66, 0x0f, 0xbe, 0x03], Rax, 0xa1a2_a3a4_a5a6_fff1, 1),
        ("movsx rax,word[rbx]", &[0x48, 0x0f, 0xbf, 0x03], Rax, 0xffff_ffff_ffff_f2f1, 2),
        ("movsxd rax,[rbx]", &[0x48, 0x63, 0x03], Rax, 0x4433_f2f1, 4),
        ("movbe eax,[rbx]", &[0x0f, 0x38, 0xf0, 0x03], Rax, 0xf1f2_3344, 4),
        ("movabs al,[DEVICE]", &[0xa0, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0], Rax, 0xa1a2_a3a4_a5a6_a7f1, 1),
        ("movabs eax,[DEVICE]", &[0xa1, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0], Rax, 0x4433_f2f1, 4),
        ("movabs rax,[DEVICE]", &[0x48, 0xa1, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0], Rax, VALUE, 8),
    ];
    for (name, code, register, expected, bytes) in table {
        let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::holding(VALUE));
        assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done), "{name}");
        assert_eq!(cpu.registers.get(*register), *expected, "{name}");
        assert_eq!(devices.asked, [Asked::Read { at: DEVICE, bytes: *bytes }], "{name}");
        assert_eq!(cpu.registers.rip, CODE + code.len() as u64, "{name}");
    }
}

#[test]
fn stores_say_size_and_value() {
    let table: &[(&str, &[u8], u8, u64)] = &[
        ("mov [rbx],al", &[0x88, 0x03], 1, 0xa8),
        ("mov [rbx],ah", &[0x88, 0x23], 1, 0xa7),
        ("mov [rbx],ax", &[0x66, 0x89, 0x03], 2, 0xa7a8),
        ("mov [rbx],eax", &[0x89, 0x03], 4, 0xa5a6_a7a8),
        ("mov [rbx],rax", &[0x48, 0x89, 0x03], 8, 0xa1a2_a3a4_a5a6_a7a8),
        ("movnti [rbx],eax", &[0x0f, 0xc3, 0x03], 4, 0xa5a6_a7a8),
        ("mov byte[rbx],0x5a", &[0xc6, 0x03, 0x5a], 1, 0x5a),
        ("mov dword[rbx],-2", &[0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff], 4, 0xffff_fffe),
        ("mov qword[rbx],-2", &[0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff], 8, 0xffff_ffff_ffff_fffe),
        ("movbe [rbx],ax", &[0x66, 0x0f, 0x38, 0xf1, 0x03], 2, 0xa8a7),
        ("mov [rbx],ds", &[0x8c, 0x1b], 2, 0x10),
        ("movabs [DEVICE],eax", &[0xa3, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0], 4, 0xa5a6_a7a8),
    ];
    for (name, code, bytes, value) in table {
        let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::default());
        assert_eq!(emulate_given(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done), "{name}");
        assert_eq!(devices.asked, [Asked::Write { at: DEVICE, bytes: *bytes, value: *value }], "{name}");
        assert_eq!(cpu.registers.rip, CODE + code.len() as u64, "{name}");
    }
}

#[test]
fn addresses_are_computed_in_every_mode() {
    let long = || cpu().with(Rsi, 0x10).with(R13, DEVICE - 0x20).with(Rbp, 0xffff_fff0);
    let mut gs = long().with(Rbx, 0x40);
    gs.system.segments.gs.base = DEVICE;
    let mut real = FakeCpu::real().with(Rbx, 0xfff0).with(Rsi, 0x30);
    real.system.segments.ds.base = DEVICE;
    let mut big_real = FakeCpu::real().with(Rbx, 0x20);
    big_real.system.segments.ds.base = DEVICE;
    let mut stack = FakeCpu::protected().with(Rbp, 8);
    stack.system.segments.ss.base = DEVICE;
    // The second GiB of addresses leads to the fourth one of memory.
    let relative = (DEVICE - 0x8000_0000 + 0x30 - (CODE + 6)) as i32;
    let relative = [&[0x8b, 0x05][..], &relative.to_le_bytes()].concat();
    let table: Vec<(&str, FakeCpu, &[u8], u64)> = vec![
        ("[rbx+8]", long(), &[0x8b, 0x43, 0x08], 0x8),
        ("[rbx+rsi*4+0x100]", long(), &[0x8b, 0x84, 0xb3, 0, 1, 0, 0], 0x140),
        ("[r13+rsi*2+0]", long(), &[0x41, 0x8b, 0x44, 0x75, 0], 0),
        ("[rip+x]", long(), &relative, 0x30),
        // 32-bit addresses wrap: 0xfffffff0 + 0xfee00010.
        ("[ebx+ebp+0x10]", long(), &[0x67, 0x8b, 0x44, 0x2b, 0x10], 0),
        ("gs:[rbx]", gs, &[0x65, 0x8b, 0x03], 0x40),
        ("protected [ebx+4]", FakeCpu::protected().with(Rbx, DEVICE), &[0x8b, 0x43, 4], 4),
        ("protected [disp32]", FakeCpu::protected(), &[0x8b, 0x05, 0x18, 0, 0xe0, 0xfe], 0x18),
        ("protected moffs", FakeCpu::protected(), &[0xa1, 0x1c, 0, 0xe0, 0xfe], 0x1c),
        ("protected ss:[ebp+4]", stack, &[0x8b, 0x45, 4], 12),
        // 16-bit offsets wrap: 0xfff0 + 0x30.
        ("real [bx+si]", real, &[0x66, 0x8b, 0x00], 0x20),
        ("real [ebx]", big_real, &[0x66, 0x67, 0x8b, 0x03], 0x20),
    ];
    for (name, mut cpu, code, offset) in table {
        let (memory, mut devices) = (Memory::identity(), Devices::default());
        memory.put(0x2008, &0xc000_00e7u64.to_le_bytes());
        devices.hold(DEVICE + offset, 0x1234_5678);
        assert_eq!(emulate(&mut cpu, &memory, &mut devices, code), Ok(Emulated::Done), "{name}");
        assert_eq!(devices.asked, [Asked::Read { at: DEVICE + offset, bytes: 4 }], "{name}");
        assert_eq!(cpu.registers.get(Rax), 0x1234_5678, "{name}");
    }
}

#[test]
fn an_access_across_pages_is_split() {
    let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::default());
    cpu.registers.set(Rbx, DEVICE + 0xffd);
    devices.hold(DEVICE + 0xff8, 0x3322_1100_0000_0000);
    emulate(&mut cpu, &memory, &mut devices, &[0x8b, 0x03]).unwrap();
    // Three bytes of the device, then one where nothing is.
    let asked = [(DEVICE + 0xffd, 2), (DEVICE + 0xfff, 1), (DEVICE + 0x1000, 1)];
    assert_eq!(devices.asked, asked.map(|(at, bytes)| Asked::Read { at, bytes }));
    assert_eq!(cpu.registers.get(Rax), 0xff33_2211);
}

#[test]
fn push_and_pop_use_the_stack() {
    let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::holding(VALUE));
    cpu.registers.set(Rsp, 0x9000);
    emulate(&mut cpu, &memory, &mut devices, &[0xff, 0x33]).unwrap();
    assert_eq!((cpu.registers.get(Rsp), u64::from_le_bytes(memory.get(0x8ff8))), (0x8ff8, VALUE));
    // pop [rbx+0x10]
    emulate(&mut cpu, &memory, &mut devices, &[0x8f, 0x43, 0x10]).unwrap();
    assert_eq!((cpu.registers.get(Rsp), devices.value(DEVICE + 0x10, 8)), (0x9000, VALUE));

    let mut cpu = FakeCpu::protected().with(Rbx, DEVICE).with(Rsp, 0xabcd_0002);
    cpu.system.segments.ss.attributes.remove(godwit_guest::cpu::Attributes::DEFAULT_32);
    emulate(&mut cpu, &memory, &mut devices, &[0xff, 0x33]).unwrap();
    assert_eq!(cpu.registers.get(Rsp), 0xabcd_fffe, "a 16-bit stack wraps");
}

#[test]
fn what_is_not_emulated_is_named() {
    for (name, code) in [
        ("Movaps_xmm_xmmm128", &[0x0f, 0x28, 0x03][..]),
        ("Call_rm64", &[0xff, 0x13]),
        ("Mov_Sreg_r32m16", &[0x8e, 0x1b]),
        ("Imul_r32_rm32", &[0x0f, 0xaf, 0x03]),
    ] {
        let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::default());
        let before = cpu.registers;
        let error = emulate(&mut cpu, &memory, &mut devices, code).unwrap_err();
        assert!(matches!(&error, EmulateError::Unsupported { rip: CODE, .. }), "{error}");
        let hex: Vec<_> = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(error.to_string().contains(&format!("{name} ({}) at 0x8000", hex.join(" "))), "{error}");
        assert_eq!((cpu.registers, devices.asked.len()), (before, 0));
    }
    let (mut cpu, memory, mut devices) = (cpu(), Memory::identity(), Devices::default());
    let error = emulate(&mut cpu, &memory, &mut devices, &[0xff; 15]).unwrap_err();
    assert!(matches!(error, EmulateError::Undecodable { .. }), "{error}");
}
