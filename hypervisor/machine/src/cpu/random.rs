//! The processor's random number generators (SDM vol. 1, 7.3.17; APM vol. 3, RDRAND and RDSEED).

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

/// One number from RDRAND, or `None` where the generator had none. Only where CPUID reports it.
#[target_feature(enable = "rdrand")]
pub fn rdrand() -> Option<u64> {
    let mut value = 0;
    (_rdrand64_step(&mut value) == 1).then_some(value)
}

/// One number from RDSEED, or `None` where the generator had none. Only where CPUID reports it.
#[target_feature(enable = "rdseed")]
pub fn rdseed() -> Option<u64> {
    let mut value = 0;
    (_rdseed64_step(&mut value) == 1).then_some(value)
}
