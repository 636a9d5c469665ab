//! The first network adapter on this machine's buses that this driver can drive.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use godwit_frames::{FRAME_BYTES, Mobility, Order};
use godwit_host::description::PciFunction;
use x86_64::VirtAddr;

use super::{
    capability::{self, Window},
    configuration::StartError,
    device::{VirtioNet, Windows},
    frame_memory::FrameMemory,
    mapped_registers::MappedRegisters,
    msi_x::MsiX,
};
use crate::{
    interrupts::vectors,
    memory::table_frames::TableFrames,
    pci::{ConfigSpace, FunctionAddress, access::ConfigurationSpace, let_use_memory, open_registers},
};

/// This machine's adapter.
pub type Adapter = VirtioNet<MappedRegisters, FrameMemory>;

/// Starts the first virtio network adapter among `functions` that can be driven; it interrupts the processor with APIC id
/// `apic_id`. `map` takes a physical address and a length and maps device registers uncacheable for good. What cannot be
/// driven, and what is there beyond the first, is named in `notes`.
///
/// # Safety
/// Nothing else drives these functions, and `map` maps what it is asked to and nothing that is RAM.
pub unsafe fn find<E: fmt::Debug>(
    config: &ConfigurationSpace,
    functions: &[PciFunction],
    apic_id: u32,
    frames: &mut TableFrames<'_, '_>,
    mut map: impl FnMut(u64, u64, &mut TableFrames<'_, '_>) -> Result<VirtAddr, E>,
    notes: &mut Vec<String>,
) -> Option<Adapter> {
    let mut found = None;
    for function in functions {
        let is_network = matches!(function.device_id, capability::NETWORK | capability::NETWORK_TRANSITIONAL);
        if function.vendor_id != capability::VENDOR || !is_network {
            continue;
        }
        let PciFunction { segment, bus, device, function, .. } = *function;
        let Some(at) = FunctionAddress::new(segment, bus, device, function) else { continue };
        if found.is_some() {
            notes.push(format!("network adapter {at} is not used: one is used already"));
            continue;
        }
        // SAFETY: this function's caller promises what is asked.
        match unsafe { start(config, at, apic_id, frames, &mut map) } {
            Ok(adapter) => found = Some(adapter),
            Err(why) => notes.push(format!("network adapter {at} is not used: {why}")),
        }
    }
    found
}

/// # Safety
/// As for [`find`].
unsafe fn start<E: fmt::Debug>(
    config: &impl ConfigSpace,
    function: FunctionAddress,
    apic_id: u32,
    frames: &mut TableFrames<'_, '_>,
    map: &mut impl FnMut(u64, u64, &mut TableFrames<'_, '_>) -> Result<VirtAddr, E>,
) -> Result<Adapter, String> {
    let layout = match capability::find(config, function) {
        Ok(layout) => layout,
        Err(capability::NoLayout::Missing("common configuration")) => {
            return Err(format!("{}", StartError::Legacy));
        }
        Err(capability::NoLayout::Missing(window)) => {
            return Err(format!("its {window} registers are not described"));
        }
    };
    let msi_x = MsiX::find(config, function).ok_or("it has no message-signalled interrupts (MSI-X)")?;
    let mut registers = |window: Window| {
        let at = map(window.address, u64::from(window.bytes), frames)
            .map_err(|error| format!("its registers at {:#x} cannot be mapped: {error:?}", window.address))?;
        // SAFETY: just mapped uncacheable for good; the device's own configuration space says that its registers are there,
        // and the caller promises that it is not RAM.
        Ok::<_, String>(unsafe { MappedRegisters::new(at, window.bytes) })
    };
    let windows = Windows {
        common: registers(layout.common)?,
        notify: registers(layout.notify)?,
        notify_multiplier: layout.notify_multiplier,
        device: registers(layout.device)?,
    };
    let table = registers(msi_x.table)?;
    // What ran before may have left it working: only when it has forgotten that may it reach memory.
    open_registers(config, function);
    windows.reset().map_err(|error| format!("{error}"))?;
    let_use_memory(config, function);
    if !msi_x.enable(config, &table, apic_id, vectors::NETWORK) {
        return Err(format!("no message can name the boot processor's APIC id {apic_id}"));
    }
    let provide = &mut |bytes: u64| {
        let order = Order::all().find(|order| order.frames() >= bytes.div_ceil(FRAME_BYTES))?;
        let run = frames.handle().allocate(order, Mobility::Unmovable).ok()?;
        // Buffers of three or seventeen frames are no power of two: what lies beyond them goes back.
        let run = match run.split_at(bytes.div_ceil(FRAME_BYTES)) {
            Ok((needed, rest)) => {
                frames.handle().free(rest).ok()?;
                needed
            }
            Err(whole) => whole,
        };
        Some(FrameMemory::new(run))
    };
    Adapter::start(windows, provide).map_err(|error| format!("{error}"))
}
