//! What ends a guest's run (APM vol. 2, table B-1, offsets 00h to 10h).

use bitflags::bitflags;

/// Writes of CR8, in the word at offset 00h.
pub const WRITE_CR8: u32 = 1 << (16 + 8);

bitflags! {
    /// Exceptions, by vector.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(transparent)]
    pub struct Exceptions: u32 {
        /// #DB.
        const DEBUG = 1 << 1;
        /// #AC.
        const ALIGNMENT_CHECK = 1 << 17;
        /// #MC.
        const MACHINE_CHECK = 1 << 18;
    }
}

bitflags! {
    /// The word at offset 0Ch.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(transparent)]
    pub struct First: u32 {
        /// Physical interrupts.
        const INTR = 1 << 0;
        /// Physical non-maskable interrupts.
        const NMI = 1 << 1;
        /// Physical INIT.
        const INIT = 1 << 3;
        /// A virtual interrupt that would be taken now.
        const VINTR = 1 << 4;
        /// RDTSC.
        const RDTSC = 1 << 14;
        /// RDPMC.
        const RDPMC = 1 << 15;
        /// CPUID.
        const CPUID = 1 << 18;
        /// IRET.
        const IRET = 1 << 20;
        /// INVD.
        const INVD = 1 << 22;
        /// PAUSE; each, or as the pause filter says.
        const PAUSE = 1 << 23;
        /// HLT.
        const HLT = 1 << 24;
        /// INVLPGA.
        const INVLPGA = 1 << 26;
        /// Ports, by the I/O permission map.
        const IOIO_PROT = 1 << 27;
        /// Model-specific registers, by the MSR permission map.
        const MSR_PROT = 1 << 28;
        /// Shutdown.
        const SHUTDOWN = 1 << 31;
    }
}

bitflags! {
    /// The word at offset 10h.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(transparent)]
    pub struct Second: u32 {
        /// VMRUN.
        const VMRUN = 1 << 0;
        /// VMMCALL.
        const VMMCALL = 1 << 1;
        /// VMLOAD.
        const VMLOAD = 1 << 2;
        /// VMSAVE.
        const VMSAVE = 1 << 3;
        /// STGI.
        const STGI = 1 << 4;
        /// CLGI.
        const CLGI = 1 << 5;
        /// SKINIT.
        const SKINIT = 1 << 6;
        /// RDTSCP.
        const RDTSCP = 1 << 7;
        /// INT1, which raises #DB past the intercept of #DB.
        const ICEBP = 1 << 8;
        /// WBINVD and WBNOINVD.
        const WBINVD = 1 << 9;
        /// MONITOR and MONITORX.
        const MONITOR = 1 << 10;
        /// MWAIT and MWAITX, always.
        const MWAIT = 1 << 11;
        /// MWAIT and MWAITX while the monitor is armed.
        const MWAIT_ARMED = 1 << 12;
        /// XSETBV.
        const XSETBV = 1 << 13;
        /// RDPRU.
        const RDPRU = 1 << 14;
    }
}

/// Reads of CR4, in the word at offset 00h.
pub const CR4_READ: u32 = 1 << 4;
/// Writes of CR4, there.
pub const CR4_WRITE: u32 = 1 << 20;

/// #MC is the host's. #DB and #AC are given back to the guest, but not before the processor left it: a guest that raises them
/// while it delivers them keeps the processor in microcode for ever, interrupts and NMIs held off (CVE-2015-8104 and
/// CVE-2015-5307).
pub const EXCEPTIONS: Exceptions =
    Exceptions::DEBUG.union(Exceptions::ALIGNMENT_CHECK).union(Exceptions::MACHINE_CHECK);

/// Always on. VINTR, IRET and writes of CR8 are added while somebody waits for them, PAUSE while others wait for the CPU, and
/// RDTSC where the guest's counter is not the processor's.
pub const FIRST: First = First::INTR
    .union(First::NMI)
    .union(First::INIT)
    .union(First::RDPMC)
    .union(First::CPUID)
    .union(First::INVD)
    .union(First::HLT)
    .union(First::INVLPGA)
    .union(First::IOIO_PROT)
    .union(First::MSR_PROT)
    .union(First::SHUTDOWN);

/// Always on: SVM's own instructions (VMRUN's intercept is a condition of entry), those that wait or write caches back, those
/// that no guest's CPUID offers. RDTSCP goes with RDTSC.
pub const SECOND: Second = Second::all().difference(Second::RDTSCP);

/// How many PAUSEs in a row end a run: KVM's choice, some tens of microseconds of waiting (APM vol. 2, 15.14.4).
pub const PAUSES: u16 = 3000;
/// Cycles between two PAUSEs up to which they are of one loop: KVM's choice.
pub const PAUSE_THRESHOLD: u16 = 128;
