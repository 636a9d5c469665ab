//! What the machine consists of: firmware tables, interrupt controllers, clock, processors, PCI, power.

use alloc::{format, string::String, vec::Vec};

use godwit_frames::Order;
use godwit_host::{description::Description, machine::Incarnation};
use x86_64::{PhysAddr, VirtAddr};

use super::{Ground, early, processors};
use crate::{
    acpi::Platform,
    apic::{
        io::{self, Signal},
        legacy, local as local_apic,
    },
    console,
    cpu::{MAX_CPUS, local, processor::ThisProcessor, random::Generator},
    features::{self, TscFrequency},
    hardware::Hardware,
    interrupts::vectors,
    memory::{
        frame_access::DirectMemory,
        paging::{ADDRESS_SPACE, MapError},
        table_frames::TableFrames,
        window::Window,
    },
    nic::adapter,
    pci::access::ConfigurationSpace,
    power::Power,
    register::Reachable,
    speculation,
    time::{
        calibrate::{self, PmTimer},
        tsc, wall_clock,
    },
    virtual_cpu::vendor,
};

/// COM1's interrupt on the ISA bus.
const CONSOLE_ISA_IRQ: u8 = 4;
/// Bytes of one IO-APIC's registers.
const IO_APIC_BYTES: u64 = 0x20;
/// Bytes of the local APIC's registers.
const LOCAL_APIC_BYTES: u64 = 4096;

type Frames = TableFrames<'static, 'static>;

/// Finds everything, starts the processors, and describes the machine.
pub(super) fn find(ground: &Ground) -> Hardware {
    let mut frames = TableFrames::new(ground.frames.cpu());
    let features = &ground.features;
    let window = Window::new(features.physical_address_bits, TableFrames::new(ground.frames.cpu()));
    let mut platform = Platform::read(&window, ground.boot.rsdp);
    let mut notes = core::mem::take(&mut platform.notes);

    if platform.has_8259 {
        legacy::silence();
    }
    start_local_apic(&platform, features.x2apic, &mut frames, &mut notes);
    let (tsc_hz, tsc_source) = clock_frequency(ground, &platform, &mut frames, &mut notes);
    tsc::start(tsc_hz);
    let wall_clock_start_s = wall_clock::read();
    if wall_clock_start_s.is_none() {
        notes.push(String::from("the real-time clock shows no date; guests start in 1970"));
    }
    route_console(&platform, &mut frames, &mut notes);

    if !local_apic::is_x2apic() {
        // Without x2APIC mode an interrupt command names 8 bits, of which all ones is everybody (SDM vol. 3, 12.6.1).
        let listed = platform.cpus.len();
        platform.cpus.retain(|cpu| cpu.apic_id < local_apic::XAPIC_BROADCAST);
        if platform.cpus.len() < listed {
            notes.push(format!(
                "{} CPUs have APIC ids that need x2APIC mode, which is missing",
                listed - platform.cpus.len()
            ));
        }
    }
    let mut listed = platform.supported(local_apic::id(), MAX_CPUS);
    if let Some(wanted) = ground.command_line.options.cpus {
        let found = listed.apic_ids.len();
        listed.apic_ids.truncate(usize::from(wanted).max(1));
        if listed.apic_ids.len() < found {
            notes.push(format!(
                "{} more CPUs are left alone, as the command line asks",
                found - listed.apic_ids.len()
            ));
        }
    }
    // Before other processors start: each enables it for itself.
    let mut report = features::virtualization(&ThisProcessor);
    let svm_without = ground.command_line.options.svm_without;
    notes.extend(report.leave_unused(svm_without));
    vendor::start(report.virtualization, features, ground.frames, svm_without);
    let cpus = processors::start(ground, tsc_hz, &listed.apic_ids, &mut notes);

    let power = Power::find(&platform, &mut frames);
    // SAFETY: the MCFG names these regions; each is mapped once, whole.
    let configuration = unsafe {
        ConfigurationSpace::new(
            &platform.ecam,
            |start, bytes| map_device(start, bytes, &mut frames),
            &mut notes,
        )
    };
    let pci = configuration.functions(&mut notes);
    // SAFETY: this host's drivers are this one alone, and `map_device` maps no RAM.
    let network =
        unsafe { adapter::find(&configuration, &pci, local_apic::id(), &mut frames, map_device, &mut notes) };
    let generator = Generator::find(features);
    let incarnation = generator.as_ref().and_then(|generator| {
        let mut name = [0; 16];
        generator.fill(&mut name).ok().map(|()| Incarnation(u128::from_le_bytes(name)))
    });
    frames.handle().drain();
    Hardware {
        description: Description {
            cpu_vendor: String::from(features.vendor.as_str()),
            cpu_model: String::from(features.brand.as_str()),
            virtualization: report.virtualization,
            features: report.features,
            mitigations: speculation::apply::chosen().names(),
            // Nested tables of SVM have the leaves of ordinary ones (APM vol. 2, 15.25.5).
            largest_leaf: if features.gigabyte_pages { Order::HUGE } else { Order::LARGE },
            physical_address_bits: features.physical_address_bits,
            tsc_hz,
            tsc_source,
            x2apic: local_apic::is_x2apic(),
            cpus,
            cpus_beyond_support: listed.beyond_support,
            pci,
            notes,
        },
        heap: ground.heap,
        memory: DirectMemory::new(&ground.boot, &ground.memory_map),
        wall_clock_start_s,
        network,
        power,
        generator,
        incarnation,
    }
}

fn map_device(address: u64, bytes: u64, frames: &mut TableFrames<'_, '_>) -> Result<VirtAddr, MapError> {
    let start = PhysAddr::try_new(address).map_err(|_| MapError::OutOfAddresses)?;
    let mut space = ADDRESS_SPACE.lock();
    space.as_mut().ok_or(MapError::OutOfFrames)?.map_device(start, bytes, frames)
}

fn start_local_apic(platform: &Platform, x2apic: bool, frames: &mut Frames, notes: &mut Vec<String>) {
    let registers = if x2apic {
        VirtAddr::zero()
    } else {
        let address = local_apic::registers();
        if address != platform.local_apic_address {
            let listed = platform.local_apic_address;
            notes.push(format!(
                "the local APIC is at {address:#x}, not at {listed:#x} as the firmware's table says"
            ));
        }
        match map_device(address, LOCAL_APIC_BYTES, frames) {
            Ok(at) => at,
            Err(error) => {
                early::give_up(format_args!("the local APIC's registers cannot be mapped: {error:?}"))
            }
        }
    };
    // SAFETY: the page was just mapped uncacheable where the processor says that its APIC is, or CPUID reports x2APIC.
    unsafe { local_apic::set_up(x2apic, registers) };
    local_apic::enable();
    local::this().set_apic_id(local_apic::id());
}

/// The time stamp counter's frequency in Hz and how it was learnt: declared by the operator, else found here.
fn clock_frequency(
    ground: &Ground,
    platform: &Platform,
    frames: &mut Frames,
    notes: &mut Vec<String>,
) -> (u64, &'static str) {
    let (found, source) = measure_clock(platform, ground.features.tsc, frames, notes);
    let Some(declared) = ground.command_line.options.tsc_hz else { return (found, source) };
    if declared.abs_diff(found) > found / 100 {
        notes.push(format!(
            "godwit.tsc_hz declares {declared} Hz, but by {source} the counter has {found} Hz: clocks may run wrong"
        ));
    }
    (declared, "command line")
}

/// The time stamp counter's frequency in Hz and how it was learnt: measured where that can be, else as CPUID says.
fn measure_clock(
    platform: &Platform,
    named: Option<TscFrequency>,
    frames: &mut Frames,
    notes: &mut Vec<String>,
) -> (u64, &'static str) {
    if let Some(timer) = platform.pm_timer {
        // SAFETY: the FADT names the power management timer's register; it is only read.
        if let Some(register) = unsafe { Reachable::new(timer.register, 4, frames) } {
            let timer = PmTimer { register, is_32_bit: timer.bits == 32 };
            if let Some(hz) = calibrate::tsc_by_pm_timer(timer) {
                return (hz, "ACPI PM timer");
            }
            notes.push(String::from("the ACPI PM timer does not count"));
        }
    }
    if let Some(hz) = calibrate::tsc_by_pit() {
        return (hz, "PIT");
    }
    if let Some(frequency) = named {
        return (frequency.hz, frequency.source);
    }
    notes.push(String::from("no timer of known frequency counts; the clock assumes 1 GHz and may run wrong"));
    (1_000_000_000, "assumption")
}

/// Lets a typed byte interrupt the boot processor.
fn route_console(platform: &Platform, frames: &mut Frames, notes: &mut Vec<String>) {
    for io_apic in &platform.io_apics {
        match map_device(io_apic.address, IO_APIC_BYTES, frames) {
            // SAFETY: just mapped uncacheable where the MADT says that an IO-APIC is; nothing else drives it.
            Ok(registers) => unsafe { io::add(registers, io_apic.gsi_base) },
            Err(error) => {
                notes.push(format!("the IO-APIC at {:#x} cannot be mapped: {error:?}", io_apic.address));
            }
        }
    }
    let (input, signal) = platform.overrides.iter().find(|other| other.isa_irq == CONSOLE_ISA_IRQ).map_or(
        (u32::from(CONSOLE_ISA_IRQ), Signal { active_low: false, level: false }),
        |other| {
            (other.gsi, Signal { active_low: other.signalling.active_low, level: other.signalling.level })
        },
    );
    if io::route(input, signal, vectors::CONSOLE, local_apic::id()) {
        console::enable_receive_interrupt();
    } else {
        notes.push(String::from(
            "the console cannot interrupt; the boot processor looks at it 100 times a second",
        ));
    }
}
