//! What the firmware's ACPI tables say of the machine, in one neutral shape.
//!
//! Tables are foreign bytes: each is refused with a note where it is wrong, and the rest still counts. There
//! is no AML interpreter here, and none is needed to boot, to count CPUs, to find PCI, and to switch off.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

pub use self::{
    fadt::{AcpiEnable, Pm1, PmTimer, Reset},
    madt::{
        CpuStatus, DEFAULT_LOCAL_APIC_ADDRESS, InterruptOverride, IoApic, ListedCpu, LocalNmi, NmiSource,
        Signalling,
    },
    mcfg::EcamRegion,
    power::PowerOff,
    register::Register,
    sleep::SleepTypes,
};
use self::{notes::Notes, table::TablePointer};
use crate::physical::PhysicalMemory;

mod fadt;
mod madt;
mod mcfg;
mod notes;
mod power;
mod register;
mod rsdp;
mod sleep;
mod table;
#[cfg(test)]
mod tests;

/// The machine as its firmware describes it. Whatever is missing is left at its safe default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Platform {
    /// Every processor listed, in the firmware's order, each APIC id once; empty where there is no MADT.
    pub cpus: Vec<ListedCpu>,
    /// I/O APICs, each address once.
    pub io_apics: Vec<IoApic>,
    /// ISA interrupts that arrive elsewhere than at the input of their own number.
    pub overrides: Vec<InterruptOverride>,
    /// I/O APIC inputs wired to NMI.
    pub nmi_sources: Vec<NmiSource>,
    /// Local APIC inputs wired to NMI.
    pub local_nmis: Vec<LocalNmi>,
    /// Physical address of every processor's local APIC registers.
    pub local_apic_address: u64,
    /// Whether there are two 8259 interrupt controllers, to be masked before APICs are used.
    pub has_8259: bool,
    /// Memory-mapped PCI configuration space; empty: only the legacy ports 0xcf8 and 0xcfc.
    pub ecam: Vec<EcamRegion>,
    /// The power management timer.
    pub pm_timer: Option<PmTimer>,
    /// How to switch the machine off.
    pub power_off: Option<PowerOff>,
    /// How to reset the machine.
    pub reset: Option<Reset>,
    /// Tables that were refused and fallbacks that were taken, one sentence each.
    pub notes: Vec<String>,
}

/// The processors this host will run on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostCpus {
    /// APIC ids by host CPU number: the boot processor first, then the enabled ones in the firmware's order.
    pub apic_ids: Vec<u32>,
    /// Enabled processors beyond what is supported.
    pub beyond_support: usize,
}

impl Platform {
    /// Reads the tables behind the root pointer at `rsdp`, or behind the one that the BIOS areas hold.
    pub fn read(memory: &impl PhysicalMemory, rsdp: Option<u64>) -> Self {
        let mut notes = Notes::new();
        let mut platform = Self::without_tables();
        if let Some(rsdp) = rsdp::find(memory, rsdp, &mut notes) {
            let tables = table::list(memory, &rsdp, &mut notes);
            platform.take_in(memory, &tables, &mut notes);
        }
        platform.notes = notes.into_list();
        platform
    }

    /// At most `max` enabled processors, that of `boot_apic_id` always among them, whether it is listed or
    /// not.
    pub fn supported(&self, boot_apic_id: u32, max: usize) -> HostCpus {
        let others = self.cpus.iter().filter(|cpu| cpu.status == CpuStatus::Enabled).map(|cpu| cpu.apic_id);
        let mut apic_ids: Vec<u32> =
            core::iter::once(boot_apic_id).chain(others.filter(|&id| id != boot_apic_id)).collect();
        let beyond_support = apic_ids.len().saturating_sub(max.max(1));
        apic_ids.truncate(max.max(1));
        HostCpus { apic_ids, beyond_support }
    }

    fn without_tables() -> Self {
        Self {
            cpus: Vec::new(),
            io_apics: Vec::new(),
            overrides: Vec::new(),
            nmi_sources: Vec::new(),
            local_nmis: Vec::new(),
            local_apic_address: DEFAULT_LOCAL_APIC_ADDRESS,
            // A machine that does not say may have them; masking what is not there does no harm.
            has_8259: true,
            ecam: Vec::new(),
            pm_timer: None,
            power_off: None,
            reset: None,
            notes: Vec::new(),
        }
    }

    fn take_in(&mut self, memory: &impl PhysicalMemory, tables: &[TablePointer], notes: &mut Notes) {
        if let Some(table) = table::load_first(memory, tables, *b"APIC", notes) {
            let madt = madt::parse(&table, notes);
            self.cpus = madt.cpus;
            self.io_apics = madt.io_apics;
            self.overrides = madt.overrides;
            self.nmi_sources = madt.nmi_sources;
            self.local_nmis = madt.local_nmis;
            self.local_apic_address = madt.local_apic_address;
            self.has_8259 = madt.has_8259;
        } else {
            notes.add(|| "ACPI: there is no usable MADT; the host runs on one CPU".into());
        }
        // Machines older than PCI Express have no MCFG: nothing to note.
        if let Some(table) = table::load_first(memory, tables, *b"MCFG", notes) {
            self.ecam = mcfg::parse(&table, notes);
        }
        if let Some(table) = table::load_first(memory, tables, *b"FACP", notes) {
            let fadt = fadt::parse(&table, notes);
            self.pm_timer = fadt.pm_timer;
            self.reset = fadt.reset;
            self.power_off = power::find(memory, tables, &fadt, notes);
        } else {
            notes.add(|| "ACPI: there is no usable FADT; the host cannot switch the machine off".into());
        }
    }
}
