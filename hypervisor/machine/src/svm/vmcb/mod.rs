//! The virtual machine control block: one 4 KiB frame that the processor and the host share (APM vol. 2, appendix B).

mod control;
mod save;

pub use control::{Clean, Control, INTERRUPT_SHADOW, NESTED_PAGING, TlbControl, VirtualInterrupt};
pub use save::{Save, SavedSegment};

/// The block. The processor reads and writes it only between entry and exit, and in VMLOAD and VMSAVE.
///
/// Who changes a field that the processor may have cached says so: the way to the fields leads past the clean bits.
#[repr(C, align(4096))]
#[derive(Clone, Debug)]
pub struct Vmcb {
    control: Control,
    save: Save,
}

const _: () = assert!(size_of::<Vmcb>() == 0x1000 && core::mem::offset_of!(Vmcb, save) == 0x400);

impl Vmcb {
    /// A block of zeros.
    pub const fn zero() -> Self {
        Self { control: Control::zero(), save: Save::zero() }
    }

    /// The control area.
    pub const fn control(&self) -> &Control {
        &self.control
    }

    /// The state save area.
    pub const fn save(&self) -> &Save {
        &self.save
    }

    /// The control area, for changing fields of the parts in `changed`, or fields that are never cached (the empty set).
    pub const fn control_mut(&mut self, changed: Clean) -> &mut Control {
        self.control.clean = self.control.clean.difference(changed);
        &mut self.control
    }

    /// The state save area, as [`control_mut`](Self::control_mut). RAX, RSP, RIP, RFLAGS and what VMLOAD loads are
    /// never cached.
    pub const fn save_mut(&mut self, changed: Clean) -> &mut Save {
        self.control.clean = self.control.clean.difference(changed);
        &mut self.save
    }
}
