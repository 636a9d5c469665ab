use super::*;

fn content(seed: u8) -> [u8; FRAME] {
    core::array::from_fn(|index| (index as u8).wrapping_mul(31) ^ seed)
}

#[test]
fn zero_is_seen_to_the_last_byte() {
    assert!(is_zero(&[0; FRAME]));
    for at in [0, 1, 63, 64, 2047, 4032, 4095] {
        let mut frame = [0; FRAME];
        frame[at] = 1;
        assert!(!is_zero(&frame), "byte {at}");
    }
}

#[test]
fn a_range_of_zero_frames_sums_like_its_frames() {
    let key = SumKey::new(77);
    for (first, frames) in [(0, 0), (0, 1), (5, 100), (u64::MAX - 3, 4)] {
        let one_by_one = (0..frames)
            .fold(0u64, |sum, index| sum.wrapping_add(key.frame(GuestFrame(first + index), &[0; FRAME])));
        assert_eq!(key.zeros(GuestFrame(first), frames), one_by_one, "{frames} from {first}");
    }
}

#[test]
fn a_sum_depends_on_key_number_and_content() {
    let key = SumKey::new(1);
    let sum = key.frame(GuestFrame(3), &content(1));
    assert_ne!(sum, SumKey::new(2).frame(GuestFrame(3), &content(1)));
    assert_ne!(sum, key.frame(GuestFrame(4), &content(1)));
    assert_ne!(sum, key.frame(GuestFrame(3), &content(2)));
    assert_ne!(key.zeros(GuestFrame(3), 1), key.zeros(GuestFrame(4), 1));
}

#[test]
fn frames_that_changed_places_change_the_root() {
    let key = SumKey::new(9);
    let root = |contents: [[u8; FRAME]; 3]| {
        (10..)
            .zip(&contents)
            .fold(0u64, |sum, (frame, content)| sum.wrapping_add(key.frame(GuestFrame(frame), content)))
    };
    let (one, two, zero) = (content(1), content(2), [0; FRAME]);
    let orders = [[one, two, zero], [one, zero, two], [two, one, zero], [zero, one, two], [one, one, zero]];
    let roots: std::collections::BTreeSet<u64> = orders.iter().map(|order| root(*order)).collect();
    assert_eq!(roots.len(), orders.len());
}

#[test]
fn sums_are_as_documented() {
    // The formulas of PROTOCOL, "Sums", by hand.
    let (key, frame) = (0x0123_4567_89ab_cdefu64, 42u64);
    let seed = key ^ frame.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    assert_eq!(SumKey::new(key).frame(GuestFrame(frame), &content(5)), xxh3_64_with_seed(&content(5), seed));
    let z = xxh3_64_with_seed(b"zero", key) | 1;
    assert_eq!(SumKey::new(key).frame(GuestFrame(frame), &[0; FRAME]), z.wrapping_mul(2 * frame + 1));
}
