//! Instructions that the host carries out for a guest.

use godwit_guest::{
    GuestAddress,
    emulate::{self, Bus, EmulateError, Emulated, KnownCode, walk},
    vcpu::{Reason, VirtualCpu},
};
use iced_x86::{Decoder, DecoderOptions};

use super::{
    decoder_guest::{DEVICES, RAM_BYTES, Stopped, nested_fault, plain, with_register},
    fake_cpu::FakeCpu,
};
use crate::{Input, Kind, Target};

/// Decoding and emulation, whatever the guest's code, registers, mode and tables are, and whoever changes them meanwhile.
pub(super) const TARGET: Target =
    Target { name: "decoder", kind: Kind::Guest, run, corpus, max_bytes: 256, executions: 1_500_000 };

/// Accesses of one call at most: 64 repetitions, each with two operands of at most four transfers in each of two pages.
const MAX_ACCESSES: u32 = 64 * 16;
/// Reads of guest memory at most: three walks of four levels and the data, for each of these repetitions, and the fetch.
const MAX_READS: u32 = 64 * 32 + 64;

/// Devices that check how they are asked.
#[derive(Default)]
struct Devices {
    accesses: u32,
    value: u64,
}

impl Devices {
    fn answer(&mut self, bytes: u8) -> u64 {
        self.accesses += 1;
        self.value = self.value.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.value.checked_shr(64 - 8 * u32::from(bytes)).unwrap_or(0)
    }
}

impl Bus for Devices {
    fn read_port(&mut self, _: u16, bytes: u8) -> u32 {
        assert!(matches!(bytes, 1 | 2 | 4), "{bytes} bytes of a port");
        self.answer(bytes) as u32
    }
    fn write_port(&mut self, _: u16, bytes: u8, value: u32) {
        assert!(matches!(bytes, 1 | 2 | 4), "{bytes} bytes of a port");
        assert_eq!(u64::from(value) >> (8 * u32::from(bytes)), 0, "bits beyond the access");
        self.accesses += 1;
    }
    fn has_mmio(&self, address: u64) -> bool {
        DEVICES.contains(&(address & !0xfff))
    }
    fn read_mmio(&mut self, address: u64, bytes: u8) -> u64 {
        assert!(matches!(bytes, 1 | 2 | 4 | 8), "{bytes} bytes of a device");
        assert!(is_no_ram(address, bytes), "RAM at {address:#x} was taken for a device");
        self.answer(bytes)
    }
    fn write_mmio(&mut self, address: u64, bytes: u8, value: u64) {
        assert!(matches!(bytes, 1 | 2 | 4 | 8), "{bytes} bytes of a device");
        assert!(is_no_ram(address, bytes), "RAM at {address:#x} was taken for a device");
        assert_eq!(value.checked_shr(8 * u32::from(bytes)).unwrap_or(0), 0, "bits beyond the access");
        self.accesses += 1;
    }
}

/// Whether not all bytes there are RAM: an operand that ends behind it is no access to RAM either.
fn is_no_ram(address: u64, bytes: u8) -> bool {
    address.checked_add(bytes.into()).is_none_or(|end| end > RAM_BYTES)
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let operation = input.below(16);
    match operation {
        0..6 => on_memory(&mut input),
        6..10 => on_port(&mut input),
        10..12 => on_control(&mut input),
        12..15 => lengths(&mut input),
        _ => walks(&mut input),
    }
}

fn on_memory(input: &mut Input<'_>) {
    let fault = nested_fault(input);
    let mut guest = Stopped::read(input, Reason::NestedFault(fault));
    let mut devices = Devices::default();
    let before = guest.cpu.clone();
    let Stopped { cpu, memory, exit } = &mut guest;
    let ended = emulate::mmio(cpu, memory, exit, &fault, &mut devices);
    check(&guest, &before, &ended, &devices);
}

fn on_port(input: &mut Input<'_>) {
    let bits = input.byte();
    let port = Reason::Port { port: 0x3f8, bytes: 1 << (bits % 3), input: bits & 0x80 != 0, string: true };
    let mut guest = Stopped::read(input, port);
    let mut devices = Devices::default();
    let before = guest.cpu.clone();
    let Stopped { cpu, memory, exit } = &mut guest;
    let ended = emulate::string_port(cpu, memory, exit, &mut devices);
    check(&guest, &before, &ended, &devices);
}

fn on_control(input: &mut Input<'_>) {
    let reason = input.pick(&[Reason::WriteCr4, Reason::ReadCr4, Reason::WriteTaskPriority]);
    let mut guest = Stopped::read(input, reason);
    let before = guest.cpu.clone();
    let Stopped { cpu, memory, exit } = &mut guest;
    if reason == Reason::WriteTaskPriority {
        let priority = emulate::written_task_priority(cpu, memory, exit);
        assert!(!matches!(priority, Ok(Some(16..))), "CR8 has four bits");
        assert_eq!((cpu.registers, cpu.pending), (before.registers, None), "nothing of the guest changes");
        return;
    }
    let ended = emulate::control_register(cpu, memory, exit);
    check(&guest, &before, &ended, &Devices::default());
}

/// What holds of every emulated instruction.
fn check(guest: &Stopped, before: &FakeCpu, ended: &Result<Emulated, EmulateError>, devices: &Devices) {
    let (cpu, old) = (&guest.cpu, &before.registers);
    assert!(devices.accesses <= MAX_ACCESSES, "{} accesses: the work is bounded", devices.accesses);
    assert!(guest.memory.reads() <= MAX_READS, "{} reads: the work is bounded", guest.memory.reads());
    match ended {
        Ok(Emulated::Done) => {
            assert_eq!((cpu.advanced, cpu.pending), (1, None));
            let length = length(before, cpu.registers.rip);
            assert!((1..=15).contains(&length), "RIP moved by {length}");
            if let Some(bytes) = &guest.exit.instruction {
                agrees(before, bytes, length);
            }
        }
        Ok(Emulated::Again) => {
            assert_eq!((cpu.registers.rip, cpu.pending), (old.rip, None));
            assert!(cpu.advanced <= 1, "one repetition ends the interrupt shadow, and no more");
        }
        Ok(Emulated::Faulted(fault)) => {
            assert_eq!((cpu.registers.rip, cpu.advanced), (old.rip, 0), "RIP stands at what faulted");
            assert_eq!((Some(fault.event), fault.cr2), (cpu.pending, cpu.cr2), "the fault is delivered");
        }
        Err(EmulateError::Unsupported { .. }) => {
            assert_eq!((cpu.registers, cpu.advanced, cpu.pending), (*old, 0, None), "nothing was done");
            assert_eq!(devices.accesses, 0, "what is not supported was begun");
        }
        Err(_) => assert_eq!((cpu.registers, cpu.advanced, cpu.pending), (*old, 0, None), "nothing was done"),
    }
}

/// By how much RIP moved, as wide as it is.
fn length(before: &FakeCpu, rip: u64) -> u64 {
    let moved = rip.wrapping_sub(before.registers.rip);
    if bits(before) == 64 { moved } else { moved & 0xffff_ffff }
}

/// What an independent reading of the mode says.
fn bits(cpu: &FakeCpu) -> u32 {
    let attributes = cpu.system.segments.cs.attributes.bits();
    match (cpu.system.control.efer & 1 << 10 != 0 && attributes & 1 << 9 != 0, attributes & 1 << 10 != 0) {
        (true, _) => 64,
        (false, true) => 32,
        (false, false) => 16,
    }
}

/// The decoder, asked directly for the bytes that the processor handed over, has the same length for them. Where it cannot make
/// an instruction of them the code in memory counted.
fn agrees(cpu: &FakeCpu, bytes: &[u8], length: u64) {
    let mut decoder = Decoder::with_ip(bits(cpu), bytes, cpu.registers.rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if !instruction.is_invalid() {
        assert_eq!(instruction.len() as u64, length, "{bytes:02x?}");
    }
}

fn lengths(input: &mut Input<'_>) {
    let reason = input.pick(&[
        Reason::Cpuid,
        Reason::Halt,
        Reason::ReadMsr,
        Reason::WriteMsr,
        Reason::Hypercall,
        Reason::SetExtendedControl,
        Reason::CacheFlush,
        Reason::DebugTrap,
    ]);
    let mut guest = Stopped::read(input, reason);
    let before = guest.cpu.clone();
    let mut known = KnownCode::default();
    for _ in 0..3 {
        let Stopped { cpu, memory, exit } = &mut guest;
        let next = known.next_rip(cpu, memory, exit);
        assert_eq!((cpu.registers, cpu.pending), (before.registers, None), "nothing of the guest changes");
        if let (Ok(next), None) = (&next, exit.next_rip) {
            let length = length(&before, *next);
            assert!((1..=15).contains(&length), "{length} bytes");
        }
        // The code is another, and what is remembered must not count.
        let at = cpu.system.segments.cs.base.wrapping_add(cpu.registers.rip);
        memory.put(at, input.bytes(3));
        if input.flag() {
            let fetched = emulate::fetch(cpu, memory);
            assert!(fetched.0.len() <= 15);
        }
    }
}

fn walks(input: &mut Input<'_>) {
    let guest = Stopped::read(input, Reason::Host);
    let bits = input.byte();
    let access = walk::Access { write: bits & 1 != 0, fetch: bits & 2 != 0, user: bits & 4 != 0 };
    let address = input.number();
    let (system, rflags) = (guest.cpu.system(), guest.cpu.registers.rflags);
    let found = walk::walk(&system, rflags, &guest.memory, address, access);
    assert!(guest.memory.reads() <= 4, "a walk has four levels at most");
    match found {
        Ok(found) => {
            assert!(matches!(found.page_bytes, 0x1000 | 0x20_0000 | 0x40_0000 | 0x4000_0000));
            assert_eq!(
                found.address.0 % found.page_bytes,
                address % found.page_bytes,
                "the offset in the page stays"
            );
            assert!(found.address < GuestAddress(1 << 52) || guest.cpu.system.control.cr0 >> 31 & 1 == 0);
        }
        Err(fault) => {
            assert_eq!(fault.address, address);
            assert_eq!(fault.error_code & 2 != 0, access.write);
            assert_eq!(fault.error_code & 4 != 0, access.user);
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    const CODES: &[&[u8]] = &[
        &[0x8b, 0x00],                            // mov eax, [rax]
        &[0x89, 0x08],                            // mov [rax], ecx
        &[0x48, 0x89, 0x48, 0x10],                // mov [rax+0x10], rcx
        &[0xc7, 0x80, 0xb0, 0, 0, 0, 0, 0, 0, 0], // mov dword [rax+0xb0], 0
        &[0x0f, 0xb6, 0x00],                      // movzx eax, byte [rax]
        &[0x48, 0x63, 0x00],                      // movsxd rax, [rax]
        &[0xf0, 0x0f, 0xb1, 0x08],                // lock cmpxchg [rax], ecx
        &[0x87, 0x08],                            // xchg [rax], ecx
        &[0x0f, 0xba, 0x28, 0x07],                // bts dword [rax], 7
        &[0x0f, 0xa3, 0x08],                      // bt [rax], ecx
        &[0x81, 0x20, 0xff, 0, 0, 0],             // and dword [rax], 0xff
        &[0xff, 0x30],                            // push [rax]
        &[0x8f, 0x00],                            // pop [rax]
        &[0xf3, 0xa5],                            // rep movsd
        &[0xf3, 0x48, 0xab],                      // rep stosq
        &[0x67, 0xf3, 0xaa],                      // rep stosb by 32-bit addresses
        &[0xad],                                  // lodsd
        &[0x65, 0x8b, 0x04, 0x25, 0, 0, 0, 0],    // mov eax, gs:[0]
        &[0x66, 0x0f, 0x38, 0xf1, 0x08],          // movbe [rax], cx
        &[0xa1, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0],    // mov eax, [0xfee00000]
    ];
    const STRINGS: &[&[u8]] =
        &[&[0x6c], &[0x6e], &[0xf3, 0x6d], &[0xf3, 0x66, 0x6f], &[0x67, 0x6e], &[0xf3, 0x64, 0x6e]];
    const CONTROLS: &[&[u8]] =
        &[&[0x0f, 0x22, 0xe0], &[0x0f, 0x20, 0xe1], &[0x44, 0x0f, 0x22, 0xc0], &[0xf0, 0x0f, 0x22, 0xc0]];
    const STOPS: &[&[u8]] =
        &[&[0x0f, 0xa2], &[0xf4], &[0x0f, 0x32], &[0x0f, 0x30], &[0x0f, 0x01, 0xd9], &[0x66, 0x0f, 0xa2]];
    let mut inputs = Vec::new();
    for (operation, codes) in [(0, CODES), (6, STRINGS), (10, CONTROLS), (12, STOPS), (15, &CODES[..1])] {
        for code in codes {
            inputs.extend((0..7).map(|mode| plain(operation, mode, code)));
            // Across the end of RAM, of a page, of addresses.
            for value in [RAM_BYTES - 2, 0x9ffe, u64::MAX - 1, DEVICES[0] + 0xffe, 0xffff] {
                inputs.push(with_register(operation, 0, code, 7, value));
                inputs.push(with_register(operation, 0, code, 0, value));
            }
        }
    }
    inputs
}
