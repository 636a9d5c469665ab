//! Why a guest cannot be loaded.

use alloc::string::String;

use crate::{GuestAddress, file::Truncated};

const MIB: u64 = 1 << 20;

/// Why a guest cannot be loaded: which file, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel.
    #[error("kernel `{name}`: {problem}")]
    Kernel {
        /// The file.
        name: String,
        /// What is wrong with it.
        problem: KernelProblem,
    },
    /// The initial RAM disk.
    #[error("initrd `{name}`: {problem}")]
    Initrd {
        /// The file.
        name: String,
        /// What is wrong with it.
        problem: InitrdProblem,
    },
    /// The host made ACPI tables for a wrong place.
    #[error("the ACPI tables do not lie in the legacy hole")]
    Tables,
}

/// What is wrong with a kernel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KernelProblem {
    /// Of no known format.
    #[error("not a kernel: neither an ELF file with a PVH entry nor a Linux bzImage")]
    NotAKernel,
    /// It ends before something that it says it has.
    #[error("truncated: the file ends in the middle of {what}")]
    Truncated {
        /// What is cut off.
        what: &'static str,
    },
    /// A kernel, but not one that boots here.
    #[error("{0}")]
    Unsupported(&'static str),
    /// It contradicts itself.
    #[error("damaged: {0}")]
    Damaged(&'static str),
    /// The guest's memory ends before the kernel does.
    #[error("too large for the memory: it needs {} MiB, and the guest has {} MiB", needed_bytes.div_ceil(MIB), memory_bytes / MIB)]
    TooLarge {
        /// Memory with which it fits.
        needed_bytes: u64,
        /// The guest's memory.
        memory_bytes: u64,
    },
    /// A part belongs where guests have no RAM, or where the loader puts its own.
    #[error("{what} belongs at {start}, {bytes} bytes, where {taken}")]
    Misplaced {
        /// Which part.
        what: &'static str,
        /// Where it belongs.
        start: GuestAddress,
        /// Its length.
        bytes: u64,
        /// What is in the way.
        taken: &'static str,
    },
    /// The command line is longer than this kernel takes.
    #[error("takes a command line of at most {max_bytes} bytes, and the guest's has {bytes}")]
    CommandLine {
        /// What the kernel takes.
        max_bytes: u32,
        /// The guest's command line.
        bytes: usize,
    },
}

impl KernelProblem {
    /// Turns a short read into the problem that `what` is cut off.
    pub(super) fn cut(what: &'static str) -> impl Fn(Truncated) -> Self {
        move |Truncated| Self::Truncated { what }
    }
}

/// What is wrong with an initial RAM disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InitrdProblem {
    /// It has no bytes.
    #[error("empty")]
    Empty,
    /// No place beside the kernel is large enough.
    #[error("too large: it has {} KiB, and the largest place beside the kernel is {} KiB; give the guest more memory", bytes.div_ceil(1024), room_bytes / 1024)]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The largest place that there is.
        room_bytes: u64,
    },
}
