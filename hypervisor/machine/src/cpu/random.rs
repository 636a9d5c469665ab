//! The processor's random number generators (SDM vol. 1, 7.3.17; APM vol. 3, RDRAND and RDSEED).

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

use godwit_host::machine::NoRandomness;

use crate::{features::Features, random};

/// A generator that passed its checks when the machine came up.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    has_rdseed: bool,
    has_rdrand: bool,
}

impl Generator {
    /// The calling processor's generator, or `None` where it has none or it fails its checks.
    pub fn find(features: &Features) -> Option<Self> {
        let generator = Self { has_rdseed: features.rdseed, has_rdrand: features.rdrand };
        (generator.has_rdseed || generator.has_rdrand).then_some(())?;
        generator.fill(&mut [0; 16]).ok().map(|()| generator)
    }

    /// Fills `out` with checked samples.
    ///
    /// # Errors
    /// [`NoRandomness`] where a check fails; `out` is then zeroed.
    pub fn fill(self, out: &mut [u8]) -> Result<(), NoRandomness> {
        random::fill(|| self.sample(), out)
    }

    /// One try: a seed where there is one at hand, else a number.
    fn sample(self) -> Option<u64> {
        let seed = if self.has_rdseed {
            // SAFETY: CPUID reports RDSEED (`find`).
            unsafe { rdseed() }
        } else {
            None
        };
        match seed {
            None if self.has_rdrand => {
                // SAFETY: CPUID reports RDRAND (`find`).
                unsafe { rdrand() }
            }
            seed => seed,
        }
    }
}

/// One number from RDRAND, or `None` where the generator had none.
#[target_feature(enable = "rdrand")]
fn rdrand() -> Option<u64> {
    let mut value = 0;
    (_rdrand64_step(&mut value) == 1).then_some(value)
}

/// One number from RDSEED, or `None` where the generator had none.
#[target_feature(enable = "rdseed")]
fn rdseed() -> Option<u64> {
    let mut value = 0;
    (_rdseed64_step(&mut value) == 1).then_some(value)
}
