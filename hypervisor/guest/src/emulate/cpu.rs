//! The CPU that an instruction is carried out on: a copy of its registers, and the guest's memory and devices behind it.

use arrayvec::ArrayVec;
use iced_x86::Register;

use super::{
    Bus, Fault,
    place::{Piece, Place, truncate},
    segment::{CodeSize, Use, linear, privilege_level},
    walk::{Access, walk},
};
use crate::{
    GuestMemory,
    cpu::Registers,
    vcpu::{SystemState, VirtualCpu},
};

/// What an instruction works on. Registers are a copy, so that an instruction that faults has changed none of the guest's.
pub(super) struct Cpu<'a> {
    pub(super) registers: Registers,
    pub(super) system: SystemState,
    memory: &'a dyn GuestMemory,
    pub(super) bus: &'a mut dyn Bus,
}

impl<'a> Cpu<'a> {
    pub(super) fn new(vcpu: &mut dyn VirtualCpu, memory: &'a dyn GuestMemory, bus: &'a mut dyn Bus) -> Self {
        Self { registers: *vcpu.registers(), system: vcpu.system(), memory, bus }
    }

    /// Finds the operand of `bytes` bytes (8 at most) at `offset` in a segment, with the right to read it, or to read and write
    /// it.
    pub(super) fn place(
        &self,
        segment: Register,
        offset: u64,
        bytes: usize,
        write: bool,
    ) -> Result<Place, Fault> {
        let rflags = self.registers.rflags;
        let usage = if write { Use::Write } else { Use::Read };
        let first = linear(&self.system, rflags, segment, offset, bytes as u64, usage)?;
        let user = privilege_level(&self.system, rflags) == 3;
        let access = Access { write, fetch: false, user };
        let mut pieces = ArrayVec::new();
        let mut done = 0;
        while done < bytes && !pieces.is_full() {
            let at = self.wrap(first.wrapping_add(done as u64));
            let in_page = (bytes - done).min(4096 - (at % 4096) as usize);
            let found = walk(&self.system, rflags, self.memory, at, access)?;
            pieces.push(Piece { at: found.address, bytes: in_page });
            done += in_page;
        }
        Ok(Place { pieces, bytes })
    }

    /// Reads an operand.
    pub(super) fn load(&mut self, place: &Place) -> u64 {
        let mut bytes = [0; 8];
        let mut rest = &mut bytes[..];
        for piece in &place.pieces {
            let Some((part, after)) = rest.split_at_mut_checked(piece.bytes) else { break };
            self.load_piece(*piece, part);
            rest = after;
        }
        u64::from_le_bytes(bytes)
    }

    /// Writes an operand.
    pub(super) fn store(&mut self, place: &Place, value: u64) {
        let bytes = value.to_le_bytes();
        let mut rest = &bytes[..];
        for piece in &place.pieces {
            let Some((part, after)) = rest.split_at_checked(piece.bytes) else { break };
            self.store_piece(*piece, part);
            rest = after;
        }
    }

    fn load_piece(&mut self, piece: Piece, out: &mut [u8]) {
        if !self.bus.has_mmio(piece.at.0) && self.memory.read(piece.at, out).is_ok() {
            return;
        }
        for (at, bytes) in transfers(piece.bytes) {
            let value = self.bus.read_mmio(piece.at.0.wrapping_add(at as u64), bytes as u8);
            if let Some(out) = out.get_mut(at..at + bytes) {
                out.copy_from_slice(&value.to_le_bytes()[..bytes]);
            }
        }
    }

    fn store_piece(&mut self, piece: Piece, bytes: &[u8]) {
        if !self.bus.has_mmio(piece.at.0) && self.memory.write(piece.at, bytes).is_ok() {
            return;
        }
        for (at, count) in transfers(piece.bytes) {
            let mut value = [0; 8];
            if let Some(bytes) = bytes.get(at..at + count) {
                value[..count].copy_from_slice(bytes);
            }
            let to = piece.at.0.wrapping_add(at as u64);
            self.bus.write_mmio(to, count as u8, u64::from_le_bytes(value));
        }
    }

    /// The bits of a linear address that the mode has.
    fn wrap(&self, address: u64) -> u64 {
        if CodeSize::of(&self.system) == CodeSize::Bits64 { address } else { truncate(address, 4) }
    }
}

/// Offsets and sizes (8, 4, 2, 1) of the transfers that move up to 8 bytes to or from a device.
fn transfers(bytes: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let left = bytes.checked_sub(at).filter(|left| *left > 0)?;
        let size = 1 << left.min(8).ilog2();
        at += size;
        Some((at - size, size))
    })
}
