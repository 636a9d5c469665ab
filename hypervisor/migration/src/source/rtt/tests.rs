use super::*;

#[test]
fn the_timeout_follows_what_was_measured() {
    let mut round_trip = RoundTrip::new();
    assert_eq!(round_trip.timeout_ns(), INITIAL_NS);
    round_trip.measured(100_000);
    assert_eq!(round_trip.timeout_ns(), SHORTEST_NS, "a fast link");
    for _ in 0..100 {
        round_trip.measured(80 * MILLISECOND_NS);
    }
    let steady_ns = round_trip.timeout_ns();
    assert!((82 * MILLISECOND_NS..90 * MILLISECOND_NS).contains(&steady_ns), "{steady_ns}");
    round_trip.measured(200 * MILLISECOND_NS);
    assert!(round_trip.timeout_ns() > steady_ns + 30 * MILLISECOND_NS, "one late answer widens it");
}

#[test]
fn silence_doubles_the_timeout_up_to_a_bound_and_an_answer_ends_that() {
    let mut round_trip = RoundTrip::new();
    round_trip.measured(0);
    let mut last_ns = round_trip.timeout_ns();
    while last_ns < LONGEST_NS {
        round_trip.missed();
        let next_ns = round_trip.timeout_ns();
        assert_eq!(next_ns, (2 * last_ns).min(LONGEST_NS));
        last_ns = next_ns;
    }
    (0..100).for_each(|_| round_trip.missed());
    assert_eq!(round_trip.timeout_ns(), LONGEST_NS);
    round_trip.measured(0);
    assert_eq!(round_trip.timeout_ns(), SHORTEST_NS);
    round_trip.measured(u64::MAX);
    assert_eq!(round_trip.timeout_ns(), LONGEST_NS, "no sample overflows");
}
