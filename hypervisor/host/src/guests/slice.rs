//! A host CPU runs a virtual CPU for a while.

use core::time::Duration;

use godwit_devices::{Board, Start};
use godwit_guest::{
    VcpuIndex,
    cpu::Activity,
    vcpu::{Event, Reason, Window},
};

use super::{
    Guest, GuestTable, TrustDomain,
    counters::Behind,
    exits::{self, Next},
    life::End,
    table::Scene,
    vcpu::{Core, Vcpu},
};
use crate::{
    machine::{Instant, Machine},
    scheduler::Leave,
};

/// Exits after which the CPU looks at its mail, however busy the guest is.
const EXITS_PER_SLICE: u32 = 64;

/// How long what a guest wrote stays with its devices at most, where it stops for nothing any more.
const OUTPUT_DELAY: Duration = Duration::from_millis(1);
/// How long a guest that can take no NMI runs before it is tried again.
const NMI_RETRY: Duration = Duration::from_micros(100);

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
    /// Whose guest this CPU ran last.
    last: Option<TrustDomain>,
}

impl Runner {
    /// Runs what this CPU has to run, until something else needs it, at the latest until `until`.
    pub fn slice(&mut self, machine: &dyn Machine, table: &GuestTable, until: Option<Instant>) -> Rest {
        let scene = table.scene(machine);
        let (turn, next) = scene.scheduler.pick(machine);
        let Some(turn) = turn else {
            if self.armed.take().is_some() {
                machine.set_timer(None);
            }
            return Rest::Until(next);
        };
        let guest = &*turn.payload.guest;
        let mut leave = Leave::Asleep(None);
        if self.last.replace(guest.trust_domain) != Some(guest.trust_domain) {
            machine.forget_last_guest();
        }
        if let Some(vcpu) = guest.vcpu(turn.payload.vcpu) {
            let until = [until, next, turn.until].into_iter().flatten().min();
            let mut core = vcpu.own();
            // Who waits for another virtual CPU in a loop keeps that from its CPU, where there are too few.
            core.cpu.stop_at_pause(turn.until.is_some());
            leave = self.run(scene, guest, vcpu, &mut core, until);
            drop(core);
            if move_output(scene, guest) {
                // With room in it again, the serial port may have an interrupt for a guest that waits.
                leave = Leave::Ready;
            }
        }
        scene.scheduler.put_back(machine, turn, leave);
        Rest::None
    }

    fn run(
        &mut self,
        scene: Scene<'_>,
        guest: &Guest,
        vcpu: &Vcpu,
        core: &mut Core,
        until: Option<Instant>,
    ) -> Leave {
        // Whether the devices may have something for the CPU. After an exit that was none of their business they have not:
        // when their next time comes, the CPU's timer ends the run, and what is typed comes with an exit of its own.
        let mut look = true;
        for _ in 0..EXITS_PER_SLICE {
            if !guest.life.may_run() {
                return Leave::Asleep(None);
            }
            if vcpu.is_wanted() || scene.scheduler.take_own_call(scene.machine.this_cpu()) {
                return Leave::Ready;
            }
            if look {
                let deadline = match serve_devices(scene, guest, vcpu.index, core) {
                    Ok(deadline) => deadline,
                    Err(end) => return ended(scene, guest, vcpu.index, end),
                };
                if core.activity != Activity::Running {
                    return Leave::Asleep(deadline);
                }
                self.arm(scene.machine, deadline.into_iter().chain(until).min());
            }
            let exit = vcpu.run(core, guest.paging.root(), &guest.epoch);
            if exit.reason == Reason::Host {
                core.exits.count(&exit.reason, Behind::Nothing);
                exits::halt_in_shadow(scene.machine, guest, core);
                // It may have been the timer, which is then no longer set.
                self.armed = None;
                return Leave::Ready;
            }
            let pauses = exit.reason == Reason::Pause;
            look = concerns_devices(&exit.reason);
            if look {
                let priority = core.cpu.task_priority();
                guest.with_board(scene, Some(vcpu.index), |board| {
                    board.set_task_priority(vcpu.index, priority);
                });
            }
            let next = exits::serve(scene, guest, vcpu.index, core, &exit);
            if let Next::End(end) = next {
                return ended(scene, guest, vcpu.index, end);
            }
            if pauses {
                return Leave::Yielding;
            }
            if look && let Some(end) = after_devices(scene, guest, vcpu.index, core) {
                guest.end(scene, vcpu.index, end);
            }
        }
        Leave::Ready
    }

    fn arm(&mut self, machine: &dyn Machine, deadline: Option<Instant>) {
        if self.armed != deadline {
            machine.set_timer(deadline);
            self.armed = deadline;
        }
    }
}

/// The guest has come to an end by what its virtual CPU `by` did.
fn ended(scene: Scene<'_>, guest: &Guest, by: VcpuIndex, end: End) -> Leave {
    if guest.end(scene, by, end) {
        say_end(guest, end);
    }
    Leave::Asleep(None)
}

/// Takes back what the guest may have changed by its devices: CR8 where it wrote to the local APIC, and whether it goes on.
fn after_devices(scene: Scene<'_>, guest: &Guest, index: VcpuIndex, core: &mut Core) -> Option<End> {
    let (priority, request) =
        guest.with_board(scene, Some(index), |board| (board.task_priority(index), board.take_request()));
    if core.cpu.task_priority() != priority {
        core.cpu.set_task_priority(priority);
    }
    request.map(|request| match request {
        godwit_devices::PowerRequest::PowerOff => End::PoweredOff,
        godwit_devices::PowerRequest::Reset => End::Reset,
    })
}

/// Brings the devices up to now and delivers what they have for the CPU; answers when they have to be looked at again.
///
/// # Errors
/// The processor does not take what INIT or a start-up message made of it.
fn serve_devices(
    scene: Scene<'_>,
    guest: &Guest,
    index: VcpuIndex,
    core: &mut Core,
) -> Result<Option<Instant>, End> {
    if core.cpu.tsc_offset() != guest.clock.tsc_offset() {
        core.cpu.set_tsc_offset(guest.clock.tsc_offset());
    }
    guest.with_board(scene, Some(index), |board| {
        // Read with the board in hand: it sees no time after a later one.
        let now = guest.clock.now(scene.machine);
        board.set_task_priority(index, core.cpu.task_priority());
        guest.console.feed(|byte| board.type_byte(now, byte));
        board.advance(now);
        start(guest, index, core, board)?;
        if core.activity != Activity::WaitingForStartUp {
            offer_events(index, core, board);
        }
        let deadline = board.deadline(now, index).and_then(|time| guest.clock.host_instant(time, now));
        // Nothing tells when the guest can take an NMI again.
        let retry = (core.activity == Activity::Running && board.has_nmi(index))
            .then(|| scene.machine.now().after(NMI_RETRY));
        let output = board.has_output().then(|| scene.machine.now().after(OUTPUT_DELAY));
        Ok(deadline.into_iter().chain(retry).chain(output).min())
    })
}

/// Does what INIT and start-up messages ask for.
fn start(guest: &Guest, index: VcpuIndex, core: &mut Core, board: &mut Board) -> Result<(), End> {
    while let Some(start) = board.take_start(index) {
        let changed = match start {
            Start::Init => core.change(&guest.clock, godwit_guest::cpu::CpuState::init),
            Start::StartUp { vector } => core.change(&guest.clock, |state| state.start_up(vector)),
        };
        changed.map_err(|error| End::Refused(error.0))?;
    }
    Ok(())
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
fn offer_events(index: VcpuIndex, core: &mut Core, board: &mut Board) {
    if core.cpu.has_pending() {
        // An event that is on its way already ends a halt: a trap of the HLT itself, or one that came with the guest.
        core.activity = Activity::Running;
    }
    if core.cpu.can_take_nmi() && board.take_nmi(index) {
        core.activity = Activity::Running;
        core.cpu.inject(Event::Nmi);
    }
    if board.has_interrupt(index)
        && core.cpu.can_take_interrupt()
        && let Some(vector) = board.accept_interrupt(index)
    {
        core.activity = Activity::Running;
        core.cpu.inject(Event::Interrupt { vector });
    }
    let window = if board.has_interrupt(index) {
        Some(Window::Any)
    } else {
        board.held_back_class(index).map(Window::Class)
    };
    core.cpu.request_window(window);
}

/// Moves what the guest wrote to where it can be looked at; answers whether that was anything.
pub(crate) fn move_output(scene: Scene<'_>, guest: &Guest) -> bool {
    let mut wrote = false;
    guest.with_board(scene, None, |board| {
        board.take_output(&mut |bytes| {
            wrote |= !bytes.is_empty();
            guest.console.write(bytes);
        });
    });
    if wrote {
        guest.notify(scene);
    }
    wrote
}

fn say_end(guest: &Guest, end: End) {
    let name = &guest.description.name;
    let more = format_args!("\"events {name}\" shows its registers");
    match end {
        End::TripleFault { rip } => log::warn!("guest {name} stopped: triple fault at {rip:#x}; {more}"),
        End::Stuck { why, rip, detail } => {
            log::warn!("guest {name} stopped at {rip:#x}: {why} ({detail:#x}); {more}");
        }
        End::Refused(why) => {
            log::warn!("guest {name} stopped: the processor refuses its state: {why}; {more}");
        }
        End::PoweredOff | End::Reset => {}
    }
}
