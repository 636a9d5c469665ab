//! The registers and instructions behind [`Mitigations`](super::Mitigations).

use spin::Once;
use x86_64::registers::{control::Efer, model_specific::Msr};

use super::Mitigations;
use crate::cpu::processor::ThisProcessor;

/// EFER.AIBRSE (APM vol. 2, 3.1.7).
const AUTOMATIC_IBRS: u64 = 1 << 21;
/// SPEC_CTRL (APM vol. 2, 3.2.9).
const SPEC_CTRL: u32 = 0x48;
/// PRED_CMD and its IBPB bit (APM vol. 2, 3.2.9).
const PRED_CMD: u32 = 0x49;
const BRANCH_BARRIER: u64 = 1;
/// IA32_FLUSH_CMD and its L1D_FLUSH bit (SDM vol. 4, table 2-2).
const FLUSH_CMD: u32 = 0x10b;
const L1_DATA: u64 = 1;

static CHOSEN: Once<Mitigations> = Once::new();

/// What is done on this machine. All its processors are taken to be as the first that asks.
pub fn chosen() -> &'static Mitigations {
    CHOSEN.call_once(|| Mitigations::choose(&ThisProcessor))
}

/// Sets what holds on the calling processor from now on, in the host and in its guests.
pub fn protect_this_cpu() {
    let chosen = chosen();
    if chosen.automatic_ibrs {
        // SAFETY: CPUID reports the bit; it only restricts what indirect branches may be predicted from.
        unsafe { Efer::write_raw(Efer::read_raw() | AUTOMATIC_IBRS) };
    }
    if let Some(value) = chosen.spec_ctrl {
        // SAFETY: CPUID reports the register and each bit of the value; they only restrict predictions.
        unsafe { Msr::new(SPEC_CTRL).write(value) };
    }
}

/// Drops what the calling processor has learnt from the guest that it ran last.
pub fn forget_last_guest() {
    let chosen = chosen();
    if chosen.branch_barrier {
        // SAFETY: CPUID reports the command; it changes nothing but predictions.
        unsafe { Msr::new(PRED_CMD).write(BRANCH_BARRIER) };
    }
    if chosen.flush_l1_data {
        // SAFETY: CPUID reports the command; what was changed is written back first.
        unsafe { Msr::new(FLUSH_CMD).write(L1_DATA) };
    }
}
