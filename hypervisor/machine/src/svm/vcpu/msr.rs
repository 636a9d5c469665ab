//! Model-specific registers that belong to the state and are not the guest's to touch directly.

use core::ops::DerefMut;

use super::{Block, Vcpu};
use crate::{
    svm::{state, switch::WorldSwitch, vmcb::Clean},
    virtual_cpu::limits::{self, efer},
};

const TSC: u32 = 0x10;
const DEBUG_CONTROL: u32 = 0x1d9;
const PAT: u32 = 0x277;
const EFER: u32 = 0xc000_0080;
const TSC_AUX: u32 = 0xc000_0103;

impl<B: DerefMut<Target = Block>, S: WorldSwitch> Vcpu<B, S> {
    pub(super) fn read_register(&self, msr: u32) -> Option<u64> {
        match msr {
            TSC => Some(self.guest_tsc()),
            DEBUG_CONTROL => Some(self.debug_control),
            PAT => Some(self.block.vmcb.save().g_pat),
            EFER => Some(state::control_registers(&self.block.vmcb).efer),
            TSC_AUX if self.setup.limits.tsc_aux => Some(self.crossing.tsc_aux),
            _ => None,
        }
    }

    pub(super) fn write_register(&mut self, msr: u32, value: u64) -> Option<bool> {
        let taken = match msr {
            TSC => {
                self.tsc_offset = value.wrapping_sub(self.scaled_tsc());
                true
            }
            DEBUG_CONTROL => {
                let taken = value & !limits::DEBUG_CONTROL_KEPT == 0;
                if taken {
                    self.debug_control = value;
                }
                taken
            }
            PAT => {
                let taken = limits::is_pat(value);
                if taken {
                    // Cached translations carry the memory type.
                    self.stale |= value != self.block.vmcb.save().g_pat;
                    self.block.vmcb.save_mut(Clean::NESTED_PAGING).g_pat = value;
                }
                taken
            }
            EFER => {
                let now = state::control_registers(&self.block.vmcb);
                let offered = value & !self.baseline.efer_mask() == 0;
                let next = self.setup.limits.efer_after_write(&now, value).filter(|_| offered);
                if let Some(next) = next {
                    // Cached translations carry the right to execute.
                    self.stale |= (next ^ now.efer) & efer::NXE != 0;
                    self.block.vmcb.save_mut(Clean::CONTROL_REGISTERS).efer = next | efer::SVME;
                }
                next.is_some()
            }
            TSC_AUX if self.setup.limits.tsc_aux => {
                let taken = value >> 32 == 0;
                if taken {
                    self.crossing.tsc_aux = value;
                }
                taken
            }
            _ => return None,
        };
        Some(taken)
    }

    /// The guest's time stamp counter now.
    pub(super) fn guest_tsc(&self) -> u64 {
        self.scaled_tsc().wrapping_add(self.tsc_offset)
    }

    /// The host's counter at the guest's rate: what the guest's is an offset from.
    pub(super) fn scaled_tsc(&self) -> u64 {
        self.crossing.tsc_ratio.scale(self.switch.tsc())
    }
}
