//! Free memory by the size of its pieces.

use core::fmt::{self, Write};

use godwit_frames::{Order, Report};

use crate::size::Size;

/// Columns of a full bar.
const BAR: u64 = 32;

/// Writes a line for every order that has free runs, with a bar for its share of the free memory, and what that means
/// for large mappings.
///
/// # Errors
/// Those of `out`.
pub fn write_orders(out: &mut impl Write, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "  {} managed, {} used, {} free, largest free run {}",
        Size::from_frames(report.total_frames),
        Size::from_frames(report.used_frames()),
        Size::from_frames(report.free_frames),
        Size::from_frames(report.largest_run_frames)
    )?;
    if report.free_frames == 0 {
        return writeln!(out, "  nothing is free");
    }
    writeln!(out, "  free run      count     memory  share of what is free")?;
    for order in Order::all() {
        let Some(&runs) = report.free_runs.get(order.index()).filter(|&&runs| runs > 0) else { continue };
        let frames = runs.saturating_mul(order.frames());
        let share = |of: u64| (u128::from(frames) * u128::from(of) / u128::from(report.free_frames)) as u64;
        // At least one mark: what is there shows.
        let marks = share(BAR).clamp(1, BAR) as usize;
        writeln!(
            out,
            "  {:>8} {runs:>10} {:>10}  {:<bar$} {:>3} %",
            Size::from_bytes(order.bytes()),
            Size::from_frames(frames),
            Bar(marks),
            share(100),
            bar = BAR as usize
        )?;
    }
    let [large, huge] = [Order::LARGE, Order::HUGE].map(|order| report.unusable_free_permille(order));
    writeln!(
        out,
        "  of the free memory {}.{} % cannot serve 2 MiB runs, {}.{} % cannot serve 1 GiB runs",
        large / 10,
        large % 10,
        huge / 10,
        huge % 10
    )?;
    if report.cached_frames_at_most > 0 {
        let cached = Size::from_frames(report.cached_frames_at_most);
        writeln!(out, "  CPUs keep up to {cached} of the used memory at hand")?;
    }
    Ok(())
}

/// A bar of that many marks, padded like text.
struct Bar(usize);

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.0 {
            f.write_char('#')?;
        }
        for _ in self.0..f.width().unwrap_or(0) {
            f.write_char(' ')?;
        }
        Ok(())
    }
}
