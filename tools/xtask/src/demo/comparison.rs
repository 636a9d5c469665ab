//! Hosts beside each other, before and after, in figures.

use godwit_lab::RawFrames;

use super::{
    moment::Moment,
    report::{GuestReport, LEAF_SIZES},
};

/// Columns of the first column, and of each other.
const LABEL_COLUMNS: usize = 34;
const CELL_COLUMNS: usize = 15;

/// A table with a column for each moment.
pub(super) fn table(guest: &str, moments: &[Moment]) -> String {
    let mut table = row("", moments, |moment| moment.host.clone());
    table += &row("", moments, |moment| moment.when.to_owned());
    let rule = "-".repeat(LABEL_COLUMNS + moments.len() * CELL_COLUMNS);
    table += &format!("  {rule}\n");
    table += &row("memory", moments, |moment| mebibytes(moment.frames.total_frames));
    table += &row("free", moments, |moment| mebibytes(moment.frames.free_frames));
    table += &row("free in one piece at most", moments, |moment| mebibytes(moment.frames.largest_frames));
    table += &row("free 2 MiB blocks", moments, |Moment { frames, .. }| {
        format!("{} of {}", frames.free_blocks(), frames.memory_blocks())
    });
    table += &row("free memory usable as 2 MiB pages", moments, |Moment { frames, .. }| {
        let usable = frames.free_blocks() as u64 * (RawFrames::BLOCK_BYTES / RawFrames::FRAME_BYTES);
        percent(usable, frames.free_frames)
    });
    for (index, size) in LEAF_SIZES.into_iter().enumerate() {
        let label = format!("{guest}: leaves of {size}");
        table += &row(&label, moments, |moment| here(moment, |guest| guest.leaves[index].to_string()));
    }
    let label = format!("{guest}: pieces of host memory");
    table + &row(&label, moments, |moment| here(moment, |guest| guest.places.len().to_string()))
}

fn row(label: &str, moments: &[Moment], cell: impl Fn(&Moment) -> String) -> String {
    let cells: String = moments.iter().map(|moment| format!("{:>CELL_COLUMNS$}", cell(moment))).collect();
    format!("  {label:<LABEL_COLUMNS$}{cells}\n")
}

/// A cell about the guest, where it is there.
fn here(moment: &Moment, cell: impl Fn(&GuestReport) -> String) -> String {
    moment.guest_here().map_or_else(|| "-".to_owned(), cell)
}

/// Rounded down, as the host's own monitor does.
fn mebibytes(frames: u64) -> String {
    let tenths = frames * RawFrames::FRAME_BYTES * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.0} %", 100.0 * part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::tests::moments;

    #[test]
    fn lines_up_for_any_number_of_moments() {
        let mut moments = moments();
        moments.push(Moment { host: "south".to_owned(), when: "after", ..Moment::default() });
        let table = table("web-1", &moments);
        let lines: Vec<_> = table.lines().collect();
        let width = 2 + LABEL_COLUMNS + moments.len() * CELL_COLUMNS;
        assert!(lines.iter().all(|line| line.chars().count() == width), "{table}");
        assert!(lines[0].ends_with("north          south          south"), "{table}");
        assert!(lines[1].ends_with("before         before          after"), "{table}");
        assert!(table.contains("12.0 MiB") && table.contains("3 of 7"), "{table}");
        assert!(lines[7].contains("77 %") && lines[7].ends_with(" -"), "{table}");
        // The guest is on the first host only.
        assert_eq!(lines[9].split_whitespace().skip(5).collect::<Vec<_>>(), ["1", "-", "-"], "{table}");
    }
}
