//! A machine that is only pretended: a virtual clock, mailboxes, a console that is a script, power that is a list.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use godwit_frames::{FRAME_BYTES, FrameRun, Order};
use godwit_guest::{
    baseline::{Baseline, CpuidContext, CpuidResult},
    vcpu::{VcpuError, VirtualCpu},
};
use godwit_host::{
    description::{CpuInfo, CpuState, Description, Feature, PciFunction, Virtualization},
    machine::{
        CpuNumber, Fault, HostMemory, Incarnation, Instant, Machine, Mail, MailboxFull, NetworkDevice,
        NoRandomness, OutsideRun, PowerError,
    },
    split_mix::SplitMix64,
};

use crate::{
    ethernet::Adapter,
    scripted::ScriptedCpu,
    writer::{Plan, Writer},
};

/// What the clock does when it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Goes 100 ns forward.
    Steady,
    /// Nothing, ever.
    Stuck,
    /// Goes back now and then.
    Wavering,
    /// Sleeps an hour longer than it was told.
    Oversleeping,
}

/// What the random number generator gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Randomness {
    Good,
    Missing,
    /// The same bytes each time.
    Stuck,
    /// Hardly any ones.
    Skewed,
    /// Good bytes, but no incarnation was drawn.
    Nameless,
}

/// What the fake machine knows and remembers.
pub(crate) struct State {
    pub(crate) now_ns: u64,
    pub(crate) clock: Clock,
    pub(crate) randomness: Randomness,
    /// The CPU whose turn it is.
    pub(crate) cpu: u16,
    pub(crate) mailboxes: Vec<VecDeque<Mail>>,
    pub(crate) mailbox_size: usize,
    pub(crate) input: VecDeque<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) disturbances: u64,
    pub(crate) power: Vec<&'static str>,
    /// Faults that were asked for, and on which CPU; none of them stops this machine.
    pub(crate) provoked: Vec<(u16, Fault)>,
    /// Whether CPU 0 slept with no deadline and nothing to wake it.
    pub(crate) at_rest: bool,
    /// Time is kept by somebody else: a sleeping CPU does not make it pass.
    pub(crate) clock_is_held: bool,
    /// How often each CPU was told that its next guest is of another trust domain.
    pub(crate) forgotten: Vec<u32>,
    /// What each CPU said when it last went to sleep.
    pub(crate) deadlines: Vec<Option<Instant>>,
    generator: SplitMix64,
}

pub(crate) struct FakeMachine {
    state: Mutex<State>,
    pub(crate) memory: Arc<FakeMemory>,
    pub(crate) network: Option<&'static Adapter>,
    pub(crate) description: Description,
    /// Whether it has virtual CPUs, which are scripted.
    pub(crate) runs_guests: bool,
    /// Whether guests execute PAUSE and RDTSCP now and then.
    pub(crate) guests_pause: bool,
    /// After so many runs of its CPU a guest switches itself off.
    pub(crate) guest_runs: Option<u64>,
    /// After so many runs of its CPU a guest crashes.
    pub(crate) guest_crashes: Option<u64>,
    /// What guests write to their memory, where they do.
    pub(crate) guest_writes: Option<Plan>,
}

impl FakeMachine {
    pub(crate) fn new(cpus: u16) -> Self {
        let state = State {
            now_ns: 1_000_000_000,
            clock: Clock::Steady,
            randomness: Randomness::Good,
            cpu: 0,
            mailboxes: (0..cpus).map(|_| VecDeque::new()).collect(),
            mailbox_size: 4,
            input: VecDeque::new(),
            output: Vec::new(),
            disturbances: 0,
            power: Vec::new(),
            provoked: Vec::new(),
            at_rest: false,
            clock_is_held: false,
            forgotten: vec![0; usize::from(cpus)],
            deadlines: vec![None; usize::from(cpus)],
            generator: SplitMix64::new(42),
        };
        let memory = Arc::default();
        let description = description(cpus);
        Self {
            state: Mutex::new(state),
            memory,
            network: None,
            description,
            runs_guests: false,
            guests_pause: false,
            guest_runs: None,
            guest_crashes: None,
            guest_writes: None,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn description(cpus: u16) -> Description {
    let function = |device, device_id, class| PciFunction {
        segment: 0,
        bus: 0,
        device,
        function: 0,
        vendor_id: 0x8086,
        device_id,
        class,
    };
    Description {
        cpu_vendor: "AuthenticAMD".into(),
        cpu_model: "Pretended CPU 9000".into(),
        virtualization: Virtualization::Svm,
        features: vec![
            Feature { name: "NPT", present: true },
            Feature { name: "nRIP save", present: false },
            Feature { name: "vGIF", present: true },
            Feature { name: "flush-by-ASID", present: false },
        ],
        mitigations: vec!["IBPB between guests", "return stack fill at exits"],
        largest_leaf: Order::HUGE,
        physical_address_bits: 40,
        tsc_hz: 2_394_560_000,
        tsc_source: "ACPI PM timer",
        x2apic: false,
        cpus: (0..cpus)
            .map(|number| CpuInfo {
                apic_id: u32::from(number) * 2,
                state: CpuState::Running,
                timer_hz: 1_000_100_000,
            })
            .collect(),
        cpus_beyond_support: 0,
        pci: vec![function(0, 0x1237, (6, 0, 0)), function(2, 0x100e, (2, 0, 0))],
        notes: Vec::new(),
    }
}

/// RAM by the frame; what was never written is zero.
#[derive(Default)]
pub(crate) struct FakeMemory {
    frames: Mutex<HashMap<u64, Box<[u8; FRAME]>>>,
    pub(crate) modules: Mutex<Vec<Vec<u8>>>,
}

/// Bytes of a frame, as an array's length.
const FRAME: usize = FRAME_BYTES as usize;

impl FakeMemory {
    fn address(run: &FrameRun, offset: u64, bytes: u64) -> Result<u64, OutsideRun> {
        let end = offset.checked_add(bytes).ok_or(OutsideRun)?;
        if end > run.frames() * FRAME_BYTES { Err(OutsideRun) } else { Ok(run.start().address() + offset) }
    }

    /// The bytes from `at` on in pieces of one frame each: the frame, where in it, and which of them.
    fn pieces(at: u64, bytes: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let here = at + done as u64;
            let offset = (here % FRAME_BYTES) as usize;
            let count = (FRAME - offset).min(bytes - done);
            done += count;
            (count > 0).then(|| (here / FRAME_BYTES, offset..offset + count, done - count..done))
        })
    }

    fn change(&self, run: &FrameRun, offset: u64, change: impl Fn(u64) -> u64) -> Result<u64, OutsideRun> {
        if !offset.is_multiple_of(8) {
            return Err(OutsideRun);
        }
        Ok(self.change_word(Self::address(run, offset, 8)?, change))
    }
}

impl FakeMemory {
    /// Changes the word at a host address that is a multiple of 8; answers what it was.
    pub(crate) fn change_word(&self, at: u64, change: impl Fn(u64) -> u64) -> u64 {
        let mut frames = self.frames.lock().unwrap();
        let frame = frames.entry(at / FRAME_BYTES).or_insert_with(|| Box::new([0; FRAME]));
        let place = (at % FRAME_BYTES) as usize;
        let word: &mut [u8; 8] = (&mut frame[place..place + 8]).try_into().unwrap();
        let before = u64::from_le_bytes(*word);
        *word = change(before).to_le_bytes();
        before
    }

    /// The frames in which `word` stands somewhere.
    pub(crate) fn frames_with(&self, word: u64) -> Vec<u64> {
        let frames = self.frames.lock().unwrap();
        let holds = |content: &[u8; FRAME]| content.chunks_exact(8).any(|found| found == word.to_le_bytes());
        frames.iter().filter_map(|(&frame, content)| holds(content).then_some(frame)).collect()
    }
}

impl HostMemory for FakeMemory {
    fn read(&self, run: &FrameRun, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun> {
        let at = Self::address(run, offset, out.len() as u64)?;
        let frames = self.frames.lock().unwrap();
        for (frame, place, part) in Self::pieces(at, out.len()) {
            match frames.get(&frame) {
                Some(content) => out[part].copy_from_slice(&content[place]),
                None => out[part].fill(0),
            }
        }
        Ok(())
    }

    fn write(&self, run: &FrameRun, offset: u64, bytes: &[u8]) -> Result<(), OutsideRun> {
        let at = Self::address(run, offset, bytes.len() as u64)?;
        let mut frames = self.frames.lock().unwrap();
        for (frame, place, part) in Self::pieces(at, bytes.len()) {
            let content = frames.entry(frame).or_insert_with(|| Box::new([0; FRAME]));
            content[place].copy_from_slice(&bytes[part]);
        }
        Ok(())
    }

    fn zero(&self, run: &FrameRun, offset: u64, bytes: u64) -> Result<(), OutsideRun> {
        let at = Self::address(run, offset, bytes)?;
        let mut frames = self.frames.lock().unwrap();
        for (frame, place, _) in Self::pieces(at, bytes as usize) {
            if place.len() == FRAME {
                frames.remove(&frame);
            } else if let Some(content) = frames.get_mut(&frame) {
                content[place].fill(0);
            }
        }
        Ok(())
    }

    fn load(&self, run: &FrameRun, offset: u64) -> Result<u64, OutsideRun> {
        self.change(run, offset, |word| word)
    }

    fn store(&self, run: &FrameRun, offset: u64, value: u64) -> Result<(), OutsideRun> {
        self.change(run, offset, |_| value).map(|_| ())
    }

    fn clear(&self, run: &FrameRun, offset: u64, mask: u64) -> Result<u64, OutsideRun> {
        self.change(run, offset, |word| word & !mask)
    }

    fn read_module(&self, module: usize, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun> {
        let modules = self.modules.lock().unwrap();
        let bytes = modules.get(module).and_then(|bytes| bytes.get(offset as usize..)).ok_or(OutsideRun)?;
        out.copy_from_slice(bytes.get(..out.len()).ok_or(OutsideRun)?);
        Ok(())
    }
}

impl Machine for FakeMachine {
    fn memory(&self) -> &dyn HostMemory {
        &*self.memory
    }

    fn network(&self) -> Option<&dyn NetworkDevice> {
        self.network.map(|adapter| adapter as &dyn NetworkDevice)
    }

    fn create_vcpu(&self, _: Baseline) -> Result<Box<dyn VirtualCpu>, VcpuError> {
        if let Some(plan) = &self.guest_writes {
            Ok(Box::new(ScriptedCpu::writing(Writer::new(self.memory.clone(), plan.clone()))))
        } else if self.runs_guests && self.guests_pause {
            Ok(Box::new(ScriptedCpu::pausing()))
        } else if self.runs_guests && self.guest_crashes.is_some() {
            Ok(Box::new(ScriptedCpu::crashing(self.guest_crashes)))
        } else if self.runs_guests {
            Ok(Box::new(ScriptedCpu::until(self.guest_runs)))
        } else {
            Err(VcpuError("this machine is only pretended"))
        }
    }

    fn forget_last_guest(&self) {
        let mut state = self.state();
        let cpu = usize::from(state.cpu);
        state.forgotten[cpu] += 1;
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        if !self.runs_guests {
            return [0; 4];
        }
        // A processor that is exactly what guests are promised.
        let context = CpuidContext { apic_id: 0, cpus: 1, cr4: 0, xcr0: 7 };
        let CpuidResult { eax, ebx, ecx, edx } = Baseline::DEFAULT.answer(leaf, subleaf, &context);
        [eax, ebx, ecx, edx]
    }

    fn wall_clock_s(&self) -> Option<i64> {
        Some(1_795_350_896)
    }

    fn tsc(&self) -> u64 {
        self.now().as_nanoseconds()
    }

    fn set_timer(&self, _deadline: Option<Instant>) {}

    fn now(&self) -> Instant {
        let mut state = self.state();
        match state.clock {
            Clock::Steady | Clock::Oversleeping => state.now_ns += 100,
            Clock::Stuck => {}
            Clock::Wavering => {
                state.now_ns += 100;
                if state.now_ns.is_multiple_of(7_700) {
                    return Instant::from_nanoseconds(state.now_ns - 250);
                }
            }
        }
        Instant::from_nanoseconds(state.now_ns)
    }

    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        let mut state = self.state();
        out.fill(0);
        for byte in out {
            *byte = match state.randomness {
                Randomness::Missing => return Err(NoRandomness),
                Randomness::Good | Randomness::Nameless => state.generator.next_u64() as u8,
                Randomness::Stuck => 0x5a,
                Randomness::Skewed => (state.generator.next_u64() & state.generator.next_u64()) as u8,
            };
        }
        Ok(())
    }

    fn incarnation(&self) -> Option<Incarnation> {
        let nameless = matches!(self.state().randomness, Randomness::Missing | Randomness::Nameless);
        (!nameless).then_some(Incarnation(0x1234_5678_9abc_def0))
    }

    fn this_cpu(&self) -> CpuNumber {
        CpuNumber(self.state().cpu)
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn post(&self, to: CpuNumber, mail: Mail) -> Result<(), MailboxFull> {
        let mut state = self.state();
        let size = state.mailbox_size;
        match state.mailboxes.get_mut(usize::from(to.0)) {
            Some(mailbox) if mailbox.len() < size => {
                mailbox.push_back(mail);
                Ok(())
            }
            _ => Err(MailboxFull),
        }
    }

    fn take_mail(&self) -> Option<Mail> {
        let mut state = self.state();
        let cpu = usize::from(state.cpu);
        state.mailboxes[cpu].pop_front()
    }

    fn idle(&self, deadline: Option<Instant>) {
        let mut state = self.state();
        let cpu = usize::from(state.cpu);
        state.deadlines[cpu] = deadline;
        if state.clock_is_held {
            // What waits for other CPUs is theirs: they have their turn before time passes.
            state.at_rest |= cpu == 0 && state.input.is_empty() && state.mailboxes[0].is_empty();
            return;
        }
        // Time passes only when CPU 0 sleeps too, and nothing is there to wake any CPU.
        if cpu != 0 || !state.input.is_empty() || state.mailboxes.iter().any(|mailbox| !mailbox.is_empty()) {
            return;
        }
        if self.network.is_some_and(|adapter| !adapter.wire().is_quiet()) {
            return;
        }
        let Some(wake) = state.deadlines.iter().flatten().min().copied() else {
            state.at_rest = true;
            return;
        };
        state.now_ns = state.now_ns.max(wake.as_nanoseconds());
        if state.clock == Clock::Oversleeping {
            state.now_ns += 3_600_000_000_000;
        }
    }

    fn console_write(&self, bytes: &[u8]) {
        self.state().output.extend_from_slice(bytes);
    }

    fn console_read(&self) -> Option<u8> {
        self.state().input.pop_front()
    }

    fn console_disturbances(&self) -> u64 {
        self.state().disturbances
    }

    fn power_off(&self) -> PowerError {
        self.state().power.push("off");
        PowerError("the switch is only pretended")
    }

    fn reset(&self) -> PowerError {
        self.state().power.push("reset");
        PowerError("the button is only pretended")
    }

    fn provoke(&self, fault: Fault) {
        let mut state = self.state();
        let cpu = state.cpu;
        state.provoked.push((cpu, fault));
    }
}
