//! Faults that an emulated instruction raises, and what it leaves alone then.

use godwit_guest::{
    cpu::{Attributes, General::*},
    emulate::{EmulateError, Emulated},
    vcpu::{Event, NestedFault, Reason},
};

use crate::fake::{CODE, DEVICE, Devices, FAULT, FakeCpu, Memory, emulate, exit};

const GENERAL_PROTECTION: Event = Event::Exception { vector: 13, error_code: Some(0) };
const STACK: Event = Event::Exception { vector: 12, error_code: Some(0) };

/// Emulates `code`, which must fault and change nothing; answers the event and CR2.
fn faulting(mut cpu: FakeCpu, memory: &Memory, code: &[u8]) -> (Event, Option<u64>) {
    let before = cpu.registers;
    let mut devices = Devices::default();
    let ended = emulate(&mut cpu, memory, &mut devices, code).unwrap();
    let Emulated::Faulted(fault) = ended else { panic!("{code:02x?} ended with {ended:?}") };
    assert_eq!((Some(fault.event), fault.cr2), (cpu.pending, cpu.cr2));
    assert_eq!(cpu.registers, before);
    assert_eq!(devices.asked, []);
    (fault.event, fault.cr2)
}

#[test]
fn page_faults_say_where_and_why() {
    let page_fault = |error_code| Event::Exception { vector: 14, error_code: Some(error_code) };
    let memory = Memory::identity();
    memory.put(Memory::entry_of(0x9000), &0x9065u64.to_le_bytes());
    memory.put(Memory::entry_of(0xa000), &0xa063u64.to_le_bytes());
    memory.put(Memory::entry_of(0xb000), &[0; 8]);
    let at = |address| FakeCpu::long().with(Rbx, address);
    let user = |address| {
        let mut cpu = at(address);
        cpu.system.segments.ss.attributes.insert(Attributes::DPL);
        cpu
    };
    let (read, write) = (&[0x8b, 0x03][..], &[0x89, 0x03][..]);
    assert_eq!(faulting(at(0x9ff8), &memory, write), (page_fault(3), Some(0x9ff8)));
    assert_eq!(faulting(at(0xb010), &memory, read), (page_fault(0), Some(0xb010)));
    assert_eq!(faulting(user(0xa010), &memory, read), (page_fault(5), Some(0xa010)));
    assert_eq!(faulting(user(0x9010), &memory, write), (page_fault(7), Some(0x9010)));
    // An operand across two pages: CR2 is the first byte that is refused.
    assert_eq!(faulting(at(0xaffe), &memory, read), (page_fault(0), Some(0xb000)));
    // CMP only reads, so a read-only page will do.
    let ended = emulate(&mut at(0x9010), &memory, &mut Devices::default(), &[0x39, 0x03]);
    assert_eq!(ended, Ok(Emulated::Done));
    // So does the supervisor with CR0.WP clear.
    let mut cpu = at(0x9010);
    cpu.system.control.cr0 &= !(1 << 16);
    assert_eq!(emulate(&mut cpu, &memory, &mut Devices::default(), write), Ok(Emulated::Done));
}

#[test]
fn the_second_operand_faults_before_the_device_is_read() {
    let memory = Memory::identity();
    memory.put(Memory::entry_of(0xb000), &[0; 8]);
    // movsd, from a device to a page that is not there
    let cpu = FakeCpu::long().with(Rsi, DEVICE).with(Rdi, 0xb000);
    assert_eq!(faulting(cpu, &memory, &[0xa5]).1, Some(0xb000));
    // pop [rbx], where the target is not there
    let cpu = FakeCpu::long().with(Rsp, DEVICE).with(Rbx, 0xb000);
    assert_eq!(faulting(cpu, &memory, &[0x8f, 0x03]).1, Some(0xb000));
}

#[test]
fn segments_have_limits_and_types() {
    let memory = Memory::identity();
    let limited = |limit, attributes| {
        let mut cpu = FakeCpu::protected().with(Rbx, 0x1000).with(Rbp, 0x1000);
        for segment in [&mut cpu.system.segments.ds, &mut cpu.system.segments.ss] {
            segment.limit = limit;
            segment.attributes = Attributes::from_bits_retain(attributes);
        }
        cpu
    };
    let (ds, ss, write) = (&[0x8b, 0x03][..], &[0x8b, 0x45, 0][..], &[0x89, 0x03][..]);
    assert_eq!(faulting(limited(0x1002, 0xc93), &memory, ds).0, GENERAL_PROTECTION);
    assert_eq!(faulting(limited(0x1002, 0xc93), &memory, ss).0, STACK);
    // Expand-down: what lies below the limit is outside.
    assert_eq!(faulting(limited(0x1000, 0xc97), &memory, ds).0, GENERAL_PROTECTION);
    // Read-only data, execute-only code, and a segment that is not there.
    assert_eq!(faulting(limited(0xffff, 0xc91), &memory, write).0, GENERAL_PROTECTION);
    assert_eq!(faulting(limited(0xffff, 0xc99), &memory, ds).0, GENERAL_PROTECTION);
    assert_eq!(faulting(limited(0xffff, 0), &memory, ds).0, GENERAL_PROTECTION);
    for (limit, attributes, code) in [(0x1003, 0xc93, ds), (0xfff, 0xc97, ds), (0x1003, 0xc91, ss)] {
        let mut devices = Devices::default();
        let ended = emulate(&mut limited(limit, attributes), &memory, &mut devices, code);
        assert_eq!(ended, Ok(Emulated::Done), "{limit:#x} {attributes:#x}");
    }
}

#[test]
fn long_mode_refuses_what_is_not_canonical() {
    let memory = Memory::identity();
    let cpu = || FakeCpu::long().with(Rbx, 0x8000_0000_0000).with(Rbp, 0x8000_0000_0000);
    assert_eq!(faulting(cpu(), &memory, &[0x8b, 0x03]).0, GENERAL_PROTECTION);
    assert_eq!(faulting(cpu(), &memory, &[0x8b, 0x45, 0]).0, STACK);
    // The last byte counts too.
    let cpu = FakeCpu::long().with(Rbx, 0x7fff_ffff_fffd);
    assert_eq!(faulting(cpu, &memory, &[0x8b, 0x03]).0, GENERAL_PROTECTION);
}

#[test]
fn an_instruction_that_cannot_be_fetched_faults() {
    let memory = Memory::identity();
    memory.put(Memory::entry_of(CODE), &[0; 8]);
    let event = Event::Exception { vector: 14, error_code: Some(0) };
    assert_eq!(faulting(FakeCpu::long(), &memory, &[0x8b, 0x03]), (event, Some(CODE)));
}

#[test]
fn what_no_instruction_did_stops_the_guest() {
    let (memory, mut devices) = (Memory::identity(), Devices::default());
    let mut mmio = |cpu: &mut FakeCpu, fault: NestedFault| {
        memory.put(CODE, &[0x8b, 0x03]);
        let exit = exit(Reason::NestedFault(fault));
        godwit_guest::emulate::mmio(cpu, &memory, &exit, &fault, &mut devices).unwrap_err()
    };
    let address = DEVICE;
    let mut delivering = FakeCpu::long();
    delivering.pending = Some(Event::Nmi);
    assert_eq!(mmio(&mut delivering, FAULT), EmulateError::DuringDelivery { address });
    let fault = NestedFault { in_walk: true, ..FAULT };
    assert_eq!(mmio(&mut FakeCpu::long(), fault), EmulateError::TablesOutsideRam { address });
    let fault = NestedFault { fetch: true, write: false, ..FAULT };
    assert_eq!(mmio(&mut FakeCpu::long(), fault), EmulateError::CodeOutsideRam { address });
}
