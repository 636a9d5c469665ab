//! One CPU runs its guest for a while.

use godwit_guest::{
    cpu::Activity,
    vcpu::{Event, Reason, Window},
};

use super::{
    GuestTable,
    counters::Behind,
    exits::{self, Next},
    guest::{End, Guest, RunState},
    slots::Slot,
};
use crate::machine::{CpuNumber, Instant, Machine};

/// Exits after which the CPU looks at its mail, however busy the guest is.
const EXITS_PER_SLICE: u32 = 64;

/// What the CPU's loop does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// Another slice at once.
    None,
    /// Nothing to run until something happens, at the latest at this time.
    Until(Option<Instant>),
}

/// Runs guests on one CPU.
#[derive(Debug, Default)]
pub struct Runner {
    /// What the CPU's timer is set to.
    armed: Option<Instant>,
}

impl Runner {
    /// Runs the guest of `cpu`, which is the one that calls, until something else needs the CPU, at the latest until `until`.
    pub fn slice(
        &mut self,
        machine: &dyn Machine,
        table: &GuestTable,
        cpu: CpuNumber,
        until: Option<Instant>,
    ) -> Rest {
        let Some((slot, mut guard)) = table.own(cpu) else { return Rest::Until(None) };
        let Some(guest) = guard.as_deref_mut() else { return Rest::Until(None) };
        if slot.take_new() {
            machine.forget_last_guest();
        }
        let was_running = guest.state == RunState::Running;
        let mut rest = self.run(machine, slot, guest, until);
        if move_output(guest, slot, machine) {
            // With room in it again, the serial port may have an interrupt for a guest that waits.
            rest = Rest::None;
        }
        if was_running && matches!(guest.state, RunState::Ended(_)) {
            slot.notify(machine);
        }
        drop(guard);
        if rest != Rest::None && self.armed.take().is_some() {
            machine.set_timer(None);
        }
        rest
    }

    fn run(&mut self, machine: &dyn Machine, slot: &Slot, guest: &mut Guest, until: Option<Instant>) -> Rest {
        // Whether the devices may have something for the CPU. After an exit that was none of their business they have not:
        // when their next time comes, the CPU's timer ends the run, and what is typed waits for the next slice.
        let mut look = true;
        for _ in 0..EXITS_PER_SLICE {
            if guest.state != RunState::Running {
                return Rest::Until(None);
            }
            if slot.is_wanted() {
                return Rest::None;
            }
            if look {
                let deadline = serve_devices(machine, slot, guest);
                if guest.activity == Activity::Halted {
                    return Rest::Until(deadline);
                }
                self.arm(machine, deadline.into_iter().chain(until).min());
            }
            let exit = guest.vcpu.run(guest.tables.root());
            if exit.reason == Reason::Host {
                guest.exits.count(&exit.reason, Behind::Nothing);
                take_task_priority(guest);
                exits::halt_in_shadow(machine, guest);
                // It may have been the timer, which is then no longer set.
                self.armed = None;
                return Rest::None;
            }
            look = concerns_devices(&exit.reason);
            if look {
                take_task_priority(guest);
            }
            let next = exits::serve(machine, guest, &exit);
            if look && guest.vcpu.task_priority() != guest.board.task_priority() {
                // The guest wrote to the local APIC.
                guest.vcpu.set_task_priority(guest.board.task_priority());
            }
            if let Next::End(end) = next {
                say_end(guest, end);
                guest.state = RunState::Ended(end);
                return Rest::Until(None);
            }
            if look && let Some(request) = guest.board.take_request() {
                let end = match request {
                    godwit_devices::PowerRequest::PowerOff => End::PoweredOff,
                    godwit_devices::PowerRequest::Reset => End::Reset,
                };
                guest.state = RunState::Ended(end);
            }
        }
        Rest::None
    }

    fn arm(&mut self, machine: &dyn Machine, deadline: Option<Instant>) {
        if self.armed != deadline {
            machine.set_timer(deadline);
            self.armed = deadline;
        }
    }
}

/// Brings the devices up to now and delivers what they have for the CPU; answers when they have to be looked at again.
fn serve_devices(machine: &dyn Machine, slot: &Slot, guest: &mut Guest) -> Option<Instant> {
    let now = guest.clock.now(machine);
    take_task_priority(guest);
    slot.console.lock().feed(|byte| guest.board.type_byte(now, byte));
    guest.board.advance(now);
    offer_events(guest);
    guest.board.deadline(now).and_then(|time| guest.clock.host_instant(time, now))
}

/// CR8 and the local APIC's task priority are one register, which the guest may have changed without an exit.
fn take_task_priority(guest: &mut Guest) {
    guest.board.set_task_priority(guest.vcpu.task_priority());
}

/// Whether serving an exit reads or changes devices, or the CPU can now take what they have.
fn concerns_devices(reason: &Reason) -> bool {
    !matches!(
        reason,
        Reason::Cpuid
            | Reason::Hypercall
            | Reason::SetExtendedControl
            | Reason::CacheFlush
            | Reason::Pause
            | Reason::ReadTsc
            | Reason::ReadTscp
            | Reason::NotOffered
    )
}

/// Delivers what devices have for the CPU, or asks to be told when it can be delivered.
fn offer_events(guest: &mut Guest) {
    if guest.vcpu.has_pending() {
        // An event that is on its way already ends a halt: a trap of the HLT itself, or one that came with the guest.
        guest.activity = Activity::Running;
    }
    if guest.vcpu.can_take_nmi() && guest.board.take_nmi() {
        guest.activity = Activity::Running;
        guest.vcpu.inject(Event::Nmi);
    }
    if guest.board.has_interrupt()
        && guest.vcpu.can_take_interrupt()
        && let Some(vector) = guest.board.accept_interrupt()
    {
        guest.activity = Activity::Running;
        guest.vcpu.inject(Event::Interrupt { vector });
    }
    let window = if guest.board.has_interrupt() {
        Some(Window::Any)
    } else {
        guest.board.held_back_class().map(Window::Class)
    };
    guest.vcpu.request_window(window);
}

/// Moves what the guest wrote to where it can be looked at; answers whether that was anything.
pub(crate) fn move_output(guest: &mut Guest, slot: &Slot, machine: &dyn Machine) -> bool {
    let mut wrote = false;
    guest.board.take_output(&mut |bytes| {
        wrote |= !bytes.is_empty();
        slot.console.lock().write(bytes);
    });
    if wrote {
        slot.notify(machine);
    }
    wrote
}

fn say_end(guest: &Guest, end: End) {
    let name = &guest.description.name;
    match end {
        End::TripleFault { rip } => log::warn!("guest {name} stopped: triple fault at {rip:#x}"),
        End::Stuck { why, rip, detail } => {
            log::warn!("guest {name} stopped at {rip:#x}: {why} ({detail:#x})");
        }
        End::Refused(why) => log::warn!("guest {name} stopped: the processor refuses its state: {why}"),
        End::PoweredOff | End::Reset => {}
    }
}
