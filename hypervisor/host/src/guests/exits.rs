//! What a guest stopped for, carried out.

use godwit_devices::{Board, Now};
use godwit_guest::{
    GuestAddress,
    cpu::{Activity, General},
    emulate::{self, Bus, Emulated},
    vcpu::{Event, Exit, NestedFault, Reason},
};

use super::{
    counters::Behind,
    guest::{End, Guest},
    instructions,
};
use crate::machine::Machine;

/// -KVM_ENOSYS (Linux `Documentation/virt/kvm/x86/hypercalls.rst`): the call is not offered.
const NO_SUCH_CALL: u64 = (-1000_i64) as u64;

/// What becomes of the guest.
pub(super) enum Next {
    /// It goes on.
    Run,
    /// It has come to an end.
    End(End),
}

/// What came of an instruction.
pub(super) enum Outcome {
    /// It is done: go on behind it.
    Done,
    /// It is done, and causes an event behind it.
    Trap(Event),
    /// It causes an event instead.
    Fault(Event),
    /// RIP is where it has to be already.
    Elsewhere,
}

/// Carries out what the guest stopped for.
pub(super) fn serve(machine: &dyn Machine, guest: &mut Guest, exit: &Exit) -> Next {
    let behind = behind(guest, &exit.reason);
    guest.exits.count(&exit.reason, behind);
    let outcome = match exit.reason {
        Reason::Host | Reason::InterruptWindow => Outcome::Elsewhere,
        Reason::Cpuid => {
            instructions::cpuid(guest);
            Outcome::Done
        }
        Reason::Halt => {
            guest.activity = Activity::Halted;
            Outcome::Done
        }
        Reason::Port { string: true, .. } => {
            let now = guest.clock.now(machine);
            let Guest { ram, board, vcpu, .. } = guest;
            let mut bus = BoardBus { board, now };
            let result = emulate::string_port(vcpu.as_mut(), &ram.door(machine.memory()), exit, &mut bus);
            return emulated(guest, result);
        }
        Reason::Port { port, bytes, input, .. } => {
            instructions::port(guest, guest.clock.now(machine), port, bytes, input);
            Outcome::Done
        }
        Reason::ReadMsr => instructions::read_msr(guest, guest.clock.now(machine)),
        Reason::WriteMsr => instructions::write_msr(machine, guest, guest.clock.now(machine)),
        Reason::NestedFault(fault) => {
            return match behind {
                Behind::Device => touch(machine, guest, exit, fault),
                // As on an empty bus: reads give all ones, writes go nowhere.
                Behind::Nothing if !fault.fetch => touch(machine, guest, exit, fault),
                Behind::Nothing => stuck(guest, "it executes where it has no memory", fault.address),
                // All of its RAM is mapped, readable, writable and executable, for as long as it is here.
                Behind::Ram => stuck(guest, "its RAM is not mapped: an error of this host", fault.address),
            };
        }
        Reason::Hypercall => {
            guest.vcpu.registers().set(General::Rax, NO_SUCH_CALL);
            Outcome::Done
        }
        Reason::WriteTaskPriority => {
            let Guest { ram, board, vcpu, .. } = guest;
            let written = emulate::written_task_priority(vcpu.as_mut(), &ram.door(machine.memory()), exit);
            match written {
                Ok(Some(priority)) => {
                    board.set_task_priority(priority);
                    Outcome::Done
                }
                Ok(None) => Outcome::Fault(Event::GENERAL_PROTECTION),
                Err(error) => return not_carried_out(guest, &error),
            }
        }
        Reason::SetExtendedControl => instructions::set_extended_control(guest),
        Reason::ReadCr4 | Reason::WriteCr4 => {
            let Guest { ram, vcpu, .. } = guest;
            let result = emulate::control_register(vcpu.as_mut(), &ram.door(machine.memory()), exit);
            return emulated(guest, result);
        }
        Reason::DebugTrap => Outcome::Trap(Event::DEBUG),
        Reason::CacheFlush | Reason::Pause => Outcome::Done,
        Reason::ReadTsc => instructions::read_tsc(guest, false),
        Reason::ReadTscp => instructions::read_tsc(guest, true),
        Reason::NotOffered => Outcome::Fault(Event::INVALID_OPCODE),
        Reason::Shutdown => return Next::End(End::TripleFault { rip: guest.vcpu.registers().rip }),
        Reason::Refused { detail } => return Next::End(End::Refused(detail)),
        Reason::Unexpected { code } => {
            return stuck(guest, "an exit that nothing was expected to cause", code);
        }
    };
    finish(machine, guest, exit, outcome)
}

fn finish(machine: &dyn Machine, guest: &mut Guest, exit: &Exit, outcome: Outcome) -> Next {
    match outcome {
        Outcome::Elsewhere => Next::Run,
        Outcome::Fault(event) => {
            guest.activity = Activity::Running;
            guest.vcpu.inject(event);
            Next::Run
        }
        Outcome::Done | Outcome::Trap(_) => {
            let Guest { ram, vcpu, known_code, .. } = guest;
            match known_code.next_rip(vcpu.as_mut(), &ram.door(machine.memory()), exit) {
                Ok(next_rip) => {
                    vcpu.advance_to(next_rip);
                    if let Outcome::Trap(event) = outcome {
                        vcpu.inject(event);
                    }
                    Next::Run
                }
                Err(error) => not_carried_out(guest, &error),
            }
        }
    }
}

/// Carries out a HLT that the host's interrupt came before, right behind the STI that holds interrupts off until it.
///
/// An emulator that forgets the shadow when the guest is entered again (QEMU 7.2 does) would let an interrupt in between the
/// two, and the guest would sleep over what it was woken for. A processor that remembers does what is done here.
pub(super) fn halt_in_shadow(machine: &dyn Machine, guest: &mut Guest) {
    const HLT: u8 = 0xf4;
    if !guest.vcpu.in_interrupt_shadow() {
        return;
    }
    let Guest { ram, vcpu, .. } = guest;
    let code = emulate::fetch(vcpu.as_mut(), &ram.door(machine.memory()));
    if code.0.first() == Some(&HLT) {
        let next_rip = vcpu.registers().rip.wrapping_add(1);
        vcpu.advance_to(next_rip);
        guest.activity = Activity::Halted;
    }
}

fn stuck(guest: &mut Guest, why: &'static str, detail: u64) -> Next {
    Next::End(End::Stuck { why, rip: guest.vcpu.registers().rip, detail })
}

/// What is at the address of a nested fault; nothing for other reasons.
fn behind(guest: &Guest, reason: &Reason) -> Behind {
    match reason {
        // A device comes before RAM.
        Reason::NestedFault(fault) if guest.board.has_mmio(fault.address) => Behind::Device,
        Reason::NestedFault(fault) if guest.ram.place(GuestAddress(fault.address)).is_some() => Behind::Ram,
        _ => Behind::Nothing,
    }
}

/// Carries out the instruction that touched a device register, or nothing.
fn touch(machine: &dyn Machine, guest: &mut Guest, exit: &Exit, fault: NestedFault) -> Next {
    let now = guest.clock.now(machine);
    let Guest { ram, board, vcpu, .. } = guest;
    let mut bus = BoardBus { board, now };
    let result = emulate::mmio(vcpu.as_mut(), &ram.door(machine.memory()), exit, &fault, &mut bus);
    emulated(guest, result)
}

/// The guest cannot go on; the log says all that is known.
fn not_carried_out(guest: &mut Guest, error: &emulate::EmulateError) -> Next {
    log::warn!("guest {}: {error}", guest.description.name);
    let rip = guest.vcpu.registers().rip;
    Next::End(End::Stuck {
        why: "an instruction that is not carried out here; the log names it",
        rip,
        detail: 0,
    })
}

fn emulated(guest: &mut Guest, result: Result<Emulated, emulate::EmulateError>) -> Next {
    match result {
        Ok(_) => Next::Run,
        Err(error) => not_carried_out(guest, &error),
    }
}

/// A guest's devices at one moment of its clocks.
struct BoardBus<'a> {
    board: &'a mut Board,
    now: Now,
}

impl Bus for BoardBus<'_> {
    fn read_port(&mut self, port: u16, bytes: u8) -> u32 {
        self.board.read_port(self.now, port, bytes)
    }

    fn write_port(&mut self, port: u16, bytes: u8, value: u32) {
        self.board.write_port(self.now, port, bytes, value);
    }

    fn has_mmio(&self, address: u64) -> bool {
        self.board.has_mmio(address)
    }

    fn read_mmio(&mut self, address: u64, bytes: u8) -> u64 {
        self.board.read_mmio(self.now, address, bytes)
    }

    fn write_mmio(&mut self, address: u64, bytes: u8, value: u64) {
        self.board.write_mmio(self.now, address, bytes, value);
    }
}
