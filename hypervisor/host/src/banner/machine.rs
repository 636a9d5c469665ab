//! Processors, what they can virtualize, and PCI functions.

use core::fmt::{self, Write};

use super::layout::{Paragraph, paragraph};
use crate::{
    description::{CpuState, Description, Feature, Virtualization},
    pci_names::{class_name, vendor_name},
};

/// PCI functions that the banner names.
const MAX_PCI_LINES: usize = 64;

/// The processor's make, and how many run.
///
/// # Errors
/// Those of `out`.
pub fn processor(out: &mut impl Write, description: &Description) -> fmt::Result {
    let Description { cpu_vendor, cpu_model, cpus, physical_address_bits, tsc_hz, tsc_source, .. } =
        description;
    paragraph(out, "cpu", format_args!("{cpu_vendor}, {cpu_model}"))?;
    let running = cpus.iter().filter(|cpu| cpu.state == CpuState::Running).count();
    let apic = if description.x2apic { "x2APIC" } else { "xAPIC" };
    let (mhz, tenths) = (tsc_hz / 1_000_000, tsc_hz / 100_000 % 10);
    let plural = if cpus.len() == 1 { "" } else { "s" };
    paragraph(
        out,
        "",
        format_args!(
            "{running} of {} CPU{plural} running, {apic}, {physical_address_bits} physical address bits",
            cpus.len()
        ),
    )?;
    paragraph(out, "", format_args!("time stamp counter at {mhz}.{tenths} MHz by {tsc_source}"))?;
    for (number, _) in cpus.iter().enumerate().filter(|(_, cpu)| cpu.state == CpuState::Silent) {
        paragraph(out, "", format_args!("cpu{number} did not answer the start signal"))?;
    }
    if description.cpus_beyond_support > 0 {
        let beyond = description.cpus_beyond_support;
        paragraph(
            out,
            "",
            format_args!("{beyond} more CPUs are beyond what this build supports: not started"),
        )?;
    }
    Ok(())
}

/// How guests can run here: each virtualization feature, found or missing.
///
/// # Errors
/// Those of `out`.
pub fn virtualization(out: &mut impl Write, description: &Description) -> fmt::Result {
    let label = match description.virtualization {
        Virtualization::Svm => "svm",
        Virtualization::Vmx => "vmx",
        Virtualization::Missing(why) => {
            paragraph(out, "guests", format_args!("cannot run here: {why}"))?;
            "features"
        }
    };
    let mut label = Some(label);
    for (present, word) in [(true, "found"), (false, "missing")] {
        let mut named = description.features.iter().filter(|feature| feature.present == present).peekable();
        if named.peek().is_none() {
            continue;
        }
        let mut list = Paragraph::begin(out, label.take().unwrap_or(""))?;
        write!(list, "{word}:")?;
        while let Some(Feature { name, .. }) = named.next() {
            list.write_char(' ')?;
            list.unbroken(name)?;
            list.write_str(if named.peek().is_some() { "," } else { "" })?;
        }
        list.end()?;
    }
    if let Some(label) = label
        && !matches!(description.virtualization, Virtualization::Missing(_))
    {
        paragraph(out, label, format_args!("found, with none of the features that are looked for"))?;
    }
    match description.virtualization {
        Virtualization::Missing(_) => Ok(()),
        Virtualization::Svm | Virtualization::Vmx => mitigations(out, &description.mitigations),
    }
}

/// What keeps guests from each other's secrets, and the host's.
fn mitigations(out: &mut impl Write, names: &[&str]) -> fmt::Result {
    let mut list = Paragraph::begin(out, "")?;
    list.write_str("mitigations:")?;
    if names.is_empty() {
        list.write_str(" none offered by this processor")?;
    }
    for (index, name) in names.iter().enumerate() {
        list.write_char(' ')?;
        list.unbroken(name)?;
        list.write_str(if index + 1 < names.len() { "," } else { "" })?;
    }
    list.end()
}

/// Every CPU on a line.
///
/// # Errors
/// Those of `out`.
pub fn cpu_table(out: &mut impl Write, description: &Description) -> fmt::Result {
    writeln!(out, "  cpu      APIC id  state    timer")?;
    for (number, cpu) in description.cpus.iter().enumerate() {
        let state = match cpu.state {
            CpuState::Running => "running",
            CpuState::Silent => "silent",
        };
        write!(out, "  cpu{number:<5} {:>7}  {state:<8} ", cpu.apic_id)?;
        match cpu.timer_hz {
            0 => writeln!(out, "not calibrated")?,
            hz => writeln!(out, "{}.{} MHz", hz / 1_000_000, hz / 100_000 % 10)?,
        }
    }
    Ok(())
}

/// Every PCI function on a line, up to a bound; what is left out is counted.
///
/// # Errors
/// Those of `out`.
pub fn pci_table(out: &mut impl Write, description: &Description) -> fmt::Result {
    if description.pci.is_empty() {
        return paragraph(out, "pci", format_args!("no function found"));
    }
    let many_segments = description.pci.iter().any(|function| function.segment != 0);
    for (index, function) in description.pci.iter().take(MAX_PCI_LINES).enumerate() {
        let mut line = Paragraph::begin(out, if index == 0 { "pci" } else { "" })?;
        if many_segments {
            write!(line, "{:04x}:", function.segment)?;
        }
        write!(
            line,
            "{:02x}:{:02x}.{} {:04x}:{:04x} {}",
            function.bus,
            function.device,
            function.function,
            function.vendor_id,
            function.device_id,
            class_name(function.class)
        )?;
        if let Some(vendor) = vendor_name(function.vendor_id) {
            write!(line, " ({vendor})")?;
        }
        line.end()?;
    }
    let left_out = description.pci.len().saturating_sub(MAX_PCI_LINES);
    if left_out > 0 {
        paragraph(out, "", format_args!("and {left_out} more"))?;
    }
    Ok(())
}
