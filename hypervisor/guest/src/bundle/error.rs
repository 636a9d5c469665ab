//! What can be wrong with a bundle, and with one guest of it.

use alloc::string::String;

use super::{MAX_FILE_NAME, MAX_FILES, MAX_GUESTS, header::VERSION};
use crate::{
    description::{CommandLineError, NameError, ProcessorsError},
    file::Truncated,
    layout::LayoutError,
};

/// Why a file is no bundle that can be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not begin as a bundle does.
    #[error("not a bundle of guests: make one with `cargo xtask bundle`")]
    NotABundle,
    /// Of a version that this build does not read.
    #[error("a bundle of version {version}, and this build reads version {VERSION}: build it again")]
    Version {
        /// Its version.
        version: u32,
    },
    /// Shorter than it says.
    #[error("truncated: the bundle has {wanted} bytes, of which {found} are here")]
    Truncated {
        /// Its length by its header.
        wanted: u64,
        /// Its length.
        found: u64,
    },
    /// The manifest is longer than any that fits the rules.
    #[error("damaged: a manifest of {bytes} bytes")]
    ManifestTooLong {
        /// Its length by the header.
        bytes: u32,
    },
    /// The manifest is not the one that was written.
    #[error("damaged: the manifest's sum is wrong")]
    Sum,
    /// The manifest's sum is right, but it cannot be understood.
    #[error("the manifest cannot be understood")]
    Manifest,
}

impl From<Truncated> for BundleError {
    fn from(_: Truncated) -> Self {
        Self::NotABundle
    }
}

/// Why one guest of a bundle cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GuestError {
    /// The name is no name.
    #[error("name: {0}")]
    Name(#[from] NameError),
    /// A guest before it has the same name.
    #[error("name: used twice: give each guest its own")]
    NameTwice,
    /// No guest can have that much memory.
    #[error("memory: {0}")]
    Memory(#[from] LayoutError),
    /// No kernel can be given that command line.
    #[error("cmdline: {0}")]
    CommandLine(#[from] CommandLineError),
    /// The virtual CPUs are not as they can be.
    #[error("cpus: {0}")]
    Processors(#[from] ProcessorsError),
    /// The trust domain's name is no name.
    #[error("domain: {0}")]
    Domain(NameError),
    /// The kernel or the initial RAM disk is a file that the bundle does not have.
    #[error("{field}: the bundle has no file {index}")]
    NoFile {
        /// `kernel` or `initrd`.
        field: &'static str,
        /// The file's number.
        index: u32,
    },
    /// A file lies outside the bundle.
    #[error("{field}: `{name}` lies outside the bundle")]
    OutsideBundle {
        /// `kernel` or `initrd`.
        field: &'static str,
        /// The file's name.
        name: String,
    },
}

/// Why a bundle cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// More guests than [`MAX_GUESTS`].
    #[error("more than {MAX_GUESTS} guests in one bundle")]
    Guests,
    /// More files than [`MAX_FILES`].
    #[error("more than {MAX_FILES} files in one bundle")]
    Files,
    /// A name of a file is empty or longer than [`MAX_FILE_NAME`].
    #[error("a file's name of {bytes} bytes: expected 1 to {MAX_FILE_NAME}")]
    FileName {
        /// Its length.
        bytes: usize,
    },
    /// Two guests have one name.
    #[error("two guests are called `{name}`: give each its own name")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// The guest's memory is impossible.
    #[error("guest `{name}`: memory: {error}")]
    Memory {
        /// The guest.
        name: String,
        /// What is wrong with it.
        error: LayoutError,
    },
    /// The manifest cannot be written.
    #[error("the manifest is longer than a bundle allows")]
    Manifest,
}
