//! The local APIC's registers by number: the MMIO offset / 16, or the x2APIC MSR less 0x800 (SDM vol. 3,
//! table 11-1).

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    Id,
    Version,
    TaskPriority,
    /// Arbitration priority: not there since the Pentium 4.
    ArbitrationPriority,
    ProcessorPriority,
    EndOfInterrupt,
    /// Remote read: not there since the Pentium 4.
    RemoteRead,
    LogicalDestination,
    DestinationFormat,
    Spurious,
    /// One of eight words.
    InService(u8),
    /// One of eight words.
    TriggerMode(u8),
    /// One of eight words.
    Requested(u8),
    ErrorStatus,
    Command,
    /// The upper half of the command register; in x2APIC mode there is only one of 64 bits.
    CommandHigh,
    Local(Local),
    InitialCount,
    CurrentCount,
    DivideConfiguration,
    /// x2APIC mode only.
    SelfInterrupt,
}

/// An entry of the local vector table, in the order in which they are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Local {
    Timer,
    Thermal,
    Performance,
    Pin0,
    Pin1,
    Error,
}

impl Local {
    /// How many there are.
    pub(super) const COUNT: usize = 6;
    pub(super) const ALL: [Self; Self::COUNT] =
        [Self::Timer, Self::Thermal, Self::Performance, Self::Pin0, Self::Pin1, Self::Error];

    /// The bits that can be written.
    pub(super) const fn writable(self) -> u32 {
        match self {
            Self::Timer => 0x0007_00ff,
            Self::Thermal | Self::Performance => 0x0001_07ff,
            Self::Pin0 | Self::Pin1 => 0x0001_a7ff,
            Self::Error => 0x0001_00ff,
        }
    }
}

impl Register {
    pub(super) const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0x02 => Self::Id,
            0x03 => Self::Version,
            0x08 => Self::TaskPriority,
            0x09 => Self::ArbitrationPriority,
            0x0a => Self::ProcessorPriority,
            0x0b => Self::EndOfInterrupt,
            0x0c => Self::RemoteRead,
            0x0d => Self::LogicalDestination,
            0x0e => Self::DestinationFormat,
            0x0f => Self::Spurious,
            0x10..=0x17 => Self::InService(number as u8 & 7),
            0x18..=0x1f => Self::TriggerMode(number as u8 & 7),
            0x20..=0x27 => Self::Requested(number as u8 & 7),
            0x28 => Self::ErrorStatus,
            0x30 => Self::Command,
            0x31 => Self::CommandHigh,
            0x32 => Self::Local(Local::Timer),
            0x33 => Self::Local(Local::Thermal),
            0x34 => Self::Local(Local::Performance),
            0x35 => Self::Local(Local::Pin0),
            0x36 => Self::Local(Local::Pin1),
            0x37 => Self::Local(Local::Error),
            0x38 => Self::InitialCount,
            0x39 => Self::CurrentCount,
            0x3e => Self::DivideConfiguration,
            0x3f => Self::SelfInterrupt,
            _ => return None,
        })
    }

    /// Whether the register can be read in x2APIC mode (SDM vol. 3, table 11-6).
    pub(super) const fn is_readable_msr(self) -> bool {
        !matches!(
            self,
            Self::ArbitrationPriority
                | Self::EndOfInterrupt
                | Self::RemoteRead
                | Self::DestinationFormat
                | Self::CommandHigh
                | Self::SelfInterrupt
        )
    }

    /// The bits that may be set when it is written in x2APIC mode; `None` where it cannot be written.
    pub(super) const fn writable_msr(self) -> Option<u64> {
        match self {
            Self::TaskPriority | Self::SelfInterrupt => Some(0xff),
            Self::EndOfInterrupt | Self::ErrorStatus => Some(0),
            Self::Spurious => Some(super::SPURIOUS_WRITABLE as u64),
            // Bit 12 says that sending goes on: read-only, and never so here.
            Self::Command => Some(0xffff_ffff_000c_dfff),
            // Bits 12 and 14 are read-only rather than reserved.
            Self::Local(entry) => Some(entry.writable() as u64 | 0x5000),
            Self::InitialCount => Some(u32::MAX as u64),
            Self::DivideConfiguration => Some(0b1011),
            _ => None,
        }
    }
}
