//! What the machine found about itself: plain data for the banner and the monitor.

use alloc::{string::String, vec::Vec};

use godwit_frames::Order;

/// A named processor feature and whether this machine has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feature {
    /// The field's standard name, such as `NPT` or `EPT 1 GiB leaves`.
    pub name: &'static str,
    /// Whether the processor reports it.
    pub present: bool,
}

/// How this machine can run guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Virtualization {
    /// AMD SVM.
    Svm,
    /// Intel VMX.
    Vmx,
    /// Neither, with the reason and what a person can do about it.
    Missing(&'static str),
}

/// What one processor is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuState {
    /// In its own loop.
    Running,
    /// Listed by the firmware but it did not answer the start signal.
    Silent,
}

/// One logical processor, in the order of host CPU numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CpuInfo {
    /// Local APIC id.
    pub apic_id: u32,
    /// Whether it runs.
    pub state: CpuState,
    /// Frequency of its local APIC timer in Hz (counts per second at divider 1), 0 while unknown.
    pub timer_hz: u64,
}

/// One PCI function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PciFunction {
    /// Segment group.
    pub segment: u16,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
    /// Vendor id.
    pub vendor_id: u16,
    /// Device id.
    pub device_id: u16,
    /// Class code, subclass, programming interface.
    pub class: (u8, u8, u8),
}

/// The machine, described once at boot.
#[derive(Clone, Debug)]
pub struct Description {
    /// Processor vendor as CPUID says it, such as `AuthenticAMD`.
    pub cpu_vendor: String,
    /// Processor brand string, trimmed.
    pub cpu_model: String,
    /// How guests can run here.
    pub virtualization: Virtualization,
    /// Virtualization features, found or missing.
    pub features: Vec<Feature>,
    /// What is done against leaks by speculation, such as `IBPB between guests`; empty where nothing is.
    pub mitigations: Vec<&'static str>,
    /// The largest leaf of nested page tables: 1 GiB or 2 MiB.
    pub largest_leaf: Order,
    /// Width of physical addresses in bits.
    pub physical_address_bits: u8,
    /// Time stamp counter frequency in Hz.
    pub tsc_hz: u64,
    /// How the frequency was learnt, such as `ACPI PM timer`.
    pub tsc_source: &'static str,
    /// Whether the local APICs run in x2APIC mode.
    pub x2apic: bool,
    /// Logical processors by host CPU number.
    pub cpus: Vec<CpuInfo>,
    /// Processors that the firmware lists beyond what this build supports.
    pub cpus_beyond_support: usize,
    /// PCI functions in bus order.
    pub pci: Vec<PciFunction>,
    /// Things a person should know: tables that were refused, fallbacks that were taken. One sentence each.
    pub notes: Vec<String>,
}
