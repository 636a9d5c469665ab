//! Memory as the firmware describes it, and frames as the allocator has them.

use core::fmt::{self, Write};

use godwit_frames::Report;

use super::layout::paragraph;
use crate::{
    boot::{MemoryMap, RegionKind},
    size::Size,
};

/// The memory map, a line for every span; holes between spans are not memory.
///
/// # Errors
/// Those of `out`.
pub fn memory_table(out: &mut impl Write, memory: &MemoryMap) -> fmt::Result {
    if memory.spans().is_empty() {
        return paragraph(out, "memory", format_args!("the firmware describes none"));
    }
    for (index, span) in memory.spans().iter().enumerate() {
        let first = span.range.start.address();
        let last = first.saturating_add(span.range.bytes()).saturating_sub(1);
        let kind = match span.kind {
            RegionKind::Usable => "usable",
            RegionKind::Reserved => "reserved",
            RegionKind::AcpiReclaimable => "ACPI tables",
            RegionKind::AcpiNonVolatile => "ACPI non-volatile",
            RegionKind::Unusable => "faulty",
        };
        let label = if index == 0 { "memory" } else { "" };
        let size = Size::from_frames(span.range.frames);
        writeln!(out, "  {label:<10}{first:#015x} - {last:#015x} {size:>9}  {kind}")?;
    }
    Ok(())
}

/// The frame allocator in two lines.
///
/// # Errors
/// Those of `out`.
pub fn frames_summary(out: &mut impl Write, report: &Report) -> fmt::Result {
    paragraph(
        out,
        "frames",
        format_args!(
            "{} managed, {} used, {} free",
            Size::from_frames(report.total_frames),
            Size::from_frames(report.used_frames()),
            Size::from_frames(report.free_frames)
        ),
    )?;
    paragraph(
        out,
        "",
        format_args!(
            "{} free 2 MiB runs, {} free 1 GiB runs, largest free run {}",
            report.free_2m_runs(),
            report.free_runs_of(godwit_frames::Order::HUGE),
            Size::from_frames(report.largest_run_frames)
        ),
    )
}
