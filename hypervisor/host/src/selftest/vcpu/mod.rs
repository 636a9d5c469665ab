//! The world switch: a tiny guest leaves and comes back with everything that it had.

mod program;

use alloc::{boxed::Box, format, string::String};
use core::time::Duration;

use godwit_frames::{FRAME_BYTES, FrameRun, HostFrame, Mobility, Order};
use godwit_guest::{
    baseline::Baseline,
    cpu::{General, Registers},
    vcpu::{Event, Exit, Reason, VirtualCpu, Window},
};

use self::program::{CPUID_BYTES, HLT_BYTES, INTERRUPT_PORT, NMI_PORT, OUT_BYTES, SUM_PORT};
use super::{Check, CheckStep};
use crate::{description::Virtualization, machine::Machine, state::HostState};

/// Round trips that are timed.
const ROUND_TRIPS: u32 = 2_000;
/// Runs that the host may end for reasons of its own before the guest must have come further.
const MOST_HOST_EXITS: u32 = 1_000;
/// When a guest that never exits by itself is interrupted.
const SPIN: Duration = Duration::from_millis(2);
/// The 8 frames of which the guest needs [`program::FRAMES`].
const ORDER: Option<Order> = Order::new(3);

/// Makes a guest of two frames and runs it.
#[derive(Default)]
pub(super) struct VcpuCheck {
    memory: Option<FrameRun>,
}

impl Check for VcpuCheck {
    fn step(&mut self, state: &mut HostState<'_, '_>) -> CheckStep {
        if let Virtualization::Missing(why) = state.machine.description().virtualization {
            return CheckStep::Passed(format!("nothing to test: {why}"));
        }
        match self.verdict(state) {
            Ok(detail) => CheckStep::Passed(detail),
            Err(why) => CheckStep::Failed(why),
        }
    }

    fn clean_up(&mut self, state: &mut HostState<'_, '_>) {
        if let Some(run) = self.memory.take()
            && let Err(error) = state.cpu.frames().free(run)
        {
            log::error!("the guest's frames are lost: {error}");
        }
    }
}

impl VcpuCheck {
    fn verdict(&mut self, state: &mut HostState<'_, '_>) -> Result<String, String> {
        let vcpu = state.machine.create_vcpu(Baseline::DEFAULT).map_err(|error| format!("{error}"))?;
        let order = ORDER.unwrap_or(Order::FRAME);
        let run = state.cpu.frames().allocate(order, Mobility::Unmovable);
        let run = self.memory.insert(run.map_err(|error| format!("{error}"))?);
        let outside = |_| String::from("the guest does not fit its frames");
        program::write(state.machine.memory(), run).map_err(outside)?;
        let mut guest = Guest { machine: state.machine, vcpu, tables: run.start(), host_exits: 0 };
        guest.start()?;
        guest.keeps_registers()?;
        guest.keeps_extended_state()?;
        if program::stored(state.machine.memory(), run).map_err(outside)? != program::PATTERN {
            return Err("XMM0 changed while the guest was stopped".into());
        }
        guest.takes_interrupts()?;
        guest.takes_nmis()?;
        guest.misses_a_frame(run)?;
        guest.is_interrupted()?;
        let nanoseconds = guest.round_trip_ns()?;
        guest.leaves_nothing_behind(run)?;
        Ok(format!(
            "ports, HLT, interrupts, NMIs and registers as they should be; {nanoseconds} ns per CPUID exit"
        ))
    }
}

struct Guest<'a> {
    machine: &'a dyn Machine,
    vcpu: Box<dyn VirtualCpu>,
    tables: HostFrame,
    host_exits: u32,
}

/// A value for each register that no other has, and that no part of the program makes.
fn value(register: usize) -> u64 {
    0x1111_0000 * (register as u64 % 8) + 0x100 + register as u64
}

/// OUT of one byte to `port`.
const fn out(port: u16) -> Reason {
    Reason::Port { port, bytes: 1, input: false, string: false }
}

impl Guest<'_> {
    fn start(&mut self) -> Result<(), String> {
        let mut state = self.vcpu.state();
        program::enter(&mut state);
        self.vcpu.set_state(&state).map_err(|error| format!("{error}"))?;
        if self.vcpu.state().segments != state.segments {
            return Err("segments changed when they were set".into());
        }
        Ok(())
    }

    /// Runs until an exit that is not the host's own.
    fn run(&mut self) -> Result<Exit, String> {
        for _ in 0..MOST_HOST_EXITS {
            let exit = self.vcpu.run(self.tables);
            if exit.reason != Reason::Host {
                return Ok(exit);
            }
            self.host_exits += 1;
        }
        Err(format!("the guest came no further in {MOST_HOST_EXITS} runs"))
    }

    /// Runs until the exit that has to come next.
    fn expect(&mut self, reason: Reason, at: u64) -> Result<(), String> {
        let exit = self.run()?;
        let rip = self.vcpu.registers().rip;
        if exit.reason != reason || rip != at {
            return Err(format!("expected {reason:?} at {at:#x}, got {:?} at {rip:#x}", exit.reason));
        }
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        let next = self.vcpu.registers().rip.wrapping_add(bytes);
        self.vcpu.advance_to(next);
    }

    /// General registers come out as they went in, and go in as the host left them.
    fn keeps_registers(&mut self) -> Result<(), String> {
        let rsp = self.vcpu.registers().get(General::Rsp);
        // The upper halves and R8 to R15 cannot be seen by 32-bit code, and need not survive it.
        for (number, register) in self.vcpu.registers().general.iter_mut().enumerate().take(8) {
            *register = value(number);
        }
        self.vcpu.registers().set(General::Rsp, rsp);
        let before: Registers = *self.vcpu.registers();
        self.expect(Reason::Cpuid, program::START)?;
        let after = *self.vcpu.registers();
        if after.general.get(..8) != before.general.get(..8) {
            return Err(format!("registers went in as {before:x?} and came out as {after:x?}"));
        }
        let (one, other) = (0x1234_5678, 0x0101_0101);
        self.vcpu.registers().set_32(General::Rax, one);
        self.vcpu.registers().set_32(General::Rbx, other);
        self.advance(CPUID_BYTES);
        self.expect(Reason::Port { port: SUM_PORT, bytes: 4, input: false, string: false }, 4)?;
        let sum = self.vcpu.registers().get(General::Rax);
        if sum != u64::from(one + other) {
            return Err(format!("{one:#x} + {other:#x} was {sum:#x} in the guest"));
        }
        self.advance(OUT_BYTES);
        Ok(())
    }

    /// XMM0 is loaded before an exit and stored after it.
    fn keeps_extended_state(&mut self) -> Result<(), String> {
        self.expect(Reason::Cpuid, 13)?;
        if self.vcpu.state().fpu.get(160..176) != Some(&program::PATTERN) {
            return Err("XMM0 is not what the guest loaded".into());
        }
        self.advance(CPUID_BYTES);
        self.expect(Reason::Halt, 22)?;
        self.advance(HLT_BYTES);
        Ok(())
    }

    /// An interrupt is held back until the guest takes some, then comes once.
    fn takes_interrupts(&mut self) -> Result<(), String> {
        if self.vcpu.can_take_interrupt() {
            return Err("interrupts are said to be on, which are off since reset".into());
        }
        self.vcpu.request_window(Some(Window::Any));
        // STI holds interrupts off for the NOP that follows.
        self.expect(Reason::InterruptWindow, 25)?;
        if !self.vcpu.can_take_interrupt() {
            return Err("the window for interrupts opened while none can be taken".into());
        }
        self.vcpu.inject(Event::Interrupt { vector: program::VECTOR });
        self.expect(out(INTERRUPT_PORT), program::HANDLER)?;
        if self.vcpu.has_pending() || self.vcpu.can_take_interrupt() {
            return Err("the interrupt's handler runs, but interrupts are not off".into());
        }
        self.advance(OUT_BYTES);
        self.expect(Reason::Cpuid, 26)?;
        self.advance(CPUID_BYTES);
        Ok(())
    }

    /// An NMI holds further ones off until its handler has returned.
    fn takes_nmis(&mut self) -> Result<(), String> {
        if !self.vcpu.can_take_nmi() {
            return Err("NMIs are said to be held off, and none came".into());
        }
        self.vcpu.inject(Event::Nmi);
        self.expect(out(NMI_PORT), program::NMI_HANDLER)?;
        if self.vcpu.can_take_nmi() || !self.vcpu.state().nmi_blocked {
            return Err("the handler of an NMI runs, and another could come".into());
        }
        self.advance(OUT_BYTES);
        self.expect(Reason::Cpuid, 28)?;
        if !self.vcpu.can_take_nmi() {
            return Err("the handler of an NMI returned, and NMIs are still held off".into());
        }
        self.advance(CPUID_BYTES);
        Ok(())
    }

    /// An interrupt whose gate is not there is delivered once it is.
    fn misses_a_frame(&mut self, run: &FrameRun) -> Result<(), String> {
        self.vcpu.inject(Event::Interrupt { vector: program::MISSED_VECTOR });
        let exit = self.run()?;
        let Reason::NestedFault(fault) = exit.reason else {
            return Err(format!("a frame that is missing caused {:?}", exit.reason));
        };
        if fault.address / FRAME_BYTES * FRAME_BYTES != program::MISSED_ADDRESS
            || fault.write
            || fault.present
        {
            return Err(format!("a read of {:#x} was reported as {fault:x?}", program::MISSED_ADDRESS));
        }
        if !self.vcpu.has_pending() {
            return Err("an interrupt was lost when its delivery was cut off".into());
        }
        let outside = |_| String::from("the guest does not fit its frames");
        program::give_missed(self.machine.memory(), run).map_err(outside)?;
        self.expect(out(INTERRUPT_PORT), program::HANDLER)?;
        self.advance(OUT_BYTES);
        self.expect(Reason::Cpuid, 30)?;
        self.advance(CPUID_BYTES);
        Ok(())
    }

    /// A guest that never stops by itself is stopped by the host's timer, which was served when the run returns.
    fn is_interrupted(&mut self) -> Result<(), String> {
        let begin = self.machine.now();
        let deadline = begin.after(SPIN);
        for _ in 0..MOST_HOST_EXITS {
            self.machine.set_timer(Some(deadline));
            let exit = self.vcpu.run(self.tables);
            if exit.reason != Reason::Host {
                return Err(format!("a guest that spins stopped for {:?}", exit.reason));
            }
            if self.machine.now() >= deadline {
                self.machine.set_timer(None);
                return Ok(());
            }
        }
        Err(format!("{MOST_HOST_EXITS} runs of a spinning guest ended before the timer"))
    }

    /// A new virtual CPU, the next on this host CPU, finds none of what this one has in registers.
    fn leaves_nothing_behind(&mut self, run: &FrameRun) -> Result<(), String> {
        let next = self.machine.create_vcpu(Baseline::DEFAULT).map_err(|error| format!("{error}"))?;
        let mut next = Self { vcpu: next, host_exits: 0, ..*self };
        next.start()?;
        self.vcpu.registers().rip = program::FILL;
        next.vcpu.registers().rip = program::SHOW;
        if self.run()?.reason != Reason::Cpuid || next.run()?.reason != Reason::Cpuid {
            return Err("registers could not be filled and shown".into());
        }
        if self.vcpu.state().debug.addresses.contains(&0) {
            return Err("DR0 to DR3 are not what the guest loaded".into());
        }
        let shown = program::SHOWN.map(|register| next.vcpu.registers().get(register));
        if shown != [0; 4] {
            return Err(format!("a new guest found DR0 to DR3 of another: {shown:x?}"));
        }
        let outside = |_| String::from("the guest does not fit its frames");
        if !program::saw_nothing(self.machine.memory(), run).map_err(outside)? {
            return Err("a new guest found another's XMM registers".into());
        }
        Ok(())
    }

    /// The mean time from one CPUID to the next.
    fn round_trip_ns(&mut self) -> Result<u64, String> {
        self.vcpu.registers().rip = program::LOOP;
        let begin = self.machine.now();
        for _ in 0..ROUND_TRIPS {
            self.expect(Reason::Cpuid, program::LOOP)?;
            self.advance(CPUID_BYTES);
        }
        let elapsed = self.machine.now().since(begin).as_nanos();
        Ok(u64::try_from(elapsed / u128::from(ROUND_TRIPS)).unwrap_or(u64::MAX))
    }
}
