//! The machine as the host sees it.

use alloc::boxed::Box;

use godwit_guest::{
    baseline::Baseline,
    vcpu::{VcpuError, VirtualCpu},
};
use godwit_host::{
    Machine,
    description::Description,
    machine::{
        CpuNumber, Fault, HostMemory, Incarnation, Instant, Mail, MailboxFull, NetworkDevice, NoRandomness,
        PowerError,
    },
};
use x86_64::instructions::interrupts;

use crate::{
    apic::local as local_apic,
    console,
    cpu::{local, processor::ThisProcessor, random::Generator},
    features::Processor,
    heap::Heap,
    memory::frame_access::DirectMemory,
    nic::adapter::Adapter,
    power::Power,
    provoke, speculation,
    time::{clock, tsc},
    virtual_cpu::vendor,
};

/// A timer that fires sooner than this would fire before the processor sleeps.
const SHORTEST_SLEEP_NS: u64 = 1_000;

/// The processor that serves the console.
const BOOT_CPU: CpuNumber = CpuNumber(0);
/// How often it looks for a typed byte where none interrupts: unnoticed by a person.
const CONSOLE_LOOK_NS: u64 = 10_000_000;

/// The real x86-64 machine.
pub struct Hardware {
    pub(crate) description: Description,
    pub(crate) heap: &'static Heap,
    pub(crate) memory: DirectMemory,
    /// Seconds since 1970 when the host's clock was at zero.
    pub(crate) wall_clock_start_s: Option<i64>,
    pub(crate) network: Option<Adapter>,
    pub(crate) power: Power,
    pub(crate) generator: Option<Generator>,
    pub(crate) incarnation: Option<Incarnation>,
}

impl Machine for Hardware {
    fn now(&self) -> Instant {
        tsc::now()
    }

    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        match &self.generator {
            Some(generator) => generator.fill(out),
            None => {
                out.fill(0);
                Err(NoRandomness)
            }
        }
    }

    fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    fn this_cpu(&self) -> CpuNumber {
        local::this().number()
    }

    fn memory(&self) -> &dyn HostMemory {
        &self.memory
    }

    fn network(&self) -> Option<&dyn NetworkDevice> {
        self.network.as_ref().map(|adapter| adapter as &dyn NetworkDevice)
    }

    fn create_vcpu(&self, baseline: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError> {
        vendor::create(baseline)
    }

    fn forget_last_guest(&self) {
        speculation::apply::forget_last_guest();
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let answer = ThisProcessor.cpuid(leaf, subleaf);
        [answer.eax, answer.ebx, answer.ecx, answer.edx]
    }

    fn wall_clock_s(&self) -> Option<i64> {
        let up_s = i64::try_from(self.now().as_nanoseconds() / 1_000_000_000).ok()?;
        self.wall_clock_start_s?.checked_add(up_s)
    }

    fn tsc(&self) -> u64 {
        tsc::counter()
    }

    fn set_timer(&self, deadline: Option<Instant>) {
        match deadline {
            Some(at) => {
                start_timer(at.as_nanoseconds().saturating_sub(self.now().as_nanoseconds()));
            }
            None => local_apic::stop_timer(),
        }
    }

    fn heap_used_bytes(&self) -> Option<u64> {
        Some(self.heap.used_bytes() as u64)
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn post(&self, to: CpuNumber, mail: Mail) -> Result<(), MailboxFull> {
        let cpu = local::get(to).filter(|cpu| cpu.is_alive()).ok_or(MailboxFull)?;
        cpu.post(mail)?;
        if cpu.number() != self.this_cpu() {
            local_apic::send(cpu.apic_id(), crate::interrupts::vectors::KICK);
        }
        Ok(())
    }

    fn take_mail(&self) -> Option<Mail> {
        local::this().take_mail()
    }

    fn idle(&self, deadline: Option<Instant>) {
        let cpu = local::this();
        let mut sleep_ns = deadline.map(|at| at.as_nanoseconds().saturating_sub(self.now().as_nanoseconds()));
        if cpu.number() == BOOT_CPU && !console::interrupts() {
            sleep_ns = Some(sleep_ns.unwrap_or(u64::MAX).min(CONSOLE_LOOK_NS));
        }
        // A frame's interrupt may have come, and been served, in an earlier window for interrupts.
        let has_frames = || self.network.as_ref().is_some_and(Adapter::ends_sleep);
        let is_awaited = cpu.has_mail() || cpu.number() == BOOT_CPU && has_frames();
        if is_awaited || sleep_ns.is_some_and(|ns| ns < SHORTEST_SLEEP_NS) {
            // The loop's one window for interrupts.
            interrupts::enable();
            interrupts::disable();
            return;
        }
        if let Some(ns) = sleep_ns {
            start_timer(ns);
        }
        // Mail or a frame that arrives from here on interrupts the halt: the interrupt waits until interrupts are on, one instruction before.
        interrupts::enable_and_hlt();
        interrupts::disable();
        if sleep_ns.is_some() {
            local_apic::stop_timer();
        }
    }

    fn console_write(&self, bytes: &[u8]) {
        console::write(bytes);
    }

    fn console_read(&self) -> Option<u8> {
        console::read()
    }

    fn console_disturbances(&self) -> u64 {
        console::lines_logged()
    }

    fn power_off(&self) -> PowerError {
        self.power.off()
    }

    fn reset(&self) -> PowerError {
        self.power.reset()
    }

    fn provoke(&self, fault: Fault) {
        provoke::provoke(fault);
    }
}

/// Starts this processor's timer: one interrupt in `ns` nanoseconds, sooner where the timer does not reach that far.
fn start_timer(ns: u64) {
    let count = clock::ticks(local::this().timer_hz(), ns);
    local_apic::start_timer(u32::try_from(count).unwrap_or(u32::MAX).max(1));
}
