//! A machine that has no more than a console and a little memory.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use godwit_frames::{FRAME_BYTES, FrameRun, Order};
use godwit_guest::{
    baseline::Baseline,
    vcpu::{VcpuError, VirtualCpu},
};
use godwit_host::{
    description::{CpuInfo, CpuState, Description, Virtualization},
    machine::{
        CpuNumber, Fault, HostMemory, Incarnation, Instant, Machine, Mail, MailboxFull, NetworkDevice,
        NoRandomness, OutsideRun, PowerError,
    },
};

/// What is typed, what is written, and a clock that goes on when somebody looks at it or sleeps.
pub(super) struct ConsoleMachine {
    state: Mutex<State>,
    memory: NoMemory,
    description: Description,
}

#[derive(Default)]
struct State {
    now_ns: u64,
    input: VecDeque<u8>,
    output: Vec<u8>,
    mail: VecDeque<Mail>,
    /// Slept with nothing to wake it.
    at_rest: bool,
}

impl ConsoleMachine {
    /// A machine at whose console `input` is typed.
    pub(super) fn new(input: &[u8]) -> Self {
        let description = Description {
            mitigations: Vec::new(),
            cpu_vendor: "AuthenticAMD".into(),
            cpu_model: "Pretended CPU".into(),
            virtualization: Virtualization::Svm,
            features: Vec::new(),
            largest_leaf: Order::HUGE,
            physical_address_bits: 40,
            tsc_hz: 2_000_000_000,
            tsc_source: "ACPI PM timer",
            x2apic: false,
            cpus: vec![CpuInfo { apic_id: 0, state: CpuState::Running, timer_hz: 1_000_000_000 }],
            cpus_beyond_support: 0,
            pci: Vec::new(),
            notes: Vec::new(),
        };
        let state = State { input: input.iter().copied().collect(), ..State::default() };
        Self { state: Mutex::new(state), memory: NoMemory::default(), description }
    }

    /// Whether all was typed, and the host sleeps for good.
    pub(super) fn is_at_rest(&self) -> bool {
        let state = self.state();
        state.at_rest && state.input.is_empty() && state.mail.is_empty()
    }

    /// What the console shows.
    pub(super) fn output(&self) -> Vec<u8> {
        self.state().output.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RAM that forgets what is written but for the word that was stored last, and keeps every access inside its run.
#[derive(Default)]
struct NoMemory(Mutex<Cell<u64>>);

impl NoMemory {
    fn check(run: &FrameRun, offset: u64, bytes: u64) -> Result<(), OutsideRun> {
        let end = offset.checked_add(bytes).ok_or(OutsideRun)?;
        if end <= run.frames() * FRAME_BYTES { Ok(()) } else { Err(OutsideRun) }
    }

    fn swap(&self, run: &FrameRun, offset: u64, change: impl Fn(u64) -> u64) -> Result<u64, OutsideRun> {
        Self::check(run, offset, 8)?;
        let word = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = word.get();
        word.set(change(before));
        Ok(before)
    }
}

impl HostMemory for NoMemory {
    fn read(&self, run: &FrameRun, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun> {
        out.fill(0);
        Self::check(run, offset, out.len() as u64)
    }
    fn write(&self, run: &FrameRun, offset: u64, bytes: &[u8]) -> Result<(), OutsideRun> {
        Self::check(run, offset, bytes.len() as u64)
    }
    fn zero(&self, run: &FrameRun, offset: u64, bytes: u64) -> Result<(), OutsideRun> {
        Self::check(run, offset, bytes)
    }
    fn load(&self, run: &FrameRun, offset: u64) -> Result<u64, OutsideRun> {
        self.swap(run, offset, |word| word)
    }
    fn store(&self, run: &FrameRun, offset: u64, value: u64) -> Result<(), OutsideRun> {
        self.swap(run, offset, |_| value).map(|_| ())
    }
    fn clear(&self, run: &FrameRun, offset: u64, mask: u64) -> Result<u64, OutsideRun> {
        self.swap(run, offset, |word| word & !mask)
    }
    fn read_module(&self, _: usize, _: u64, _: &mut [u8]) -> Result<(), OutsideRun> {
        Err(OutsideRun)
    }
}

impl Machine for ConsoleMachine {
    fn forget_last_guest(&self) {}

    fn now(&self) -> Instant {
        let mut state = self.state();
        state.now_ns += 10_000;
        Instant::from_nanoseconds(state.now_ns)
    }
    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        out.fill(0);
        Err(NoRandomness)
    }
    fn incarnation(&self) -> Option<Incarnation> {
        None
    }
    fn this_cpu(&self) -> CpuNumber {
        CpuNumber(0)
    }
    fn memory(&self) -> &dyn HostMemory {
        &self.memory
    }
    fn network(&self) -> Option<&dyn NetworkDevice> {
        None
    }
    fn create_vcpu(&self, _: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError> {
        Err(VcpuError("this machine is only pretended"))
    }
    fn cpuid(&self, _: u32, _: u32) -> [u32; 4] {
        [0; 4]
    }
    fn wall_clock_s(&self) -> Option<i64> {
        None
    }
    fn tsc(&self) -> u64 {
        self.now().as_nanoseconds()
    }
    fn set_timer(&self, _: Option<Instant>) {}
    fn description(&self) -> &Description {
        &self.description
    }
    fn post(&self, _: CpuNumber, mail: Mail) -> Result<(), MailboxFull> {
        let mut state = self.state();
        if state.mail.len() >= 4 {
            return Err(MailboxFull);
        }
        state.mail.push_back(mail);
        Ok(())
    }
    fn take_mail(&self) -> Option<Mail> {
        self.state().mail.pop_front()
    }
    fn idle(&self, deadline: Option<Instant>) {
        let mut state = self.state();
        match deadline {
            Some(deadline) => state.now_ns = state.now_ns.max(deadline.as_nanoseconds()),
            None => state.at_rest = true,
        }
    }
    fn console_write(&self, bytes: &[u8]) {
        self.state().output.extend_from_slice(bytes);
    }
    fn console_read(&self) -> Option<u8> {
        self.state().input.pop_front()
    }
    fn console_disturbances(&self) -> u64 {
        0
    }
    fn power_off(&self) -> PowerError {
        PowerError("this machine is only pretended")
    }
    fn reset(&self) -> PowerError {
        PowerError("this machine is only pretended")
    }
    fn provoke(&self, _: Fault) {}
}
