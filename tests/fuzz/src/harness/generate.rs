//! Which input an execution has.

use godwit_host::split_mix::SplitMix64;

use super::mutate::mutate;
use crate::Target;

/// The seed of a run that none was given for.
pub const DEFAULT_SEED: u64 = 0x676f_6477_6974;

/// Mutations of one input at most.
const MAX_MUTATIONS: u64 = 8;
/// One input in so many is random from the first byte on.
const RANDOM_ONE_IN: u64 = 5;

/// Makes the inputs of a target.
pub struct Generator {
    corpus: Vec<Vec<u8>>,
    max_bytes: usize,
    seed: u64,
}

impl Generator {
    /// The inputs of `target` that `seed` fixes.
    pub fn new(target: &Target, seed: u64) -> Self {
        let mut corpus = (target.corpus)();
        for input in &mut corpus {
            input.truncate(target.max_bytes);
        }
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        // Targets of one run have different inputs, and of inputs whose numbers differ by one nothing is alike.
        let name =
            target.name.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let seed = SplitMix64::new(seed ^ SplitMix64::new(name).next_u64()).next_u64();
        Self { corpus, max_bytes: target.max_bytes, seed }
    }

    /// The input of execution `number`: first the corpus as it is, then what mutations make of it.
    pub fn input(&self, number: u64) -> Vec<u8> {
        if let Some(input) = usize::try_from(number).ok().and_then(|number| self.corpus.get(number)) {
            return input.clone();
        }
        let mut random = SplitMix64::new(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        let mut input = if random.below(RANDOM_ONE_IN) == 0 {
            // Short ones are as likely as long ones.
            let longest = 1 << random.below(u64::from(self.max_bytes.max(1).ilog2()) + 1);
            let bytes = random.below(longest) + 1;
            (0..bytes).map(|_| random.next_u64() as u8).collect()
        } else {
            self.corpus[random.below(self.corpus.len() as u64) as usize].clone()
        };
        for _ in 0..=random.below(MAX_MUTATIONS) {
            mutate(&mut input, &self.corpus, &mut random);
        }
        input.truncate(self.max_bytes);
        input
    }
}

#[cfg(test)]
mod tests {
    use super::Generator;
    use crate::targets;

    #[test]
    fn inputs_follow_from_target_seed_and_number() {
        for target in targets::all() {
            let inputs = |seed| {
                let generator = Generator::new(target, seed);
                (900..1200).map(|number| generator.input(number)).collect::<Vec<_>>()
            };
            assert!(inputs(1) == inputs(1), "{}", target.name);
            assert!(inputs(1) != inputs(2), "{}", target.name);
            assert!(inputs(1).iter().all(|input| input.len() <= target.max_bytes));
        }
    }
}
