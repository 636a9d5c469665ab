//! Hosts beside each other, in figures.

use godwit_lab::RawFrames;

/// Columns of the first column, and of each host's.
const LABEL_COLUMNS: usize = 38;
const HOST_COLUMNS: usize = 18;

/// A table with a column for each host.
pub(super) fn table(hosts: &[(String, RawFrames)]) -> String {
    let mut table = row("", hosts, |(name, _)| name.clone());
    let rule = "-".repeat(LABEL_COLUMNS + hosts.len() * HOST_COLUMNS);
    table += &format!("  {rule}\n");
    table += &row("memory", hosts, |(_, frames)| mebibytes(frames.total_frames));
    table += &row("free", hosts, |(_, frames)| mebibytes(frames.free_frames));
    table += &row("free in one piece at most", hosts, |(_, frames)| mebibytes(frames.largest_frames));
    table += &row("free 2 MiB blocks", hosts, |(_, frames)| {
        format!("{} of {}", frames.free_blocks(), frames.memory_blocks())
    });
    table += &row("free memory usable as 2 MiB pages", hosts, |(_, frames)| {
        let usable = frames.free_blocks() as u64 * (RawFrames::BLOCK_BYTES / RawFrames::FRAME_BYTES);
        percent(usable, frames.free_frames)
    });
    table
}

fn row(label: &str, hosts: &[(String, RawFrames)], cell: impl Fn(&(String, RawFrames)) -> String) -> String {
    let cells: String = hosts.iter().map(|host| format!("{:>HOST_COLUMNS$}", cell(host))).collect();
    format!("  {label:<LABEL_COLUMNS$}{cells}\n")
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
    use crate::demo::tests::EIGHT_BLOCKS;

    #[test]
    fn lines_up_for_any_number_of_hosts() {
        let frames = RawFrames::parse(EIGHT_BLOCKS).unwrap();
        let hosts = [("north".to_owned(), frames), ("south".to_owned(), RawFrames::default())];
        let table = table(&hosts);
        let lines: Vec<_> = table.lines().collect();
        let width = 2 + LABEL_COLUMNS + 2 * HOST_COLUMNS;
        assert!(lines.iter().all(|line| line.chars().count() == width), "{table}");
        assert!(lines[0].ends_with("north             south"), "{table}");
        assert!(table.contains("12.0 MiB") && table.contains("3 of 7"), "{table}");
        assert!(lines[6].contains("77 %") && lines[6].ends_with(" -"), "{table}");
    }
}
