//! Files that are read piece by piece: a boot module, a part of one, bytes in memory.

/// The file ends before the bytes that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the file ends too early")]
pub struct Truncated;

/// A file that cannot change while it is used.
pub trait File {
    /// What it is called, for messages.
    fn name(&self) -> &str;

    /// Its length.
    fn bytes(&self) -> u64;

    /// Copies its bytes from `offset` on into `out`.
    ///
    /// # Errors
    /// [`Truncated`] where it has no `out.len()` bytes there; `out` is then unspecified.
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated>;
}

/// A file whose bytes are all in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'b> {
    /// What it is called.
    pub name: &'b str,
    /// Its content.
    pub bytes: &'b [u8],
}

impl File for Bytes<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), Truncated> {
        let start = usize::try_from(offset).map_err(|_| Truncated)?;
        let end = start.checked_add(out.len()).ok_or(Truncated)?;
        out.copy_from_slice(self.bytes.get(start..end).ok_or(Truncated)?);
        Ok(())
    }
}

/// The `N` bytes of `file` at `offset`.
pub(crate) fn read_array<const N: usize>(file: &dyn File, offset: u64) -> Result<[u8; N], Truncated> {
    let mut bytes = [0; N];
    file.read(offset, &mut bytes)?;
    Ok(bytes)
}
