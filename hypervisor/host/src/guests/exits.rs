//! What a guest stopped for, carried out.

use godwit_devices::{Board, Now};
use godwit_guest::{
    GuestAddress, VcpuIndex,
    cpu::{Activity, General},
    emulate::{self, Bus, Emulated},
    vcpu::{Event, Exit, NestedFault, Reason},
};

use super::{
    Guest,
    counters::Behind,
    instructions::{self, Access},
    life::End,
    paging::Mended,
    table::Scene,
    vcpu::Core,
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
pub(super) fn serve(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, core: &mut Core, exit: &Exit) -> Next {
    let machine = scene.machine;
    let behind = behind(scene, guest, index, &exit.reason);
    core.exits.count(&exit.reason, behind);
    let outcome = match exit.reason {
        Reason::Host | Reason::InterruptWindow => Outcome::Elsewhere,
        Reason::Cpuid => {
            instructions::cpuid(guest, index, core);
            Outcome::Done
        }
        Reason::Halt => {
            core.activity = Activity::Halted;
            Outcome::Done
        }
        Reason::Port { string: true, .. } => {
            let mut bus = BoardBus { scene, guest, index };
            let door = guest.ram.door(machine.memory());
            let result = emulate::string_port(core.cpu.as_mut(), &door, exit, &mut bus);
            return emulated(guest, core, result);
        }
        Reason::Port { port, bytes, input, .. } => {
            instructions::port(scene, guest, index, core, Access { port, bytes, input });
            Outcome::Done
        }
        Reason::ReadMsr => instructions::read_msr(scene, guest, index, core),
        Reason::WriteMsr => instructions::write_msr(scene, guest, index, core),
        Reason::NestedFault(fault) => {
            return match behind {
                Behind::Device => touch(scene, guest, index, core, exit, fault),
                // As on an empty bus: reads give all ones, writes go nowhere.
                Behind::Nothing if !fault.fetch => touch(scene, guest, index, core, exit, fault),
                Behind::Nothing => stuck(core, "it executes where it has no memory", fault.address),
                // All of its RAM is mapped, readable and executable, for as long as it is here; writable, too, where nothing is tracked.
                Behind::Ram => match guest.paging.mend(machine.memory(), fault, guest.ram.marks()) {
                    Mended::Opened => Next::Run,
                    Mended::Allowed => {
                        core.cpu.flush_tables();
                        Next::Run
                    }
                    Mended::No => stuck(core, "its RAM is not mapped: an error of this host", fault.address),
                },
            };
        }
        Reason::Hypercall => {
            core.cpu.registers().set(General::Rax, NO_SUCH_CALL);
            Outcome::Done
        }
        Reason::WriteTaskPriority => {
            let door = guest.ram.door(machine.memory());
            match emulate::written_task_priority(core.cpu.as_mut(), &door, exit) {
                Ok(Some(priority)) => {
                    guest.with_board(scene, Some(index), |board| board.set_task_priority(index, priority));
                    Outcome::Done
                }
                Ok(None) => Outcome::Fault(Event::GENERAL_PROTECTION),
                Err(error) => return not_carried_out(guest, core, &error),
            }
        }
        Reason::SetExtendedControl => instructions::set_extended_control(guest, core),
        Reason::ReadCr4 | Reason::WriteCr4 => {
            let door = guest.ram.door(machine.memory());
            let result = emulate::control_register(core.cpu.as_mut(), &door, exit);
            return emulated(guest, core, result);
        }
        Reason::DebugTrap => Outcome::Trap(Event::DEBUG),
        Reason::CacheFlush | Reason::Pause => Outcome::Done,
        Reason::ReadTsc => instructions::read_tsc(core, false),
        Reason::ReadTscp => instructions::read_tsc(core, true),
        Reason::NotOffered => Outcome::Fault(Event::INVALID_OPCODE),
        Reason::Shutdown => return Next::End(End::TripleFault { rip: core.cpu.registers().rip }),
        Reason::Refused { detail } => return Next::End(End::Refused(detail)),
        Reason::Unexpected { code } => {
            return stuck(core, "an exit that nothing was expected to cause", code);
        }
    };
    finish(machine, guest, core, exit, outcome)
}

fn finish(machine: &dyn Machine, guest: &Guest, core: &mut Core, exit: &Exit, outcome: Outcome) -> Next {
    match outcome {
        Outcome::Elsewhere => Next::Run,
        Outcome::Fault(event) => {
            core.activity = Activity::Running;
            core.cpu.inject(event);
            Next::Run
        }
        Outcome::Done | Outcome::Trap(_) => {
            let door = guest.ram.door(machine.memory());
            let Core { cpu, known_code, .. } = core;
            match known_code.next_rip(cpu.as_mut(), &door, exit) {
                Ok(next_rip) => {
                    cpu.advance_to(next_rip);
                    if let Outcome::Trap(event) = outcome {
                        cpu.inject(event);
                    }
                    Next::Run
                }
                Err(error) => not_carried_out(guest, core, &error),
            }
        }
    }
}

/// Carries out a HLT that the host's interrupt came before, right behind the STI that holds interrupts off until it.
///
/// An emulator that forgets the shadow when the guest is entered again (QEMU 7.2 does) would let an interrupt in between the
/// two, and the guest would sleep over what it was woken for. A processor that remembers does what is done here.
pub(super) fn halt_in_shadow(machine: &dyn Machine, guest: &Guest, core: &mut Core) {
    const HLT: u8 = 0xf4;
    if !core.cpu.in_interrupt_shadow() {
        return;
    }
    let code = emulate::fetch(core.cpu.as_mut(), &guest.ram.door(machine.memory()));
    if code.0.first() == Some(&HLT) {
        let next_rip = core.cpu.registers().rip.wrapping_add(1);
        core.cpu.advance_to(next_rip);
        core.activity = Activity::Halted;
    }
}

fn stuck(core: &mut Core, why: &'static str, detail: u64) -> Next {
    Next::End(End::Stuck { why, rip: core.cpu.registers().rip, detail })
}

/// What is at the address of a nested fault; nothing for other reasons.
fn behind(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, reason: &Reason) -> Behind {
    let has_mmio = |address| guest.with_board(scene, Some(index), |board| board.has_mmio(address));
    match reason {
        // A device comes before RAM.
        Reason::NestedFault(fault) if has_mmio(fault.address) => Behind::Device,
        Reason::NestedFault(fault) if guest.ram.place(GuestAddress(fault.address)).is_some() => Behind::Ram,
        _ => Behind::Nothing,
    }
}

/// Carries out the instruction that touched a device register, or nothing.
fn touch(
    scene: Scene<'_>,
    guest: &Guest,
    index: VcpuIndex,
    core: &mut Core,
    exit: &Exit,
    fault: NestedFault,
) -> Next {
    let mut bus = BoardBus { scene, guest, index };
    let door = guest.ram.door(scene.machine.memory());
    let result = emulate::mmio(core.cpu.as_mut(), &door, exit, &fault, &mut bus);
    emulated(guest, core, result)
}

/// The guest cannot go on; the log says all that is known.
fn not_carried_out(guest: &Guest, core: &mut Core, error: &emulate::EmulateError) -> Next {
    log::warn!("guest {}: {error}", guest.description.name);
    let rip = core.cpu.registers().rip;
    Next::End(End::Stuck {
        why: "an instruction that is not carried out here; the log names it",
        rip,
        detail: 0,
    })
}

fn emulated(guest: &Guest, core: &mut Core, result: Result<Emulated, emulate::EmulateError>) -> Next {
    match result {
        Ok(_) => Next::Run,
        Err(error) => not_carried_out(guest, core, &error),
    }
}

/// A guest's devices as one of its virtual CPUs sees them.
struct BoardBus<'a> {
    scene: Scene<'a>,
    guest: &'a Guest,
    index: VcpuIndex,
}

impl BoardBus<'_> {
    fn with<R>(&self, act: impl FnOnce(&mut Board, Now) -> R) -> R {
        self.guest.with_board(self.scene, Some(self.index), |board| {
            act(board, self.guest.clock.now(self.scene.machine))
        })
    }
}

impl Bus for BoardBus<'_> {
    fn read_port(&mut self, port: u16, bytes: u8) -> u32 {
        self.with(|board, now| board.read_port(now, port, bytes))
    }

    fn write_port(&mut self, port: u16, bytes: u8, value: u32) {
        self.with(|board, now| board.write_port(now, port, bytes, value));
    }

    fn has_mmio(&self, address: u64) -> bool {
        self.with(|board, _| board.has_mmio(address))
    }

    fn read_mmio(&mut self, address: u64, bytes: u8) -> u64 {
        self.with(|board, now| board.read_mmio(now, self.index, address, bytes))
    }

    fn write_mmio(&mut self, address: u64, bytes: u8, value: u64) {
        self.with(|board, now| board.write_mmio(now, self.index, address, bytes, value));
    }
}
