//! The compact report: what is encoded decodes, and nothing else does.

use godwit_frames::{DecodeError, Order, Report};
use proptest::prelude::*;

fn report() -> impl Strategy<Value = Report> {
    let runs = prop::collection::vec(0u64..1 << 12, Order::COUNT);
    (runs, 0u64..1 << 20, 0u64..1 << 14, any::<prop::sample::Index>()).prop_map(
        |(runs, used, cached, largest)| {
            let mut report = Report { cached_frames_at_most: cached, ..Report::default() };
            report.free_runs.copy_from_slice(&runs);
            report.free_frames = report.free_runs_of(Order::FRAME);
            report.total_frames = report.free_frames + used;
            let orders = Order::all().filter(|order| report.free_runs[order.index()] > 0);
            let least = orders.map(Order::frames).max().unwrap_or(0);
            report.largest_run_frames =
                least + largest.index((report.free_frames - least) as usize + 1) as u64;
            report
        },
    )
}

proptest! {
    #[test]
    fn a_report_survives_the_way_there_and_back(report in report()) {
        prop_assert_eq!(Report::decode(&report.encode()), Ok(report));
    }

    /// Total and canonical: no panic, and only the shortest form of a plausible report is accepted.
    #[test]
    fn arbitrary_bytes_decode_to_what_encodes_to_them(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(report) = Report::decode(&bytes) {
            let again = report.encode();
            prop_assert_eq!(again.as_slice(), bytes.as_slice());
        }
    }

    #[test]
    fn a_report_with_one_byte_changed_is_refused_or_canonical(
        report in report(), at in any::<prop::sample::Index>(), to in any::<u8>()
    ) {
        let mut bytes = report.encode();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(other) = Report::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn a_report_that_is_cut_or_goes_on_is_refused(report in report(), cut in any::<prop::sample::Index>()) {
        let mut bytes = report.encode();
        prop_assert_eq!(Report::decode(&bytes[..cut.index(bytes.len())]), Err(DecodeError::Short));
        bytes.push(0);
        prop_assert_eq!(Report::decode(&bytes), Err(DecodeError::Long));
    }
}

/// One free frame of two, in the layout that the module's table gives.
fn smallest() -> Vec<u8> {
    let mut bytes = vec![1, 2, 1, 1, 0, 1];
    bytes.extend([0; Order::COUNT - 1]);
    bytes
}

#[test]
fn the_layout_is_the_documented_one() {
    let report = Report::decode(&smallest()).unwrap();
    assert_eq!((report.total_frames, report.free_frames, report.free_runs[0]), (2, 1, 1));
    assert_eq!(report.encode().as_slice(), smallest());
}

#[test]
fn the_longest_report_fits() {
    let most = u64::MAX;
    let report = Report {
        total_frames: most,
        free_frames: most,
        free_runs: [most; Order::COUNT],
        largest_run_frames: most,
        cached_frames_at_most: most,
    };
    let bytes = report.encode();
    assert_eq!(bytes.len(), 231);
    assert_eq!(Report::decode(&bytes), Err(DecodeError::Inconsistent), "no memory has 2^64 frames");
}

#[test]
fn malformed_reports_are_refused_with_the_reason() {
    let with = |at: usize, byte: u8| {
        let mut bytes = smallest();
        bytes[at] = byte;
        Report::decode(&bytes)
    };
    assert_eq!(Report::decode(&[]), Err(DecodeError::Short));
    assert_eq!(with(0, 2), Err(DecodeError::Revision { revision: 2 }));
    assert_eq!(with(1, 0), Err(DecodeError::Inconsistent), "more free than there is");
    assert_eq!(with(2, 2), Err(DecodeError::Inconsistent), "more free than is in runs");
    assert_eq!(with(3, 0), Err(DecodeError::Inconsistent), "a largest run that is too small");
    assert_eq!(with(3, 2), Err(DecodeError::Inconsistent), "a largest run that is too large");

    let number = |number: &[u8]| Report::decode(&[&[1], number, &smallest()[2..]].concat());
    assert_eq!(number(&[0x82, 0x00]), Err(DecodeError::Number), "not the shortest form");
    assert_eq!(number(&[0xff; 10]), Err(DecodeError::Number), "more than ten bytes");
    let overflow = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(number(&overflow), Err(DecodeError::Number), "more than 64 bits");
}
