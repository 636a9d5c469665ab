//! Address space identifiers: each guest's cached translations apart from every other's (APM vol. 2, 15.16).
//!
//! Each host CPU numbers its guests' address spaces by itself, in the order they come. When the numbers run out, everything
//! is flushed at once and a new generation begins. A virtual CPU that comes from another host CPU gets a new number, because
//! what it did there (loading CR3, invalidating pages) never reached the translations it may have left here.

use godwit_host::machine::CpuNumber;

use super::vmcb::TlbControl;

/// One host CPU's address spaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressSpaces {
    count: u32,
    next: u32,
    generation: u64,
}

/// Where a virtual CPU ran last, and as what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Residence {
    /// On which host CPU.
    pub cpu: CpuNumber,
    /// In which of its generations.
    pub generation: u64,
    /// By which number.
    pub asid: u32,
}

/// What an entry uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// The number, and where it holds.
    pub residence: Residence,
    /// What is flushed on entry.
    pub tlb_control: TlbControl,
}

impl AddressSpaces {
    /// Address spaces of a host CPU that has `count`, its own (0) counted: at least 2.
    pub const fn new(count: u32) -> Self {
        // The first number handed out begins generation 1, whatever was cached before this host booted.
        Self { count, next: count, generation: 0 }
    }

    /// Says that the processor refused an entry: what it was to flush may still be there, so nobody may rely on it.
    pub const fn start_anew(&mut self) {
        self.next = self.count;
    }

    /// The address space for a virtual CPU that was last at `last` and runs on `cpu`, whose spaces these are. `stale` says
    /// that none of its translations may be used any more.
    pub fn assign(
        &mut self,
        last: Option<Residence>,
        cpu: CpuNumber,
        stale: bool,
        flush_by_asid: bool,
    ) -> Assignment {
        if let Some(residence) = last
            && residence.cpu == cpu
            && residence.generation == self.generation
            && (!stale || flush_by_asid)
        {
            let tlb_control = if stale { TlbControl::FlushThis } else { TlbControl::Keep };
            return Assignment { residence, tlb_control };
        }
        // A number that nobody had in this generation needs no flush.
        let mut tlb_control = TlbControl::Keep;
        if self.next >= self.count {
            self.generation += 1;
            self.next = 1;
            tlb_control = TlbControl::FlushAll;
        }
        let asid = self.next;
        self.next += 1;
        Assignment { residence: Residence { cpu, generation: self.generation, asid }, tlb_control }
    }
}
