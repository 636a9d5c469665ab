//! The host's own access to the frames it has allocated.

use godwit_frames::FrameRun;

/// The access does not lie inside the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutsideRun;

/// RAM, by the runs that the allocator handed out: who has no run cannot touch its frames.
///
/// Bytes are copied, never borrowed: a guest or a device may change them at any time. Offsets count bytes from the start of
/// the run.
pub trait HostMemory: Sync {
    /// Copies `out.len()` bytes from `offset` on.
    ///
    /// # Errors
    /// [`OutsideRun`]; nothing was copied.
    fn read(&self, run: &FrameRun, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun>;

    /// Copies `bytes` to `offset` on.
    ///
    /// # Errors
    /// [`OutsideRun`]; nothing was copied.
    fn write(&self, run: &FrameRun, offset: u64, bytes: &[u8]) -> Result<(), OutsideRun>;

    /// Makes `bytes` bytes from `offset` on zero.
    ///
    /// # Errors
    /// [`OutsideRun`]; nothing was changed.
    fn zero(&self, run: &FrameRun, offset: u64, bytes: u64) -> Result<(), OutsideRun>;

    /// Reads the 8 bytes at `offset`, a multiple of 8, in one access.
    ///
    /// # Errors
    /// [`OutsideRun`], also for an offset that is no multiple of 8.
    fn load(&self, run: &FrameRun, offset: u64) -> Result<u64, OutsideRun>;

    /// Writes the 8 bytes at `offset`, a multiple of 8, in one access.
    ///
    /// # Errors
    /// As for [`load`](Self::load); nothing was changed.
    fn store(&self, run: &FrameRun, offset: u64, value: u64) -> Result<(), OutsideRun>;

    /// Clears the bits of `mask` in the 8 bytes at `offset` in one atomic access, and answers what was there before.
    ///
    /// # Errors
    /// As for [`load`](Self::load); nothing was changed.
    fn clear(&self, run: &FrameRun, offset: u64, mask: u64) -> Result<u64, OutsideRun>;

    /// Copies bytes of boot module `module`, by its place in the boot information, from `offset` on.
    ///
    /// # Errors
    /// [`OutsideRun`] where there is no such module or it is shorter.
    fn read_module(&self, module: usize, offset: u64, out: &mut [u8]) -> Result<(), OutsideRun>;
}
