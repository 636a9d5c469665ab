//! The parts of SVM that change how the world switch works (APM vol. 3, CPUID Fn8000_000A).

use godwit_host::svm_without::SvmWithout;

use crate::features::Processor;

/// CPUID leaf of SVM's revision and features.
const LEAF: u32 = 0x8000_000a;
/// CPUID leaf that says how far extended leaves go.
const LAST_EXTENDED_LEAF: u32 = 0x8000_0000;

/// What this processor's SVM has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// The next instruction's address is saved at exits.
    pub next_rip: bool,
    /// The bytes of an instruction that faulted on nested tables are saved.
    pub decode_assists: bool,
    /// One address space can be flushed alone.
    pub flush_by_asid: bool,
    /// Unchanged parts of a control block are not read again.
    pub clean_bits: bool,
    /// PAUSE can be intercepted by how often it comes.
    pub pause_filter: bool,
    /// And only when it comes that often in a short time.
    pub pause_threshold: bool,
    /// Guests' time stamp counters can have rates of their own.
    pub tsc_scaling: bool,
    /// Address spaces, the host's (0) counted.
    pub address_spaces: u32,
}

impl Capabilities {
    /// Asks the processor, which has SVM.
    pub fn read(processor: &impl Processor) -> Self {
        if processor.cpuid(LAST_EXTENDED_LEAF, 0).eax < LEAF {
            return Self::default();
        }
        let leaf = processor.cpuid(LEAF, 0);
        let bit = |number: u32| leaf.edx & 1 << number != 0;
        Self {
            next_rip: bit(3),
            decode_assists: bit(7),
            flush_by_asid: bit(6),
            clean_bits: bit(5),
            pause_filter: bit(10),
            pause_threshold: bit(12),
            tsc_scaling: bit(4),
            address_spaces: leaf.ebx,
        }
    }

    /// What of it is used where the operator wants some left alone.
    #[must_use]
    pub const fn without(self, without: SvmWithout) -> Self {
        Self {
            next_rip: self.next_rip && !without.next_rip,
            decode_assists: self.decode_assists && !without.decode_assists,
            flush_by_asid: self.flush_by_asid && !without.flush_by_asid,
            clean_bits: self.clean_bits && !without.clean_bits,
            ..self
        }
    }
}
