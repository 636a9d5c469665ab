use core::cell::RefCell;

use godwit_guest::{GuestAddress, GuestMemory, NotRam, VcpuIndex};
use proptest::prelude::*;

use super::page::Scale;
use super::{ENABLED, NANOSECONDS_PER_SECOND, ParavirtualClock};
use crate::refused::Refused;
use crate::time::{GuestTime, Now};

const BOOT: VcpuIndex = VcpuIndex::BOOT;

/// 8 KiB that note the versions that were visible.
struct Memory {
    bytes: RefCell<Vec<u8>>,
    versions: RefCell<Vec<u32>>,
}

impl Memory {
    fn new() -> Self {
        Self { bytes: RefCell::new(vec![0; 8192]), versions: RefCell::default() }
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes.borrow()[at..at + 4].try_into().unwrap())
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes.borrow()[at..at + 8].try_into().unwrap())
    }

    /// What a guest computes from the page at `at`, as the interface's documentation says.
    fn guest_time(&self, at: usize, tsc: u64) -> u64 {
        assert_eq!(self.u32(at) % 2, 0, "the page is being written");
        let ticks = tsc - self.u64(at + 8);
        let shift = self.bytes.borrow()[at + 28] as i8;
        let ticks = if shift < 0 { ticks >> -shift } else { ticks << shift };
        let multiplier = self.u32(at + 24);
        self.u64(at + 16) + ((u128::from(ticks) * u128::from(multiplier)) >> 32) as u64
    }

    fn flags(&self, at: usize) -> u8 {
        self.bytes.borrow()[at + 29]
    }
}

impl GuestMemory for Memory {
    fn read(&self, at: GuestAddress, out: &mut [u8]) -> Result<(), NotRam> {
        let bytes = self.bytes.borrow();
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        out.copy_from_slice(bytes.get(from..).and_then(|rest| rest.get(..out.len())).ok_or(NotRam { at })?);
        Ok(())
    }

    fn write(&self, at: GuestAddress, new: &[u8]) -> Result<(), NotRam> {
        let mut bytes = self.bytes.borrow_mut();
        let from = usize::try_from(at.0).map_err(|_| NotRam { at })?;
        let to = bytes.get_mut(from..).and_then(|rest| rest.get_mut(..new.len())).ok_or(NotRam { at })?;
        to.copy_from_slice(new);
        if let Ok(version) = new.try_into() {
            self.versions.borrow_mut().push(u32::from_le_bytes(version));
        }
        Ok(())
    }
}

fn now(nanoseconds: u64, tsc: u64) -> Now {
    Now { time: GuestTime(nanoseconds), tsc }
}

#[test]
fn a_tsc_that_the_guest_writes_leaves_the_time_as_it_is() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 0, 1_000_000_000);
    // Without a page there is nothing to tell.
    assert_eq!(clock.after_tsc_write(now(10, 10), now(10, 1 << 40), &memory), 0);
    clock.set_system_time_msr(now(1_000, 1_000), BOOT, 0x40 | ENABLED, &memory).unwrap();
    for tsc in [1 << 50, 7] {
        let before = memory.u64(0x48) + 500;
        let told = memory.guest_time(0x40, before);
        assert_eq!(clock.after_tsc_write(now(1_400, before), now(1_400, tsc), &memory), 0);
        // What the guest has read does not come again, and no more than that is promised.
        let next = memory.guest_time(0x40, tsc);
        assert!((told..=told + 1).contains(&next), "{told} ns, then {next} ns");
        assert_eq!(memory.flags(0x40), 1, "it was not stopped");
    }
    clock.set_system_time_msr(now(1_400, 507), BOOT, 0, &memory).unwrap();
    clock.set_system_time_msr(now(1_500, 607), BOOT, 0x40 | ENABLED, &memory).unwrap();
    assert!(memory.guest_time(0x40, 607) < 10_000);
}

#[test]
fn the_page_tells_the_guests_time() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 0, 2_500_000_000);
    clock.set_system_time_msr(now(1_000, 10_000), BOOT, 0x40 | ENABLED, &memory).unwrap();
    assert_eq!(memory.guest_time(0x40, 10_000), 1_000);
    let later = memory.guest_time(0x40, 10_000 + 2_500_000_000);
    assert!((1_000_000_999..=1_000_001_000).contains(&later), "{later}");
    assert_eq!(memory.flags(0x40), 0x01, "the TSC is stable");
    assert_eq!(*memory.versions.borrow(), [1, 2], "odd while it is written");
}

#[test]
fn the_wall_clock_is_that_of_the_start() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 1_700_000_000, 1);
    clock.set_wall_clock_msr(0x80, &memory).unwrap();
    assert_eq!((memory.u32(0x80) % 2, memory.u32(0x84), memory.u32(0x88)), (0, 1_700_000_000, 0));
    assert_eq!(clock.wall_clock_msr(), 0x80);
}

#[test]
fn addresses_without_memory_are_refused() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 0, 1_000_000);
    for address in [8192, 8190, 0x42, !3, 1 << 63] {
        let enabled = address | ENABLED;
        assert_eq!(
            clock.set_system_time_msr(now(0, 0), BOOT, enabled, &memory),
            Err(Refused),
            "{address:#x}"
        );
        assert_eq!(clock.set_wall_clock_msr(address, &memory), Err(Refused), "{address:#x}");
    }
    assert_eq!((clock.system_time_msr(BOOT), clock.wall_clock_msr()), (0, 0));
    assert_eq!(clock.after_pause(now(5, 5), &memory), 0, "there is no page to write");
}

#[test]
fn a_pause_is_told_and_time_stepped_forward() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 0, 1_000_000_000);
    clock.set_system_time_msr(now(0, 0), BOOT, 0x40 | ENABLED, &memory).unwrap();
    assert_eq!(clock.after_pause(now(9_000_000_000, 5_000_000), &memory), 0);
    assert_eq!(memory.flags(0x40), 0x03, "stable, and the guest was stopped");
    assert_eq!(memory.guest_time(0x40, 5_000_000), 9_000_000_000);
}

#[test]
fn a_page_that_is_switched_off_still_binds_the_next() {
    let memory = Memory::new();
    let mut clock = ParavirtualClock::new(1, 0, 1_000_000_000);
    clock.set_system_time_msr(now(1_000_000, 0), BOOT, 0x40 | ENABLED, &memory).unwrap();
    clock.set_system_time_msr(now(1_000_500, 700), BOOT, 0, &memory).unwrap();
    clock.set_system_time_msr(now(1_000_600, 800), BOOT, 0x80 | ENABLED, &memory).unwrap();
    assert!(memory.guest_time(0x80, 800) >= 1_000_700 - 1);
}

proptest! {
    #[test]
    fn time_never_goes_back(
        steps in prop::collection::vec((0u64..1 << 40, 0u64..1 << 40, 1_000_000u64..1 << 36, any::<bool>()), 1..20),
    ) {
        let memory = Memory::new();
        let mut clock = ParavirtualClock::new(1, 0, 1_000_000_000);
        clock.set_system_time_msr(now(0, 0), BOOT, ENABLED, &memory).unwrap();
        let (mut time, mut tsc, mut seen) = (0u64, 0u64, 0);
        for (step_ns, step_ticks, hz, moved) in steps {
            time += step_ns;
            tsc += step_ticks;
            let before = memory.guest_time(0, tsc);
            prop_assert!(before >= seen);
            if moved {
                let saved = clock.save(now(time, tsc));
                clock = ParavirtualClock::restore(&saved, 1, hz).expect("it was saved");
            } else {
                clock.set_tsc_hz(hz);
            }
            prop_assert_eq!(clock.after_pause(now(time, tsc), &memory), 0);
            seen = memory.guest_time(0, tsc);
            prop_assert!(seen >= before && seen >= time);
        }
    }

    #[test]
    fn scales_use_all_bits_and_miss_by_less_than_a_billionth(hz in prop_oneof![1u64..100, 1u64 << 20..1 << 40, any::<u64>()]) {
        let scale = Scale::new(hz);
        prop_assert!(scale.multiplier >= 1 << 31);
        let ns_of_2_64_ticks = (f64::from(scale.multiplier)) * f64::from(scale.shift).exp2();
        let wanted = NANOSECONDS_PER_SECOND as f64 * 4_294_967_296.0 / (hz.max(1) as f64);
        prop_assert!((ns_of_2_64_ticks / wanted - 1.0).abs() < 1e-9, "{scale:?}");
    }
}
