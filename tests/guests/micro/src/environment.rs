//! What the guest runs on.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

use spin::Once;

use crate::start_info::{Range, StartInfo};

static ENVIRONMENT: Once<Environment> = Once::new();

pub(crate) struct Environment {
    info: StartInfo,
    /// The hypervisor's signature in CPUID leaf 0x40000000, zeroes where there is none.
    pub(crate) signature: [u8; 12],
}

pub(crate) fn start(info: StartInfo) {
    let mut signature = [0; 12];
    if cpuid(1, 0).ecx & (1 << 31) != 0 {
        let found = cpuid(0x4000_0000, 0);
        for (bytes, word) in signature.chunks_exact_mut(4).zip([found.ebx, found.ecx, found.edx]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
    ENVIRONMENT.call_once(|| Environment { info, signature });
}

pub(crate) fn get() -> &'static Environment {
    ENVIRONMENT.wait()
}

impl Environment {
    pub(crate) fn command_line(&self) -> &str {
        self.info.command_line()
    }

    pub(crate) fn ram(&self) -> &[Range] {
        self.info.ram()
    }

    /// Whether the machine must behave as the architecture says. Plain emulators are more lenient here and there.
    pub(crate) fn is_strict(&self) -> bool {
        &self.signature == b"KVMKVMKVM\0\0\0"
    }

    /// The signature as text.
    pub(crate) fn hypervisor(&self) -> &str {
        let length = self.signature.iter().position(|byte| *byte == 0).unwrap_or(self.signature.len());
        core::str::from_utf8(&self.signature[..length]).unwrap_or("unreadable")
    }
}

/// CPUID.
pub(crate) fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    if subleaf == 0 { __cpuid(leaf) } else { __cpuid_count(leaf, subleaf) }
}
