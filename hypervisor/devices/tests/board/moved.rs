//! A board that was saved and restored answers everything as the board that stayed, device by device and all
//! together.

use godwit_devices::{Board, DeviceId, Now, RestoreError, SavedDevice};
use godwit_guest::VcpuIndex;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::drive::{CONFIG, CPUS, Memory, Operation, after, drive, hosts, ports, steps, vcpus};

type Steps = Vec<(u64, VcpuIndex, Operation)>;

fn run(board: &mut Board, now: &mut Now, steps: &Steps, memory: &Memory) -> Vec<crate::drive::Answer> {
    let mut answers = Vec::new();
    for (nanoseconds, vcpu, operation) in steps {
        *now = after(*now, *nanoseconds);
        answers.push(drive(board, *now, *vcpu, *operation, memory));
    }
    answers
}

/// Does `before`, moves, and does `then` on both boards.
fn moves(prepare: &[Operation], before: Steps, then: Steps) -> Result<(), TestCaseError> {
    let memory = Memory::new();
    let mut stayed = Board::new(&CONFIG);
    let mut now = Now::default();
    for operation in prepare {
        drive(&mut stayed, now, VcpuIndex::BOOT, *operation, &memory);
    }
    run(&mut stayed, &mut now, &before, &memory);

    // Restoring brings a board up to date, which saving leaves alone.
    stayed.advance(now);
    let saved = stayed.save(now);
    let mut moved = Board::restore(&CONFIG, now, &saved).expect("it was saved");
    prop_assert_eq!(differing(&moved.save(now), &saved), []);
    assert_eq!(moved.take_attention().count(), CPUS as u32, "all CPUs look once");
    stayed.take_attention();
    let moved_memory = memory.clone();
    let mut moved_now = now;
    let answers = run(&mut stayed, &mut now, &then, &memory);
    let moved_answers = run(&mut moved, &mut moved_now, &then, &moved_memory);
    for (step, (answer, moved)) in answers.iter().zip(&moved_answers).enumerate() {
        prop_assert_eq!(moved, answer, "step {}", step);
    }
    prop_assert_eq!(differing(&moved.save(now), &stayed.save(now)), []);
    prop_assert!(moved_memory == memory);
    Ok(())
}

/// The devices whose states differ.
fn differing(one: &[SavedDevice], other: &[SavedDevice]) -> Vec<DeviceId> {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).filter(|(one, other)| one != other).map(|(one, _)| one.device).collect()
}

fn steps_of(
    operation: impl Strategy<Value = Operation> + Clone,
) -> (impl Strategy<Value = Steps>, impl Strategy<Value = Steps>) {
    let step = (steps(), vcpus(), prop_oneof![4 => operation, 1 => hosts()]);
    (prop::collection::vec(step.clone(), 0..60), prop::collection::vec(step, 1..40))
}

/// Runs [`moves`] with operations of one device after `prepare`.
fn check(prepare: &[Operation], operation: impl Strategy<Value = Operation> + Clone) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    runner.run(&steps_of(operation), |(before, then)| moves(prepare, before, then)).unwrap();
}

/// Both 8259A as systems set them up, all interrupts open.
const OPEN_PIC: [Operation; 10] = [
    Operation::Out(0x20, 1, 0x11),
    Operation::Out(0x21, 1, 0x30),
    Operation::Out(0x21, 1, 0x04),
    Operation::Out(0x21, 1, 0x01),
    Operation::Out(0x21, 1, 0x00),
    Operation::Out(0xa0, 1, 0x11),
    Operation::Out(0xa1, 1, 0x38),
    Operation::Out(0xa1, 1, 0x02),
    Operation::Out(0xa1, 1, 0x01),
    Operation::Out(0xa1, 1, 0x00),
];

#[test]
fn the_serial_port_moves() {
    check(&OPEN_PIC, ports(&[0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff]));
}

#[test]
fn the_interrupt_controllers_of_the_isa_bus_move() {
    check(&OPEN_PIC, ports(&[0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x3f9, 0x3fc, 0x40, 0x43]));
}

#[test]
fn the_timer_moves() {
    check(&OPEN_PIC, ports(&[0x40, 0x41, 0x42, 0x43, 0x43, 0x61]));
}

#[test]
fn the_clock_moves() {
    // The index is aimed at the clock's registers: most values would only select memory.
    let select = (0u32..14).prop_map(|register| Operation::Out(0x70, 1, register));
    check(&OPEN_PIC, prop_oneof![select, ports(&[0x70, 0x71, 0x71, 0x71])]);
}

#[test]
fn power_management_and_reset_move() {
    check(&OPEN_PIC, ports(&[0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x608, 0xcf8, 0xcf9, 0xcfc, 0x64]));
}

/// Registers of the local APIC, with values that lead somewhere.
fn local_apic() -> impl Strategy<Value = Operation> + Clone {
    const PAGE: u64 = 0xfee0_0000;
    let register = (0u64..0x40).prop_map(|number| PAGE + (number << 4));
    let value = prop_oneof![any::<u32>(), any::<u8>().prop_map(u32::from), Just(0x2_0040), Just(0x4_0041)];
    let base = prop::sample::select(&[0xfee0_0900u64, 0xfee0_0d00, 0xfee0_0100, 0xfee0_0900][..]);
    prop_oneof![
        4 => (register.clone(), value.clone()).prop_map(|(at, value)| Operation::Store(at, 4, value.into())),
        2 => register.prop_map(|at| Operation::Load(at, 4)),
        2 => (value.clone()).prop_map(|value| Operation::Store(PAGE + 0x380, 4, value.into())),
        1 => (0x800u32..0x840, value).prop_map(|(msr, value)| Operation::WriteMsr(msr, value.into())),
        1 => (0x800u32..0x840).prop_map(Operation::ReadMsr),
        1 => (0u64..1 << 36).prop_map(|tsc| Operation::WriteMsr(0x6e0, tsc)),
        1 => base.prop_map(|base| Operation::WriteMsr(0x1b, base)),
        3 => commands().prop_map(|command| Operation::Store(PAGE + 0x300, 4, command)),
        1 => (0u64..5).prop_map(|to| Operation::Store(PAGE + 0x310, 4, to << 24)),
        1 => (commands(), 0u64..5).prop_map(|(command, to)| Operation::WriteMsr(0x830, to << 32 | command)),
        1 => (0u64..16).prop_map(|set| Operation::Store(PAGE + 0xd0, 4, set << 24)),
        1 => Just(Operation::Store(PAGE + 0xf0, 4, 0x1ff)),
    ]
}

/// Messages from CPU to CPU.
fn commands() -> impl Strategy<Value = u64> + Clone {
    let mode = prop::sample::select(&[0x000u64, 0x100, 0x400, 0x500, 0x600, 0xc500, 0x8500][..]);
    (0x10u64..0x100, mode, 0u64..4, any::<bool>()).prop_map(|(vector, mode, shorthand, logical)| {
        vector | mode | shorthand << 18 | u64::from(logical) << 11
    })
}

#[test]
fn the_local_apic_moves() {
    check(&OPEN_PIC, local_apic());
}

/// Entries of the IO-APIC, with devices that pull on its pins.
fn io_apic() -> impl Strategy<Value = Operation> + Clone {
    const PAGE: u64 = 0xfec0_0000;
    prop_oneof![
        4 => (0u64..0x42).prop_map(|register| Operation::Store(PAGE, 4, register)),
        4 => any::<u32>().prop_map(|value| Operation::Store(PAGE + 0x10, 4, value.into())),
        2 => (0x20u64..0xf0).prop_map(|vector| Operation::Store(PAGE + 0x10, 4, vector | 0x8000)),
        2 => Just(Operation::Load(PAGE + 0x10, 4)),
        1 => any::<u8>().prop_map(|vector| Operation::Store(PAGE + 0x40, 4, vector.into())),
        1 => Just(Operation::Store(0xfee0_00b0, 4, 0)),
        2 => ports(&[0x3f9, 0x3fc, 0x3fa, 0x602, 0x40, 0x43]),
    ]
}

#[test]
fn the_io_apic_moves() {
    check(&[], io_apic());
}

#[test]
fn the_paravirtual_clock_moves() {
    let msr = prop::sample::select(&[0x11u32, 0x12, 0x4b56_4d00, 0x4b56_4d01][..]);
    let value = prop_oneof![0u64..0x1_0010, any::<u64>()];
    let write = (msr.clone(), value).prop_map(|(msr, value)| Operation::WriteMsr(msr, value));
    check(&[], prop_oneof![write, msr.prop_map(Operation::ReadMsr), Just(Operation::AfterPause)]);
}

#[test]
fn everything_moves_together() {
    let all = prop_oneof![
        ports(&[0x20, 0x21, 0xa0, 0xa1, 0x40, 0x43, 0x61, 0x70, 0x71, 0x3f8, 0x3f9, 0x3fa, 0x3fc, 0x602]),
        local_apic(),
        io_apic(),
    ];
    check(&OPEN_PIC, all);
}

#[test]
fn states_that_are_not_all_there_are_refused() {
    let now = Now::default();
    let saved = Board::new(&CONFIG).save(now);
    for left_out in 0..saved.len() {
        let mut without = saved.clone();
        let device = without.remove(left_out).device;
        assert_eq!(Board::restore(&CONFIG, now, &without).err(), Some(RestoreError::Missing(device)));

        let mut twice = saved.clone();
        twice.push(saved[left_out].clone());
        assert_eq!(Board::restore(&CONFIG, now, &twice).err(), Some(RestoreError::Twice(device)));

        let mut newer = saved.clone();
        newer[left_out].version = 3;
        let wanted = RestoreError::Version { device, version: 3 };
        assert_eq!(Board::restore(&CONFIG, now, &newer).err(), Some(wanted));

        for bytes in 0..saved[left_out].bytes.len() {
            let mut cut = saved.clone();
            cut[left_out].bytes.truncate(bytes);
            assert_eq!(Board::restore(&CONFIG, now, &cut).err(), Some(RestoreError::Malformed(device)));
        }
        let mut longer = saved.clone();
        longer[left_out].bytes.push(0);
        assert_eq!(Board::restore(&CONFIG, now, &longer).err(), Some(RestoreError::Malformed(device)));
    }
}

#[test]
fn device_numbers_are_part_of_the_format() {
    for (number, device) in [
        (1, DeviceId::Serial),
        (2, DeviceId::Pic),
        (3, DeviceId::Pit),
        (4, DeviceId::LocalApic),
        (5, DeviceId::IoApic),
        (6, DeviceId::Rtc),
        (7, DeviceId::PowerManagement),
        (8, DeviceId::ParavirtualClock),
        (9, DeviceId::Reset),
        (10, DeviceId::PciConfiguration),
    ] {
        assert_eq!((u16::from(device), DeviceId::try_from(number)), (number, Ok(device)));
        let saved = SavedDevice { device, version: 1, bytes: vec![7] };
        let sent = postcard::to_allocvec(&saved).unwrap();
        assert_eq!(sent, [number as u8, 1, 1, 7]);
        assert_eq!(postcard::from_bytes(&sent), Ok(saved));
    }
    assert!(postcard::from_bytes::<SavedDevice>(&[11, 1, 0]).is_err());
}
