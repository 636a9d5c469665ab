//! Control registers as the guest has them, and what the processor runs with instead.

use core::ops::DerefMut;

use godwit_guest::cpu::Control;

use super::{Block, Vcpu};
use crate::{
    svm::{
        intercepts::{CR4_READ, CR4_WRITE},
        state,
        switch::WorldSwitch,
        vmcb::Clean,
    },
    virtual_cpu::limits::{cr4, efer},
};

impl<B: DerefMut<Target = Block>, S: WorldSwitch> Vcpu<B, S> {
    /// All control registers as the guest has them.
    pub(super) fn control_registers(&self) -> Control {
        let control = state::control_registers(&self.block.vmcb);
        Control { cr4: self.cr4, xcr0: self.crossing.xcr0, ..control }
    }

    /// Takes a CR4 that was checked.
    ///
    /// The processor runs with CR4.MCE set whatever the guest says: a machine check without it shuts the processor down, and
    /// what struck the host would look like a triple fault of the guest (APM vol. 2, 8.2.18). Reads are intercepted
    /// while that makes a difference.
    pub(super) fn set_cr4(&mut self, value: u64) {
        self.cr4 = value;
        self.block.vmcb.save_mut(Clean::CONTROL_REGISTERS).cr4 = value | cr4::MCE;
        let intercepts = if value & cr4::MCE == 0 { CR4_READ | CR4_WRITE } else { CR4_WRITE };
        self.set_cr_intercepts(CR4_READ | CR4_WRITE, intercepts);
    }

    /// A guest's write of CR4; answers whether it is one that raises no #GP (APM vol. 2, 3.1.3).
    pub(super) fn write_control_4(&mut self, value: u64) -> bool {
        let offered = self.baseline.cr4_mask().bits() & self.setup.limits.cr4;
        let is_long = state::control_registers(&self.block.vmcb).efer & efer::LMA != 0;
        if value & !offered != 0 || is_long && value & cr4::PAE == 0 {
            return false;
        }
        // The processor would have dropped its translations, global ones too (APM vol. 2, 5.5.2).
        self.stale |= (value ^ self.cr4) & cr4::FLUSHING != 0;
        self.set_cr4(value);
        true
    }
}
