//! Makes an input that fails smaller.

/// Makes `input` shorter and plainer as long as it `still_fails`, which is asked `tries` times at most.
///
/// Greedy: parts are left out, the largest first; then bytes become zero.
pub fn shrink(input: &[u8], tries: usize, still_fails: &mut dyn FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut left = tries;
    let mut ask = |candidate: &[u8]| {
        left = left.checked_sub(1)?;
        Some(still_fails(candidate))
    };
    let mut part = best.len();
    while part > 0 {
        let mut at = 0;
        while at < best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..(at + part).min(best.len()));
            match ask(&shorter) {
                None => return best,
                Some(true) => best = shorter,
                Some(false) => at += part,
            }
        }
        part /= 2;
    }
    for at in 0..best.len() {
        if best[at] == 0 {
            continue;
        }
        let mut plainer = best.clone();
        plainer[at] = 0;
        match ask(&plainer) {
            None => return best,
            Some(true) => best = plainer,
            Some(false) => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn only_what_fails_is_left() {
        let input: Vec<u8> = (0..200).collect();
        let mut fails = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 77).is_some_and(|at| at >= 3);
        assert_eq!(shrink(&input, 1000, &mut fails), [0, 0, 0, 77]);
    }

    #[test]
    fn it_asks_no_more_often_than_it_may() {
        let mut asked = 0;
        let mut count = |_: &[u8]| {
            asked += 1;
            true
        };
        assert!(shrink(&[1; 100], 1, &mut count).is_empty());
        assert_eq!(asked, 1);
        let input = [1; 100];
        assert_eq!(shrink(&input, 5, &mut |_| false), input, "what cannot shrink stays");
    }
}
