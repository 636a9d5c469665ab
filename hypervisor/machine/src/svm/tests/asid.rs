//! Address spaces never show one guest's translations to another, nor old ones to the same.

use std::collections::HashMap;

use godwit_host::machine::CpuNumber;
use proptest::prelude::*;

use crate::svm::{
    asid::{AddressSpaces, Residence},
    vmcb::TlbControl,
};

const HERE: CpuNumber = CpuNumber(0);
const ELSEWHERE: CpuNumber = CpuNumber(1);

#[test]
fn the_first_entry_flushes_everything() {
    let first = AddressSpaces::new(16).assign(None, HERE, true, true);
    assert_eq!(first.tlb_control, TlbControl::FlushAll);
    assert_eq!(first.residence, Residence { cpu: HERE, generation: 1, asid: 1 });
}

#[test]
fn a_guest_that_stays_keeps_its_space_and_its_translations() {
    let mut spaces = AddressSpaces::new(16);
    let first = spaces.assign(None, HERE, true, false);
    let next = spaces.assign(Some(first.residence), HERE, false, false);
    assert_eq!((next.residence, next.tlb_control), (first.residence, TlbControl::Keep));
}

#[test]
fn stale_translations_are_flushed_alone_or_left_behind() {
    let mut spaces = AddressSpaces::new(16);
    let first = spaces.assign(None, HERE, true, true).residence;
    let flushed = spaces.assign(Some(first), HERE, true, true);
    assert_eq!((flushed.residence, flushed.tlb_control), (first, TlbControl::FlushThis));
    let renamed = spaces.assign(Some(first), HERE, true, false);
    assert_eq!(renamed.tlb_control, TlbControl::Keep);
    assert_ne!(renamed.residence.asid, first.asid);
}

#[test]
fn a_guest_from_another_cpu_gets_a_new_space() {
    let mut spaces = AddressSpaces::new(16);
    let first = spaces.assign(None, HERE, true, true).residence;
    let away = Residence { cpu: ELSEWHERE, ..first };
    assert_ne!(spaces.assign(Some(away), HERE, false, true).residence.asid, first.asid);
}

/// A processor's cache of translations: by number, whose they are and of which tables.
#[derive(Default)]
struct Cache(HashMap<u32, (usize, u32)>);

impl Cache {
    /// Enters guest `guest` with the tables that it has now; false where it would find anything else cached.
    fn enter(&mut self, asid: u32, flush: TlbControl, guest: (usize, u32)) -> bool {
        match flush {
            TlbControl::Keep => {}
            TlbControl::FlushAll => self.0.clear(),
            TlbControl::FlushThis => {
                self.0.remove(&asid);
            }
        }
        *self.0.entry(asid).or_insert(guest) == guest
    }
}

proptest! {
    /// Guests move between two CPUs and change their tables at random; the model caches everything for ever.
    #[test]
    fn nobody_finds_what_is_not_theirs(
        steps in prop::collection::vec((0..5usize, 0..2u16, any::<bool>()), 1..400),
        count in 2..6u32,
        flush_by_asid: bool,
    ) {
        let mut spaces = [AddressSpaces::new(count), AddressSpaces::new(count)];
        let mut caches = [Cache::default(), Cache::default()];
        // What firmware left.
        caches[0].0.insert(1, (99, 0));
        let mut guests = [(None::<Residence>, 0u32); 5];
        for (guest, cpu, changed) in steps {
            let (last, version) = &mut guests[guest];
            // What a guest did on another CPU is as a change of its tables: its translations here are old.
            let moved = last.is_some_and(|last| last.cpu.0 != cpu);
            *version += u32::from(changed || moved);
            let assigned = spaces[usize::from(cpu)].assign(*last, CpuNumber(cpu), changed, flush_by_asid);
            let asid = assigned.residence.asid;
            prop_assert!(asid > 0 && asid < count, "0 is the host's");
            prop_assert!(caches[usize::from(cpu)].enter(asid, assigned.tlb_control, (guest, *version)));
            *last = Some(assigned.residence);
        }
    }
}
