//! Virtual CPUs that take turns on two host CPUs: none finds what another left, nor what it left itself before it was elsewhere.

use std::collections::HashMap;

use godwit_guest::vcpu::VirtualCpu;
use proptest::prelude::*;

use super::{
    ALL,
    fake::{Entered, Guest},
    format, limits,
};
use crate::{
    svm::{
        capabilities::Capabilities,
        exit,
        intercepts::{CR4_READ, CR4_WRITE},
        vcpu::Block,
        vmcb::{Clean, TlbControl},
    },
    virtual_cpu::reset,
};

/// A processor's cached translations: by host CPU and number, whose they are, and of which of its tables.
#[derive(Default)]
struct Translations(HashMap<(u16, u32), (usize, u32)>);

impl Translations {
    /// An entry that the processor took. False where the guest would find what is not its own, or is old.
    fn enter(&mut self, cpu: u16, entered: &Entered, guest: (usize, u32)) -> bool {
        let control = entered.vmcb.control();
        let flush = control.tlb_control;
        if flush == TlbControl::FlushAll as u8 {
            self.0.retain(|&(there, _), _| there != cpu);
        } else if flush == TlbControl::FlushThis as u8 {
            self.0.remove(&(cpu, control.asid));
        }
        *self.0.entry((cpu, control.asid)).or_insert(guest) == guest
    }
}

proptest! {
    /// Guests take turns, move, change their tables, and are refused, at random; the processor caches everything for ever, and
    /// does not flush for an entry that it refuses.
    #[test]
    fn no_guest_uses_translations_of_another_or_of_its_past(
        steps in prop::collection::vec((0..5usize, 0..2u16, 0..8u8), 1..300),
        address_spaces in 2..6u32,
        flush_by_asid: bool,
    ) {
        let capabilities = Capabilities { address_spaces, flush_by_asid, ..ALL };
        let first = Guest::new(capabilities);
        let cpu = first.cpu.clone();
        let mut guests = vec![first];
        guests.extend((1..5).map(|_| Guest::on(&cpu, capabilities)));
        let mut past = [(None::<u16>, 0u32); 5];
        let mut cache = Translations::default();
        for (number, here, what) in steps {
            let (guest, (last, version)) = (&mut guests[number], &mut past[number]);
            cpu.0.lock().unwrap().cpu = here;
            // What a guest did elsewhere never reached the translations that it left here.
            *version += u32::from(last.is_some_and(|last| last != here));
            match what {
                0 => {
                    guest.vcpu.flush_tables();
                    *version += 1;
                }
                1 => {
                    let other = u64::from(guest.vcpu.read_msr(0x277) == Some(0));
                    assert_eq!(guest.vcpu.write_msr(0x277, other), Some(true));
                    *version += 1;
                }
                2 => {
                    guest.exit(u64::from(exit::INVALID));
                    *last = Some(here);
                    continue;
                }
                _ => {}
            }
            guest.run();
            *last = Some(here);
            let entered = guest.entered();
            let asid = entered.vmcb.control().asid;
            prop_assert!(asid > 0 && asid < address_spaces, "0 is the host's");
            prop_assert!(cache.enter(here, &entered, (number, *version)));
        }
    }
}

#[test]
fn a_flush_that_the_processor_refused_is_asked_for_again() {
    let mut first = Guest::new(ALL);
    first.exit(u64::from(exit::INVALID));
    assert_eq!(first.entered().vmcb.control().tlb_control, TlbControl::FlushAll as u8);
    let mut next = Guest::on(&first.cpu, ALL);
    next.run();
    assert_eq!(next.entered().vmcb.control().tlb_control, TlbControl::FlushAll as u8);
}

#[test]
fn a_virtual_cpu_that_comes_back_takes_nothing_for_granted() {
    let mut guest = Guest::new(ALL);
    let mut other = Guest::on(&guest.cpu, ALL);
    guest.run();
    let before = guest.entered().vmcb.control().asid;
    let mut go = |cpu: u16, tsc_ahead: u64| {
        {
            let mut state = guest.cpu.0.lock().unwrap();
            (state.cpu, state.tsc_ahead) = (cpu, tsc_ahead);
        }
        guest.run();
        let control = guest.entered().vmcb.control().clone();
        (control.clean, control.asid, control.tsc_offset.wrapping_sub(guest.vcpu.tsc_offset()))
    };
    let (clean, _, ahead) = go(1, 30);
    assert_eq!((clean, ahead), (Clean::empty(), 30), "on another CPU");
    let (clean, asid, ahead) = go(0, 4);
    assert_eq!((clean, ahead), (Clean::empty(), 4), "back again");
    assert_ne!(asid, before, "its old translations are not what it did elsewhere");
    let (clean, again, _) = go(0, 4);
    assert_eq!((clean, again), (Clean::all(), asid), "it stayed");
    // Another guest in between changes nothing: the processor knows blocks by their address.
    other.run();
    assert_eq!(go(0, 4), (Clean::all(), asid, 4));
}

#[test]
fn every_entry_brings_the_registers_that_the_block_does_not_hold() {
    let mut one = Guest::new(ALL);
    let mut state = one.vcpu.state();
    state.debug.addresses = [1, 2, 3, 4];
    state.control.xcr0 = 7;
    state.msrs.tsc_aux = 5;
    one.vcpu.set_state(&state).expect("a good state");
    let mut other = Guest::on(&one.cpu, ALL);
    for _ in 0..2 {
        one.run();
        let crossing = one.entered().crossing;
        assert_eq!((crossing.debug_addresses, crossing.xcr0, crossing.tsc_aux), ([1, 2, 3, 4], 7, 5));
        other.run();
        let crossing = other.entered().crossing;
        assert_eq!((crossing.debug_addresses, crossing.xcr0, crossing.tsc_aux), ([0; 4], 1, 0));
    }
}

/// A block as another guest left it.
fn used_block() -> Box<Block> {
    let mut block = Box::new(Block::new());
    let control = block.vmcb.control_mut(Clean::empty());
    control.clean = Clean::all();
    control.intercept_cr = CR4_READ | CR4_WRITE | 1;
    control.intercept_dr = u32::MAX;
    control.intercept_third = u32::MAX;
    control.event_injection = 0x8000_0320;
    control.interrupt_state = 1;
    control.lbr_virtualization = 1;
    control.exit_interrupt_info = 0x8000_0320;
    (control.tsc_offset, control.asid, control.nested_cr3) = (u64::MAX, 7, 0x666_0000);
    let save = block.vmcb.save_mut(Clean::empty());
    (save.lstar, save.kernel_gs_base, save.cr2, save.dr6, save.g_pat) = (1, 2, 3, 4, 5);
    let mut fpu = vec![0xa5; 2696];
    fpu[24..32].copy_from_slice(&[0x80, 0x1f, 0, 0, 0, 0, 0, 0]);
    fpu[512..576].fill(0);
    fpu[512..514].copy_from_slice(&0x2e7_u16.to_le_bytes());
    assert_eq!(format().check(&fpu), Ok(()));
    block.extended_state.set_bytes(&format(), &fpu);
    block
}

#[test]
fn nothing_is_left_in_a_block_that_another_guest_had() {
    let mut fresh = Guest::new(ALL);
    let mut reused = Guest::in_block(&fresh.cpu, ALL, used_block());
    assert_eq!(reused.vcpu.state(), fresh.vcpu.state());
    fresh.run();
    let expected = fresh.entered();
    fresh.cpu.0.lock().unwrap().cpu = 1;
    reused.run();
    let found = reused.entered();
    assert_eq!(format!("{:?}", found.vmcb), format!("{:?}", expected.vmcb));
    let full = format().components();
    assert_eq!(found.area.to_bytes(&format(), full), expected.area.to_bytes(&format(), full));
    assert!(found.area.to_bytes(&format(), full)[160..416].iter().all(|&byte| byte == 0), "XMM registers");
    let at_reset = reset::state(&format());
    assert_eq!(found.crossing.debug_addresses, at_reset.debug.addresses);
    assert_eq!(limits().check(&reused.vcpu.state(), &format()), Ok(()));
}
