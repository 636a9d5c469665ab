//! Faults that an emulated instruction raises in the guest.

use crate::{
    emulate::walk::PageFault,
    vcpu::{Event, VirtualCpu},
};

/// A fault to be delivered to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The exception.
    pub event: Event,
    /// What CR2 holds then, for page faults.
    pub cr2: Option<u64>,
}

impl Fault {
    /// #GP(0).
    pub const GENERAL_PROTECTION: Self = Self { event: Event::GENERAL_PROTECTION, cr2: None };
    /// #SS(0).
    pub const STACK: Self = Self { event: Event::Exception { vector: 12, error_code: Some(0) }, cr2: None };

    /// Hands the fault to the virtual CPU, which delivers it at its next entry.
    pub fn deliver(self, vcpu: &mut dyn VirtualCpu) {
        if let Some(address) = self.cr2 {
            vcpu.set_cr2(address);
        }
        vcpu.inject(self.event);
    }
}

impl From<PageFault> for Fault {
    fn from(fault: PageFault) -> Self {
        let event = Event::Exception { vector: 14, error_code: Some(fault.error_code) };
        Self { event, cr2: Some(fault.address) }
    }
}
