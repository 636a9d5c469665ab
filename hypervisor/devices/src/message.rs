//! Interrupt messages between IO-APIC and local APICs.

/// Whom a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    /// The CPU with this APIC id.
    Physical(u32),
    /// The CPUs whose logical id matches.
    Logical(u32),
    /// The sender.
    Sender,
    /// All CPUs.
    All,
    /// All CPUs but the sender.
    Others,
}

/// How it is delivered (SDM vol. 3, 11.5.1; 82093AA, 3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivery {
    Fixed,
    LowestPriority,
    SystemManagement,
    Nmi,
    Init,
    StartUp,
    /// The vector comes from the 8259A.
    External,
}

impl Delivery {
    /// From the three bits of a delivery mode; `None` where the mode is reserved.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        match bits & 7 {
            0 => Some(Self::Fixed),
            1 => Some(Self::LowestPriority),
            2 => Some(Self::SystemManagement),
            4 => Some(Self::Nmi),
            5 => Some(Self::Init),
            6 => Some(Self::StartUp),
            7 => Some(Self::External),
            _ => None,
        }
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) destination: Destination,
    pub(crate) delivery: Delivery,
    pub(crate) vector: u8,
    /// Level-triggered: its end is told to the IO-APIC.
    pub(crate) level: bool,
}

/// What carries messages to local APICs.
pub(crate) trait MessageBus {
    /// Delivers; `false` where nobody took it.
    fn deliver(&mut self, message: Message) -> bool;
}
