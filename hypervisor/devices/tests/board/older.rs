//! States of the version before, and states that do not fit the guest.

use godwit_devices::{Board, BoardConfig, DeviceId, GuestTime, Now, RestoreError, SavedDevice};
use godwit_guest::VcpuIndex;

use crate::drive::{CONFIG, Memory};

/// What a board of one CPU saved when local APIC and clock had version 1: the task priority is 0x30, 0x81 is in service and 0x25
/// requested, the timer is periodic and due at 2 ms.
const LOCAL_APIC_V1: [u8; 75] = [
    128, 146, 128, 247, 15, 0, 48, 128, 128, 128, 8, 255, 255, 255, 255, 15, 255, 3, 0, 0, 0, 0, 2, 0, 0, 0,
    0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 165, 128, 16, 236, 129, 8, 128, 128, 4, 128, 128,
    4, 128, 14, 128, 8, 128, 128, 4, 192, 132, 61, 11, 1, 128, 137, 122, 0, 0, 0, 0,
];
/// The time page is at 0x1000 and the wall clock at 0x2000; both were written at 1 ms.
const CLOCK_V1: [u8; 28] = [
    128, 238, 137, 171, 13, 129, 32, 128, 64, 4, 1, 160, 203, 152, 1, 192, 132, 61, 204, 153, 179, 230, 12,
    255, 1, 191, 185, 85,
];
/// When that was.
const THEN: Now = Now { time: GuestTime(1_400_000), tsc: 3_500_000 };
const ONE_CPU: BoardConfig = BoardConfig { cpus: 1, ..CONFIG };

/// The states of a board with one CPU, as the version before had them.
fn older() -> Vec<SavedDevice> {
    let mut saved = Board::new(&ONE_CPU).save(THEN);
    for state in &mut saved {
        let older: &[u8] = match state.device {
            DeviceId::LocalApic => &LOCAL_APIC_V1,
            DeviceId::ParavirtualClock => &CLOCK_V1,
            _ => continue,
        };
        *state = SavedDevice { device: state.device, version: 1, bytes: older.to_vec() };
    }
    saved
}

#[test]
fn states_of_the_version_before_are_the_first_cpus() {
    let boot = VcpuIndex::BOOT;
    let mut board = Board::restore(&ONE_CPU, THEN, &older()).expect("the version before is known");
    assert_eq!(board.task_priority(boot), 3);
    assert_eq!(board.held_back_class(boot), None, "what is in service holds it back as well");
    assert_eq!(board.take_start(boot), None);
    assert_eq!(board.deadline(THEN, boot), Some(GuestTime(2_000_000)));
    board.set_task_priority(boot, 0);
    board.write_mmio(THEN, boot, 0xfee0_00b0, 4, 0);
    assert_eq!(board.accept_interrupt(boot), Some(0x25));

    assert_eq!(board.read_msr(THEN, boot, 0x12), Some(Ok(0x1001)));
    assert_eq!(board.read_msr(THEN, boot, 0x11), Some(Ok(0x2000)));
    let memory = Memory::new();
    board.after_pause(THEN, &memory);
    let now = board.save(THEN);
    for device in [DeviceId::LocalApic, DeviceId::ParavirtualClock] {
        let versions: Vec<_> =
            now.iter().filter(|state| state.device == device).map(|state| state.version).collect();
        assert_eq!(versions, [2], "it leaves in this version");
    }
    let again = Board::restore(&ONE_CPU, THEN, &now).expect("it was saved");
    assert_eq!(again.save(THEN), now);
}

#[test]
fn older_states_are_checked_as_newer_ones() {
    for device in [DeviceId::LocalApic, DeviceId::ParavirtualClock] {
        let change = |change: &dyn Fn(&mut SavedDevice)| {
            let mut saved = older();
            change(saved.iter_mut().find(|state| state.device == device).expect("it is there"));
            Board::restore(&ONE_CPU, THEN, &saved).err()
        };
        for version in [0, 3, u16::MAX] {
            let wanted = RestoreError::Version { device, version };
            assert_eq!(change(&|state| state.version = version), Some(wanted));
        }
        assert_eq!(change(&|state| state.version = 2), Some(RestoreError::Malformed(device)));
        assert_eq!(change(&|state| state.bytes.push(0)), Some(RestoreError::Malformed(device)));
        assert_eq!(change(&|state| _ = state.bytes.pop()), Some(RestoreError::Malformed(device)));
    }
    let two = BoardConfig { cpus: 2, ..CONFIG };
    assert!(Board::restore(&two, THEN, &older()).is_err(), "it says nothing of the second CPU");
}

#[test]
fn states_fit_the_number_of_cpus() {
    let now = Now::default();
    for saved_cpus in [1u8, 2, 4, 16] {
        let saved = Board::new(&BoardConfig { cpus: saved_cpus, ..CONFIG }).save(now);
        for cpus in [1u8, 2, 3, 4, 15, 16] {
            let restored = Board::restore(&BoardConfig { cpus, ..CONFIG }, now, &saved);
            assert_eq!(restored.is_ok(), cpus == saved_cpus, "{saved_cpus} for {cpus}: {:?}", restored.err());
        }
    }
    // What is out of range counts as the nearest number, for both calls.
    for (cpus, like) in [(0, 1), (17, 16), (255, 16)] {
        let saved = Board::new(&BoardConfig { cpus, ..CONFIG }).save(now);
        assert_eq!(saved, Board::new(&BoardConfig { cpus: like, ..CONFIG }).save(now));
        assert!(Board::restore(&BoardConfig { cpus, ..CONFIG }, now, &saved).is_ok());
    }
}

/// The local APICs' states of a guest with three CPUs, changed and put back.
fn with_apics(change: &dyn Fn(&mut Vec<SavedDevice>)) -> Result<Board, RestoreError> {
    let config = BoardConfig { cpus: 3, ..CONFIG };
    let saved = Board::new(&config).save(Now::default());
    let (mut apics, mut others): (Vec<_>, Vec<_>) =
        saved.into_iter().partition(|state| state.device == DeviceId::LocalApic);
    change(&mut apics);
    others.extend(apics);
    Board::restore(&config, Now::default(), &others)
}

#[test]
fn each_cpu_is_there_once_in_whatever_order() {
    assert!(with_apics(&|apics| apics.reverse()).is_ok());
    let missing = RestoreError::Missing(DeviceId::LocalApic);
    let twice = RestoreError::Twice(DeviceId::LocalApic);
    assert_eq!(with_apics(&|apics| _ = apics.remove(1)).err(), Some(missing));
    assert_eq!(with_apics(&Vec::clear).err(), Some(missing));
    assert_eq!(with_apics(&|apics| apics[1] = apics[2].clone()).err(), Some(twice));
    // The number comes first in the layout.
    for number in [3, 16, 255] {
        let error = with_apics(&|apics| apics[2].bytes[0] = number).err();
        assert!(
            matches!(error, Some(RestoreError::Impossible { device: DeviceId::LocalApic, .. })),
            "{error:?}"
        );
    }
    // Only the first one booted: bit 8 of the base, in the second byte of the number behind the CPU's.
    for (index, bits) in [(0, 0x90), (2, 0x92)] {
        let error = with_apics(&|apics| apics[index].bytes[2] = bits).err();
        assert!(matches!(error, Some(RestoreError::Impossible { .. })), "{error:?}");
    }
    // A CPU's state is not another's: neither the id nor who booted would be right.
    for (one, other) in [(0, 1), (1, 2)] {
        let error = with_apics(&|apics| {
            apics[one].bytes[0] = other as u8;
            apics[other].bytes[0] = one as u8;
        });
        assert!(matches!(error, Err(RestoreError::Impossible { .. })), "{:?}", error.err());
    }
}

/// The last four fields: waits for start-up, INIT pending, start-up pending, took the last message of lowest priority.
#[test]
fn only_what_messages_lead_to_is_restored() {
    for (fields, possible) in [
        ([1u8, 0, 0, 0], true),
        ([0, 0, 0, 0], true),
        ([1, 1, 0, 0], true),
        ([0, 1, 0, 0], false),
        ([2, 0, 0, 0], false),
        ([1, 0, 0, 1], true),
    ] {
        let restored = with_apics(&|apics| {
            let from = apics[1].bytes.len() - 4;
            apics[1].bytes[from..].copy_from_slice(&fields);
        });
        assert_eq!(restored.is_ok(), possible, "{fields:?}: {:?}", restored.err());
    }
    for (fields, possible) in [([0u8, 0, 1, 9, 0], true), ([0, 1, 1, 9, 0], true), ([1, 0, 1, 9, 0], false)] {
        let restored = with_apics(&|apics| {
            let from = apics[1].bytes.len() - 4;
            apics[1].bytes.truncate(from);
            apics[1].bytes.extend_from_slice(&fields);
        });
        assert_eq!(restored.is_ok(), possible, "{fields:?}: {:?}", restored.err());
    }
    let two_took_the_last = with_apics(&|apics| {
        for state in apics.iter_mut().take(2) {
            *state.bytes.last_mut().expect("it has fields") = 1;
        }
    });
    assert!(matches!(two_took_the_last, Err(RestoreError::Impossible { .. })));
}
