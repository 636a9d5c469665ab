//! stub
use crate::features::Features;
use alloc::{string::String, vec::Vec};
use godwit_host::machine::NoRandomness;
pub struct Generator;
impl Generator {
    pub fn of_this_cpu(_f: &Features, _n: &mut Vec<String>) -> Option<Self> {
        None
    }
    pub fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        out.fill(0);
        Err(NoRandomness)
    }
}
