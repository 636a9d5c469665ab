//! What a guest is to be, as its owner describes it.

mod processors;

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::layout::{LayoutError, MemoryLayout};

pub use processors::{Cap, HostCpus, Processors, ProcessorsError, VcpuCount, Weight};

/// A guest's name: 1 to 32 lower-case letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestName(String);

/// A text that is no guest's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected 1 to {} lower-case letters, digits or `-`, such as web-1", GuestName::MAX_BYTES)]
pub struct NameError;

impl GuestName {
    /// Bytes in the longest name.
    pub const MAX_BYTES: usize = 32;

    /// The name `text`.
    ///
    /// # Errors
    /// [`NameError`] says what a name looks like.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(in_name) {
            return Err(NameError);
        }
        Ok(Self(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for GuestName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<GuestName> for String {
    fn from(name: GuestName) -> Self {
        name.0
    }
}

impl fmt::Display for GuestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The command line of a guest's kernel: at most 2047 bytes, none of them NUL.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommandLine(String);

/// A text that no kernel can be given as its command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandLineError {
    /// Longer than [`CommandLine::MAX_BYTES`].
    #[error("{bytes} bytes: a kernel's command line has at most {}", CommandLine::MAX_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A NUL would end it early.
    #[error("a NUL at byte {at}: it would end the command line there")]
    Nul {
        /// Where, counted from 0.
        at: usize,
    },
}

impl CommandLine {
    /// Bytes of the longest command line: Linux keeps 2048 on x86, with a NUL.
    pub const MAX_BYTES: usize = 2047;

    /// The command line `text`.
    ///
    /// # Errors
    /// [`CommandLineError`].
    pub fn new(text: impl Into<String>) -> Result<Self, CommandLineError> {
        let text = text.into();
        if text.len() > Self::MAX_BYTES {
            return Err(CommandLineError::TooLong { bytes: text.len() });
        }
        match text.bytes().position(|byte| byte == 0) {
            Some(at) => Err(CommandLineError::Nul { at }),
            None => Ok(Self(text)),
        }
    }

    /// The command line as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CommandLine {
    type Error = CommandLineError;

    fn try_from(text: String) -> Result<Self, CommandLineError> {
        Self::new(text)
    }
}

impl From<CommandLine> for String {
    fn from(line: CommandLine) -> Self {
        line.0
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which leaves the nested tables of a guest use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum PagePolicy {
    /// The largest that alignment allows: 1 GiB, 2 MiB, 4 KiB.
    #[default]
    Largest,
    /// 4 KiB only.
    FourKib,
}

impl fmt::Display for PagePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Largest => "largest",
            Self::FourKib => "4k",
        })
    }
}

/// What a guest is to be. It travels with the guest to other hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GuestDescription {
    /// What it is called; one name is one guest.
    pub name: GuestName,
    /// RAM in bytes: see [`layout`](Self::layout).
    pub memory_bytes: u64,
    /// What its kernel is told.
    pub command_line: CommandLine,
    /// Which leaves its nested tables use.
    pub pages: PagePolicy,
    /// Whether it starts when its host does.
    pub autostart: bool,
    /// Its virtual CPUs.
    pub processors: Processors,
    /// Whose it is: nothing is done to keep guests of one domain from learning of each other by what processors remember. A
    /// guest that says nothing is a domain of its own.
    pub trust_domain: Option<GuestName>,
    /// What its time stamp counter counts a second, where its owner says so: it then runs only where that holds.
    pub tsc_hz: Option<u64>,
}

impl GuestDescription {
    /// Where its RAM lies.
    ///
    /// # Errors
    /// [`LayoutError`] where no guest can have that much.
    pub fn layout(&self) -> Result<MemoryLayout, LayoutError> {
        MemoryLayout::new(self.memory_bytes)
    }
}

#[cfg(test)]
mod tests;
