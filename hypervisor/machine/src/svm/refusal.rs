//! What a processor that refused a control block found wrong in it: the checks of VMRUN, repeated (APM vol. 2, 15.5.1).

use super::{
    event,
    intercepts::Second,
    permission_maps, state,
    vmcb::{NESTED_PAGING, Vmcb},
};
use crate::virtual_cpu::limits::{Limits, cr0, efer, is_pat};

/// Names the first check that `vmcb` fails; `injected` is the event injection that it was entered with, for the processor clears
/// that field.
pub fn explain(vmcb: &Vmcb, injected: u64, limits: &Limits) -> &'static str {
    let (control, save) = (vmcb.control(), vmcb.save());
    let beyond = |address: u64| address >> limits.physical_address_bits != 0;
    let map_beyond = |start: u64, bytes: usize| beyond(start.saturating_add(bytes as u64 - 1));
    let registers = state::control_registers(vmcb);
    let nested = control.nested_paging & NESTED_PAGING != 0;
    let checks = [
        (save.efer & efer::SVME == 0, "EFER.SVME is clear"),
        (save.cr0 >> 32 != 0, "CR0 has reserved bits"),
        (save.cr0 & (cr0::CD | cr0::NW) == cr0::NW, "CR0.NW is set without CR0.CD"),
        (save.dr6 >> 32 != 0, "DR6 has reserved bits"),
        (save.dr7 >> 32 != 0, "DR7 has reserved bits"),
        (!control.intercept_second.contains(Second::VMRUN), "VMRUN is not intercepted"),
        (control.asid == 0, "the address space identifier is the host's"),
        (
            map_beyond(control.iopm_base, permission_maps::IO_MAP_BYTES),
            "the I/O permission map is out of reach",
        ),
        (
            map_beyond(control.msrpm_base, permission_maps::MSR_MAP_BYTES),
            "the MSR permission map is out of reach",
        ),
        (!event::is_legal(injected), "the injected event is illegal"),
        (nested && beyond(control.nested_cr3), "the nested tables are out of reach"),
        (nested && !is_pat(save.g_pat), "the guest's PAT names a memory type that is none"),
    ];
    let wrong = checks.iter().find(|(wrong, _)| *wrong).map(|&(_, why)| why);
    wrong
        .or_else(|| limits.control_error(&registers))
        .or_else(|| state::mode_error(vmcb))
        .unwrap_or("every check of the manual's list passes")
}
