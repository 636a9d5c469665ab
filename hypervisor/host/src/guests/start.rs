//! Starting a guest, in steps.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use godwit_devices::{Board, BoardConfig, GuestTime, Now, tables as board_tables};
use godwit_frames::{AllocateError, FRAME_BYTES};
use godwit_guest::{
    GuestAddress, GuestMemory, VcpuIndex,
    baseline::{Baseline, Missing},
    bundle::{FileSum, SumError},
    cpu::Activity,
    description::GuestDescription,
    file::File,
    layout::LayoutError,
    loader::{self, FileRole, LoadError, LoadPlan, PlacedTables},
    vcpu::{StateError, VcpuError},
};
use godwit_nested::{MapError, NestedTables, Npt, Rights};

use super::{
    Guest, GuestClock, Origin, Parts, Phase, Ram, RunState, TableFrames, Text, What, files::BundleFiles, fit,
    host_cpuid::HostLeaves, memory, paging::Tables, vcpu::Core,
};
use crate::{size::Size, state::HostState};

/// Bytes that one step makes zero or copies at most.
const BYTES_PER_STEP: u64 = 4 << 20;
/// Bytes that are copied at a time.
const CHUNK: usize = 4096;
/// Where the ACPI tables lie in every guest.
pub(super) const ACPI_TABLES: GuestAddress = GuestAddress(0xe_0000);

/// Why a guest cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("there is no guest called {0}; \"guests\" lists them")]
    Unknown(alloc::string::String),
    #[error("it is {0} already")]
    Already(&'static str),
    #[error("it moved to {0} and runs there; \"start NAME --force\" boots another one of that name here")]
    Away(alloc::string::String),
    #[error("its kernel is on host {0}, which it came from; start it there")]
    Elsewhere(alloc::string::String),
    #[error("{0}")]
    Unfit(#[from] fit::Unfit),
    #[error("{0}")]
    Layout(#[from] LayoutError),
    #[error("no memory for it: {0}")]
    Memory(AllocateError),
    #[error("{0}")]
    File(#[from] SumError),
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Vcpu(#[from] VcpuError),
    #[error("{0}")]
    State(#[from] StateError),
    #[error("this processor does not have what guests are promised: {0}")]
    Baseline(Missing),
    #[error("its nested page tables: {0}")]
    Tables(MapError),
    #[error("memory that it was given cannot be reached at {0}")]
    Unreachable(GuestAddress),
}

/// What is left to do.
enum Stage {
    /// Summing a file, so that what boots is what was packed.
    Sum { role: FileRole, sum: FileSum },
    /// Making memory zero, from this frame of this segment on.
    Zero { segment: usize, frame: u64 },
    /// Copying files, from this byte of this copy on.
    Copy { plan: LoadPlan, copy: usize, done: u64 },
}

/// A guest that is being started. Its memory is given back by [`abandon`](Self::abandon).
pub struct StartTask {
    description: GuestDescription,
    files: BundleFiles,
    ram: Ram,
    stage: Option<Stage>,
}

/// Begins to start the guest called `name`; one that moved away only where that is forced.
///
/// # Errors
/// [`StartError`]; nothing was taken.
pub(crate) fn begin(state: &mut HostState<'_, '_>, name: &str, force: bool) -> Result<(), StartError> {
    let begun = take_memory(state, name, force);
    match &begun {
        Ok(()) => state.note(name, What::Starting),
        // Nothing happened to it.
        Err(
            StartError::Unknown(_) | StartError::Already(_) | StartError::Away(_) | StartError::Elsewhere(_),
        ) => {}
        Err(error) => state.note(name, What::NotStarted { why: Text::new(error) }),
    }
    begun
}

fn take_memory(state: &mut HostState<'_, '_>, name: &str, force: bool) -> Result<(), StartError> {
    let machine = state.machine.description();
    let entry = state.roster.find_mut(name).ok_or_else(|| StartError::Unknown(name.into()))?;
    match &entry.phase {
        Phase::Stopped(_) => {}
        Phase::Away(_) if force => {}
        Phase::Away(to) => return Err(StartError::Away(to.clone())),
        Phase::Starting(_) => return Err(StartError::Already("starting")),
        Phase::Here => return Err(StartError::Already("started")),
        Phase::Leaving(_) | Phase::Arriving => return Err(StartError::Already("on its way")),
    }
    let files = match &entry.origin {
        Origin::Bundle(files) => files.clone(),
        Origin::Moved(from) => return Err(StartError::Elsewhere(from.clone())),
    };
    let description = entry.description.clone();
    fit::check(&description, machine)?;
    let ram = memory::allocate(
        &description.layout()?,
        memory::largest_leaf(description.pages, machine),
        state.cpu.frames(),
    );
    state.cpu.frames().drain();
    let ram = ram.map_err(StartError::Memory)?;
    let stage = Some(Stage::Sum { role: FileRole::Kernel, sum: FileSum::new(files.kernel.clone()) });
    entry.phase = Phase::Starting(Box::new(StartTask { description, files, ram, stage }));
    entry.console.lock().begin();
    Ok(())
}

impl StartTask {
    /// Does a bounded piece of the work; `true` once the guest runs.
    ///
    /// # Errors
    /// [`StartError`]: the task is then to be [abandoned](Self::abandon).
    pub(super) fn step(&mut self, state: &mut HostState<'_, '_>) -> Result<bool, StartError> {
        match self.stage.take() {
            Some(Stage::Sum { role, mut sum }) => {
                let summed = sum.step(&self.files.bundle(state.machine.memory()), BYTES_PER_STEP)?;
                self.stage = Some(match (summed, role, &self.files.initrd) {
                    (false, ..) => Stage::Sum { role, sum },
                    (true, FileRole::Kernel, Some(initrd)) => {
                        Stage::Sum { role: FileRole::Initrd, sum: FileSum::new(initrd.clone()) }
                    }
                    _ => Stage::Zero { segment: 0, frame: 0 },
                });
                Ok(false)
            }
            Some(Stage::Zero { segment, frame }) => {
                self.stage = Some(self.zero(state, segment, frame)?);
                Ok(false)
            }
            Some(Stage::Copy { plan, copy, done }) if copy < plan.copies.len() => {
                self.stage = Some(self.copy(state, plan, copy, done)?);
                Ok(false)
            }
            Some(Stage::Copy { plan, .. }) => {
                self.finish(state, &plan)?;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    /// Gives everything back.
    pub(super) fn abandon(mut self, state: &mut HostState<'_, '_>) {
        self.ram.free(state.cpu.frames());
        state.cpu.frames().drain();
    }

    fn zero(&self, state: &HostState<'_, '_>, segment: usize, frame: u64) -> Result<Stage, StartError> {
        let Some(here) = self.ram.segments().get(segment) else {
            return Ok(Stage::Copy { plan: self.plan(state)?, copy: 0, done: 0 });
        };
        let frames = (here.run.frames() - frame).min(BYTES_PER_STEP / FRAME_BYTES);
        let zeroed = state.machine.memory().zero(&here.run, frame * FRAME_BYTES, frames * FRAME_BYTES);
        zeroed.map_err(|_| StartError::Unreachable(here.start.address()))?;
        Ok(if frame + frames == here.run.frames() {
            Stage::Zero { segment: segment + 1, frame: 0 }
        } else {
            Stage::Zero { segment, frame: frame + frames }
        })
    }

    fn plan(&self, state: &HostState<'_, '_>) -> Result<LoadPlan, StartError> {
        let bundle = self.files.bundle(state.machine.memory());
        let kernel = self.files.kernel.within(&bundle);
        let initrd = self.files.initrd.as_ref().map(|file| file.within(&bundle));
        let acpi = board_tables::build(ACPI_TABLES, self.description.processors.count.get());
        let plan = loader::plan(
            &self.description,
            &self.description.layout()?,
            &kernel,
            initrd.as_ref().map(|file| file as &dyn File),
            PlacedTables { at: ACPI_TABLES, bytes: &acpi.bytes, rsdp: acpi.rsdp },
        )?;
        Ok(plan)
    }

    fn copy(
        &self,
        state: &HostState<'_, '_>,
        plan: LoadPlan,
        copy: usize,
        mut done: u64,
    ) -> Result<Stage, StartError> {
        let Some(job) = plan.copies.get(copy) else { return Ok(Stage::Copy { plan, copy, done }) };
        let memory = state.machine.memory();
        let door = self.ram.door(memory);
        let bundle = self.files.bundle(memory);
        let Some(range) = self.files.range(job.file) else {
            return Ok(Stage::Copy { plan, copy: copy + 1, done: 0 });
        };
        let file = range.within(&bundle);
        let mut buffer = [0; CHUNK];
        let end = job.bytes.min(done + BYTES_PER_STEP);
        while done < end {
            let now = (end - done).min(CHUNK as u64);
            let chunk = buffer.get_mut(..now as usize).unwrap_or_default();
            let to = GuestAddress(job.to.0 + done);
            file.read(job.offset + done, chunk).map_err(|_| StartError::Unreachable(to))?;
            door.write(to, chunk).map_err(|_| StartError::Unreachable(to))?;
            done += now;
        }
        Ok(if done == job.bytes {
            Stage::Copy { plan, copy: copy + 1, done: 0 }
        } else {
            Stage::Copy { plan, copy, done }
        })
    }

    /// Writes the small pieces, makes tables, devices and virtual CPUs, and lets the guest run.
    fn finish(&mut self, state: &mut HostState<'_, '_>, plan: &LoadPlan) -> Result<(), StartError> {
        let machine = state.machine;
        let door = self.ram.door(machine.memory());
        for (at, bytes) in &plan.writes {
            door.write(*at, bytes).map_err(|_| StartError::Unreachable(*at))?;
        }
        let baseline = Baseline::DEFAULT;
        baseline.satisfied_by(&HostLeaves(machine)).map_err(StartError::Baseline)?;
        let config = board_config(&self.description, machine);
        let clock = GuestClock::showing(machine, Now { time: GuestTime(0), tsc: 0 });
        let mut cores = Vec::new();
        for index in self.description.processors.count.each() {
            let mut cpu = machine.create_vcpu(baseline)?;
            let mut activity = Activity::WaitingForStartUp;
            if index == VcpuIndex::BOOT {
                cpu.set_state(&plan.cpu)?;
                activity = Activity::Running;
            }
            cpu.set_tsc_offset(clock.tsc_offset());
            cores.push(Core::new(cpu, activity));
        }
        let entry = state.roster.find(self.description.name.as_str());
        let console = entry.map(|entry| entry.console.clone()).unwrap_or_default();
        let parts = Parts {
            cores,
            board: Board::new(&config),
            config,
            clock,
            baseline,
            state: RunState::Running,
            console,
        };
        let ram = core::mem::take(&mut self.ram);
        let guest = match assemble(state, self.description.clone(), ram, parts) {
            Ok(guest) => guest,
            Err((ram, error)) => {
                self.ram = ram;
                return Err(error);
            }
        };
        let size = Size::from_bytes(self.description.memory_bytes);
        let (name, cpus) = (&self.description.name, guest.vcpus.len());
        log::info!("guest {name} starts with {size} and {cpus} CPU{}", if cpus == 1 { "" } else { "s" });
        place(state, guest);
        let Self { description: GuestDescription { name, memory_bytes, .. }, .. } = self;
        state.note(name.as_str(), What::Started { memory_bytes: *memory_bytes, cpus });
        Ok(())
    }
}

/// The board of a guest that starts now.
pub(crate) fn board_config(description: &GuestDescription, machine: &dyn crate::Machine) -> BoardConfig {
    BoardConfig {
        cpus: description.processors.count.get(),
        memory_bytes: description.memory_bytes,
        tsc_hz: machine.description().tsc_hz,
        wall_clock_start_s: machine.wall_clock_s().unwrap_or(0),
    }
}

/// Maps the guest's memory with the largest leaves and puts everything together.
///
/// # Errors
/// The memory, and why.
pub(crate) fn assemble(
    state: &mut HostState<'_, '_>,
    description: GuestDescription,
    mut ram: Ram,
    parts: Parts,
) -> Result<Box<Guest>, (Ram, StartError)> {
    let mut table_frames = TableFrames::default();
    let mapped = {
        let mut open = table_frames.open(state.machine.memory(), state.cpu.frames());
        let largest = memory::largest_leaf(description.pages, state.machine.description());
        NestedTables::<Npt>::new(&mut open, largest).map_err(MapError::from).and_then(|mut tables| {
            for segment in ram.segments() {
                tables.map(&mut open, segment.start.0, segment.run.range(), Rights::all())?;
            }
            Ok(tables)
        })
    };
    state.cpu.frames().drain();
    let tables = match mapped {
        Ok(tables) => tables,
        Err(error) => {
            table_frames.free(state.cpu.frames());
            return Err((core::mem::take(&mut ram), StartError::Tables(error)));
        }
    };
    let trust_domain = state.roster.trust_domain(&description);
    let tables = Tables { nested: tables, frames: table_frames };
    Ok(Box::new(Guest::new(description, ram, tables, trust_domain, parts)))
}

/// Lets the CPUs run a guest, whose name the roster has, from then on.
pub(crate) fn place(state: &mut HostState<'_, '_>, guest: Box<Guest>) {
    let guest: Arc<Guest> = guest.into();
    let Some(entry) = state.roster.find_mut(guest.description.name.as_str()) else { return };
    entry.guest = Some(guest.clone());
    state.guests.scene(state.machine).admit(&guest);
}
