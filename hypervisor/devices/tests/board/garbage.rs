//! Whatever a guest, a peer or a clock says, no call panics.

use godwit_devices::{Board, GuestTime, Now};
use godwit_guest::VcpuIndex;
use proptest::prelude::*;

use crate::drive::{CONFIG, Memory, Operation, drive, hosts, vcpus};

/// States of a board with four CPUs.
const STATES: usize = 13;

/// Any access to anything, with a liking for places where something is.
fn anything() -> impl Strategy<Value = Operation> {
    let port = prop_oneof![any::<u16>(), 0u16..0x100, 0x3f0u16..0x400, 0x600u16..0x610, 0xcf0u16..0xd00];
    let address = prop_oneof![
        any::<u64>(),
        (0u64..0x1000).prop_map(|offset| 0xfee0_0000 + offset),
        (0u64..0x100).prop_map(|number| 0xfee0_0000 + (number << 4)),
        prop::sample::select(&[0xfee0_0300u64, 0xfee0_0310, 0xfee0_00d0, 0xfee0_00f0][..]),
        (0u64..0x80).prop_map(|offset| 0xfec0_0000 + offset),
    ];
    let msr = prop_oneof![
        any::<u32>(),
        0x800u32..0x840,
        prop::sample::select(&[0x11u32, 0x12, 0x1b, 0x6e0, 0x4b56_4d00, 0x4b56_4d01][..]),
    ];
    let bytes = prop_oneof![9 => prop::sample::select(&[1u8, 2, 4, 8][..]), 1 => any::<u8>()];
    let value = prop_oneof![any::<u64>(), 0u64..0x100, Just(0xfee0_0d00), Just(0xfee0_0900), commands()];
    prop_oneof![
        (port.clone(), bytes.clone()).prop_map(|(port, bytes)| Operation::In(port, bytes)),
        (port, bytes.clone(), any::<u32>())
            .prop_map(|(port, bytes, value)| Operation::Out(port, bytes, value)),
        (address.clone(), bytes.clone()).prop_map(|(address, bytes)| Operation::Load(address, bytes)),
        (address, bytes, value.clone())
            .prop_map(|(address, bytes, value)| Operation::Store(address, bytes, value)),
        msr.clone().prop_map(Operation::ReadMsr),
        (msr, value).prop_map(|(msr, value)| Operation::WriteMsr(msr, value)),
        hosts(),
    ]
}

/// Messages of every kind, most of them to somebody.
fn commands() -> impl Strategy<Value = u64> + Clone {
    let mode = prop_oneof![3 => 0u64..8, 2 => Just(5u64), 2 => Just(6u64)];
    (any::<u8>(), mode, 0u64..4, 0u64..32, 0u64..6).prop_map(|(vector, mode, shorthand, flags, to)| {
        u64::from(vector) | mode << 8 | (flags & 0b11011) << 11 | shorthand << 18 | to << 32
    })
}

/// Any readings of clocks: forwards, backwards, at the ends of their ranges.
fn any_time() -> impl Strategy<Value = Now> {
    let reading = || prop_oneof![any::<u64>(), 0u64..1 << 40, Just(u64::MAX), Just(0)];
    (reading(), reading()).prop_map(|(time, tsc)| Now { time: GuestTime(time), tsc })
}

proptest! {
    #[test]
    fn no_access_at_any_time_panics(
        cpus in prop_oneof![3 => 1u8..5, 1 => any::<u8>()],
        tsc_hz in prop_oneof![any::<u64>(), Just(0)],
        wall_clock_start_s in any::<i64>(),
        memory_bytes in any::<u64>(),
        operations in prop::collection::vec((any_time(), vcpus(), anything()), 0..200),
    ) {
        let config = godwit_devices::BoardConfig { cpus, memory_bytes, tsc_hz, wall_clock_start_s };
        let memory = Memory::new();
        let mut board = Board::new(&config);
        for (now, vcpu, operation) in operations {
            drive(&mut board, now, vcpu, operation, &memory);
            board.set_tsc_hz(tsc_hz);
        }
        let now = Now::default();
        // Restoring brings a board up to date, which saving leaves alone.
        board.advance(now);
        let saved = board.save(now);
        let restored = Board::restore(&config, now, &saved).expect("every state it can reach can move");
        prop_assert_eq!(restored.save(now), saved);
    }

    #[test]
    fn no_saved_state_panics(
        device in 0..STATES,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        now in any_time(),
        operations in prop::collection::vec((any_time(), vcpus(), anything()), 0..50),
    ) {
        let mut saved = Board::new(&CONFIG).save(Now::default());
        for (at, byte) in changes {
            let bytes = &mut saved[device].bytes;
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(mut board) = Board::restore(&CONFIG, now, &saved) {
            let memory = Memory::new();
            for (now, vcpu, operation) in operations {
                drive(&mut board, now, vcpu, operation, &memory);
            }
        }
    }

    #[test]
    fn no_bytes_as_state_panic(device in 0..STATES, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut saved = Board::new(&CONFIG).save(Now::default());
        saved[device].bytes = bytes;
        if let Ok(board) = Board::restore(&CONFIG, Now::default(), &saved) {
            board.deadline(Now::default(), VcpuIndex::BOOT);
        }
    }
}
