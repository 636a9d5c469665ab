//! Everything that a virtual CPU is.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Registers, Segments, Table};
use crate::vcpu::Event;

/// Control registers and the extended feature registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct Control {
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    /// The task priority, 4 bits.
    pub cr8: u8,
    pub efer: u64,
    pub xcr0: u64,
}

/// Debug registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct Debug {
    /// DR0 to DR3.
    pub addresses: [u64; 4],
    pub dr6: u64,
    pub dr7: u64,
}

/// Model-specific registers that the processor holds while the guest runs. FS and GS bases are in their segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct Msrs {
    pub star: u64,
    pub lstar: u64,
    pub cstar: u64,
    pub sfmask: u64,
    pub kernel_gs_base: u64,
    pub sysenter_cs: u64,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
    pub pat: u64,
    pub tsc_aux: u64,
    pub debug_control: u64,
}

/// What the CPU is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Activity {
    /// Executes instructions.
    #[default]
    Running,
    /// Waits in HLT for an interrupt.
    Halted,
    /// Waits for a start-up message, after INIT or because it is not the one that boots.
    WaitingForStartUp,
}

/// The whole architectural state of one virtual CPU, whatever processor runs it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CpuState {
    /// General registers, RIP, RFLAGS.
    pub registers: Registers,
    /// Segment registers.
    pub segments: Segments,
    /// GDTR.
    pub gdtr: Table,
    /// IDTR.
    pub idtr: Table,
    /// Control registers.
    pub control: Control,
    /// Debug registers.
    pub debug: Debug,
    /// Model-specific registers.
    pub msrs: Msrs,
    /// The FPU's state as an XSAVE area in the standard (non-compacted) format, at least 576 bytes (APM vol. 2, 11.5).
    pub fpu: Vec<u8>,
    /// The guest's time stamp counter when the state was taken.
    pub tsc: u64,
    /// Running or halted.
    pub activity: Activity,
    /// Whether interrupts are held off for one instruction (after STI or MOV SS).
    pub interrupt_shadow: bool,
    /// Whether NMIs are held off until IRET.
    pub nmi_blocked: bool,
    /// An event that was about to be delivered and has to be before anything else.
    pub pending: Option<Event>,
}
