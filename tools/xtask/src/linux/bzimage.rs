//! The kernel inside a bzImage (Linux, Documentation/x86/boot.rst): behind the code that would unpack it at boot.

use anyhow::{Context, Result, bail, ensure};

/// Where the setup header's fields are; the last two exist from protocol 2.08 on.
const SETUP_SECTORS: usize = 0x1f1;
const SIGNATURE: usize = 0x202;
const PROTOCOL: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// Sectors of setup code where the field says 0.
const DEFAULT_SETUP_SECTORS: usize = 4;
const SECTOR_BYTES: usize = 512;

/// How the legacy format of LZ4 begins, and the most that one of its blocks unpacks to.
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
const LZ4_BLOCK_BYTES: usize = 8 << 20;
/// More than any kernel is long: a damaged length must not take all memory.
const MAX_KERNEL_BYTES: usize = 1 << 30;

/// Unpacks the ELF file inside `image`.
///
/// # Errors
/// It is no bzImage, is cut short, or is packed by something else than LZ4.
pub(super) fn payload(image: &[u8]) -> Result<Vec<u8>> {
    ensure!(image.get(SIGNATURE..).is_some_and(|rest| rest.starts_with(b"HdrS")), "no bzImage: no HdrS");
    let protocol = u16::from_le_bytes(field(image, PROTOCOL)?);
    ensure!(
        protocol >= 0x208,
        "boot protocol {protocol:#x}: 0x208 is the first that says where the kernel is"
    );
    let [sectors] = field(image, SETUP_SECTORS)?;
    let sectors = if sectors == 0 { DEFAULT_SETUP_SECTORS } else { usize::from(sectors) };
    let offset = u32::from_le_bytes(field(image, PAYLOAD_OFFSET)?) as usize;
    let length = u32::from_le_bytes(field(image, PAYLOAD_LENGTH)?) as usize;
    let start = (sectors + 1) * SECTOR_BYTES + offset;
    let payload = image.get(start..).and_then(|rest| rest.get(..length));
    let payload = payload.context("cut short: the packed kernel does not lie inside")?;
    // What the kernel's build appends for the code that unpacks it.
    let (packed, unpacked_bytes) = payload.split_last_chunk().context("the packed kernel is empty")?;
    let unpacked_bytes = u32::from_le_bytes(*unpacked_bytes) as usize;
    let Some(blocks) = packed.strip_prefix(&LZ4_LEGACY) else {
        let begin = &packed[..packed.len().min(6)];
        bail!("the kernel is packed by something else than LZ4: it begins with {begin:02x?}");
    };
    let kernel = unpack(blocks, unpacked_bytes)?;
    ensure!(kernel.starts_with(b"\x7fELF"), "what is packed is no ELF file");
    Ok(kernel)
}

/// Unpacks LZ4's legacy format: blocks that each begin with their length.
fn unpack(mut blocks: &[u8], unpacked_bytes: usize) -> Result<Vec<u8>> {
    ensure!(unpacked_bytes <= MAX_KERNEL_BYTES, "a kernel of {unpacked_bytes} bytes");
    let mut kernel = vec![0; unpacked_bytes];
    let mut at = 0;
    while let Some((length, rest)) = blocks.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (block, rest) = rest.split_at_checked(length).context("a block is cut short")?;
        let end = unpacked_bytes.min(at + LZ4_BLOCK_BYTES);
        let bytes = lz4_flex::block::decompress_into(block, &mut kernel[at..end])
            .with_context(|| format!("the block at {at:#x} is damaged"))?;
        at += bytes;
        blocks = rest;
    }
    ensure!(at == unpacked_bytes, "{at} bytes were unpacked, {unpacked_bytes} were promised");
    Ok(kernel)
}

fn field<const N: usize>(image: &[u8], at: usize) -> Result<[u8; N]> {
    image
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .context("cut short: the setup header ends early")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel of two blocks.
    fn kernel() -> Vec<u8> {
        let mut kernel: Vec<_> = (0..LZ4_BLOCK_BYTES + 1000).map(|at| (at / 1000) as u8).collect();
        kernel[..4].copy_from_slice(b"\x7fELF");
        kernel
    }

    fn packed(kernel: &[u8]) -> Vec<u8> {
        let mut packed = LZ4_LEGACY.to_vec();
        for block in kernel.chunks(LZ4_BLOCK_BYTES) {
            let block = lz4_flex::block::compress(block);
            packed.extend((block.len() as u32).to_le_bytes());
            packed.extend(block);
        }
        packed.extend((kernel.len() as u32).to_le_bytes());
        packed
    }

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * SECTOR_BYTES + 10];
        image[SETUP_SECTORS] = 1;
        image[SIGNATURE..][..4].copy_from_slice(b"HdrS");
        image[PROTOCOL..][..2].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[PAYLOAD_OFFSET..][..4].copy_from_slice(&10_u32.to_le_bytes());
        image[PAYLOAD_LENGTH..][..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.extend(payload);
        image.extend(b"what follows is not part of it");
        image
    }

    fn refusal(image: &[u8]) -> String {
        format!("{:#}", payload(image).unwrap_err())
    }

    #[test]
    fn unpacks_a_kernel() {
        let kernel = kernel();
        assert!(payload(&image(&packed(&kernel))).unwrap() == kernel);
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        let packed_kernel = packed(&kernel());
        let good = image(&packed_kernel);
        assert!(refusal(b"").contains("no bzImage"));
        assert!(refusal(&good[..0x240]).contains("header ends early"));
        assert!(refusal(&good[..good.len() / 2]).contains("cut short"));
        let with = |at: usize, bytes: &[u8]| {
            let mut image = good.clone();
            image[at..][..bytes.len()].copy_from_slice(bytes);
            image
        };
        assert!(refusal(&with(PROTOCOL, &[7, 2])).contains("protocol 0x207"));
        assert!(refusal(&with(PAYLOAD_LENGTH, &[0; 4])).contains("empty"));
        assert!(refusal(&with(PAYLOAD_OFFSET, &[0xff; 4])).contains("cut short"));
        let payload = 2 * SECTOR_BYTES + 10;
        assert!(refusal(&with(payload, b"\xfd7zXZ\0")).contains("something else than LZ4"));
        assert!(refusal(&with(payload + 4, &[0xff; 4])).contains("a block is cut short"));
        assert!(refusal(&with(payload + packed_kernel.len() - 4, &[0xff])).contains("promised"));
        assert!(refusal(&image(&packed(b"no ELF file"))).contains("no ELF file"));
    }
}
