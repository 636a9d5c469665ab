use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn a_gap_is_news_once() {
    let mut window = ReceiveWindow::default();
    assert!(!window.mark(0) && !window.mark(1));
    assert!(window.mark(4), "2 and 3 are missing");
    assert!(!window.mark(5) && !window.mark(3) && !window.mark(2));
    assert_eq!(window.state(), (6, [0; WINDOW_WORDS]));
    assert!(window.mark(7));
}

#[test]
fn what_is_given_up_is_no_gap() {
    let mut window = ReceiveWindow::default();
    window.mark(3);
    window.raise(3);
    assert_eq!(window.state().0, 4);
    window.raise(1);
    assert_eq!(window.state().0, 4, "a floor never falls");
    window.raise(u32::MAX);
    assert_eq!(window.standing(u32::MAX), Standing::New);
    assert_eq!(window.standing(u32::MAX - 1), Standing::Past);
}

proptest! {
    /// Against a set of all numbers that arrived.
    #[test]
    fn it_knows_what_arrived(steps in proptest::collection::vec((0u32..600, 0u32..8), 1..300)) {
        let mut window = ReceiveWindow::default();
        let (mut arrived, mut floor) = (BTreeSet::new(), 0u32);
        for (ahead, raise) in steps {
            if raise == 0 {
                floor += ahead / 8;
                window.raise(floor);
            }
            let is_past = |sequence: u32| sequence < floor || arrived.contains(&sequence);
            let base = (0..).find(|&sequence| !is_past(sequence)).unwrap();
            prop_assert_eq!(window.state().0, base);
            let sequence = base.saturating_sub(50) + ahead;
            let expected = match sequence {
                past if is_past(past) => Standing::Past,
                far if far - base >= WINDOW_PACKETS as u32 => Standing::TooFar,
                _ => Standing::New,
            };
            prop_assert_eq!(window.standing(sequence), expected);
            if expected == Standing::New {
                window.mark(sequence);
                arrived.insert(sequence);
            }
        }
    }
}
