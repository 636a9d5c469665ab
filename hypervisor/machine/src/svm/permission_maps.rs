//! Which ports and model-specific registers a guest reaches without the host (APM vol. 2, 15.10.1 and 15.11).

/// Bytes of the I/O permission map: a bit per port, and 3 for accesses that reach beyond the last; three frames.
pub const IO_MAP_BYTES: usize = 12 << 10;
/// Bytes of the MSR permission map: two frames.
pub const MSR_MAP_BYTES: usize = 8 << 10;

/// The first register of each 2 KiB of the map; each covers 8192 registers by two bits, read and write.
const MSR_RANGES: [u32; 3] = [0, 0xc000_0000, 0xc001_0000];
const RANGE_REGISTERS: u32 = 8192;
const RANGE_BYTES: usize = 2 << 10;

/// Registers that the control block holds for the guest while it runs: it reads and writes them itself.
const PASSED: [u32; 10] = [
    0x174,       // SYSENTER_CS
    0x175,       // SYSENTER_ESP
    0x176,       // SYSENTER_EIP
    0xc000_0081, // STAR
    0xc000_0082, // LSTAR
    0xc000_0083, // CSTAR
    0xc000_0084, // SFMASK
    0xc000_0100, // FS base
    0xc000_0101, // GS base
    0xc000_0102, // KERNEL_GS_BASE
];

/// The MSR permission map: everything is intercepted but what the control block holds.
pub fn msr_map() -> [u8; MSR_MAP_BYTES] {
    let mut map = [0xff; MSR_MAP_BYTES];
    for msr in PASSED {
        if let Some((byte, shift)) = msr_place(msr)
            && let Some(byte) = map.get_mut(byte)
        {
            *byte &= !(0b11 << shift);
        }
    }
    map
}

/// Where the two bits of `msr` lie: byte, and place in it of the read bit; the write bit follows. `None` for a register that
/// the map does not cover: it is always intercepted.
fn msr_place(msr: u32) -> Option<(usize, u32)> {
    let range = MSR_RANGES.iter().position(|&start| (start..start + RANGE_REGISTERS).contains(&msr))?;
    let within = msr - MSR_RANGES.get(range)?;
    Some((range * RANGE_BYTES + within as usize / 4, within % 4 * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two bits of a register, read bit lowest.
    fn bits(msr: u32) -> u8 {
        let (byte, shift) = msr_place(msr).expect("the map covers it");
        msr_map()[byte] >> shift & 0b11
    }

    #[test]
    fn places_are_those_of_the_manual() {
        // APM vol. 2, 15.11: byte offsets 000h, 800h and 1000h begin the three ranges.
        assert_eq!(msr_place(0), Some((0, 0)));
        assert_eq!(msr_place(0x1fff), Some((0x7ff, 6)));
        assert_eq!(msr_place(0xc000_0081), Some((0x820, 2)));
        assert_eq!(msr_place(0xc001_1fff), Some((0x17ff, 6)));
        assert_eq!(msr_place(0x2000), None);
        assert_eq!(msr_place(0x4b56_4d00), None);
        assert_eq!(msr_place(0xc000_2000), None);
    }

    #[test]
    fn only_what_the_block_holds_is_passed() {
        let passed: u32 = msr_map().iter().map(|byte| byte.count_zeros()).sum();
        assert_eq!(passed, 2 * PASSED.len() as u32, "two bits each");
        for msr in PASSED {
            assert_eq!(bits(msr), 0, "{msr:#x}");
        }
        // EFER shows SVME, PAT and the time stamp counter have places of their own, APIC base and VM_CR are the host's.
        // So are predictions, debug control, extended supervisor state, counters, sampling, and the counter's ratio.
        for msr in [
            0xc000_0080,
            0x277,
            0x10,
            0xc000_0103,
            0x1b,
            0xc001_0114,
            0xc001_0117,
            0x48,
            0x49,
            0x10b,
            0x1d9,
            0xda0,
            0xc001_0000,
            0xc001_0200,
            0xc001_1030,
            0xc000_0104,
            0xc001_011f,
            0x2ff,
        ] {
            assert_eq!(bits(msr), 0b11, "{msr:#x}");
        }
    }
}
