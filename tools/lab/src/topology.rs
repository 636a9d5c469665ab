//! Lab files: several hosts in one TOML file.
//!
//! ```toml
//! [[host]]
//! name = "north"             # lower-case letters, digits and `-`; each name once
//! cpus = 2                   # 1 to 255, default 1
//! memory = "1GiB"            # MiB or GiB, default 128MiB
//! machine = "q35"            # or "pc", default q35
//! cmdline = "godwit.log=debug"
//! fragment = { percent = 60, seed = 7 }
//! ```

use std::{collections::HashSet, path::Path};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::{memory_size::MemorySize, spec::HostSpec, spec::MachineKind};

/// The longest host name.
const MAX_NAME_BYTES: usize = 32;

/// A lab: its hosts in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabFile {
    /// The hosts.
    pub hosts: Vec<LabHost>,
}

/// One host of a lab.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabHost {
    /// Its name.
    pub name: String,
    /// Logical processors.
    pub cpus: u32,
    /// RAM.
    pub memory: MemorySize,
    /// Mainboard.
    pub machine: MachineKind,
    /// More words for the image's command line.
    pub command_line: Vec<String>,
    /// Whether its free memory starts out in pieces.
    pub fragment: Option<Fragment>,
}

/// How a host's free memory is broken up at boot, reproducibly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// Share of the free 2 MiB blocks that get a frame pinned in them, 1 to 100.
    pub percent: u8,
    /// Which of the many possible pictures.
    pub seed: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    host: Vec<RawHost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHost {
    name: String,
    cpus: Option<u32>,
    memory: Option<String>,
    machine: Option<String>,
    cmdline: Option<String>,
    fragment: Option<Fragment>,
}

impl LabFile {
    /// Reads the lab file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or says something that is not understood; the error names the file and the field.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the lab file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("lab file {}", path.display()))
    }

    /// Understands the text of a lab file.
    ///
    /// # Errors
    /// The first thing that is not understood, with the host and the field.
    pub fn parse(text: &str) -> Result<Self> {
        // The parser's own error shows line, column and the words that were expected.
        let raw: RawFile =
            toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
        ensure!(!raw.host.is_empty(), "no [[host]]: a lab needs at least one");
        let mut names = HashSet::new();
        let mut hosts = Vec::new();
        for (index, raw) in raw.host.into_iter().enumerate() {
            let label = format!("host {} (`{}`)", index + 1, raw.name);
            let host = LabHost::from_raw(raw).context(label.clone())?;
            ensure!(names.insert(host.name.clone()), "{label}: field `name`: used twice");
            hosts.push(host);
        }
        Ok(Self { hosts })
    }
}

impl LabHost {
    fn from_raw(raw: RawHost) -> Result<Self> {
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if raw.name.is_empty() || raw.name.len() > MAX_NAME_BYTES || !raw.name.chars().all(in_name) {
            bail!("field `name`: expected 1 to {MAX_NAME_BYTES} lower-case letters, digits or `-`");
        }
        let cpus = raw.cpus.unwrap_or(1);
        ensure!((1..=255).contains(&cpus), "field `cpus`: {cpus}: expected 1 to 255");
        if let Some(fragment) = raw.fragment {
            let percent = fragment.percent;
            ensure!((1..=100).contains(&percent), "field `fragment.percent`: {percent}: expected 1 to 100");
        }
        Ok(Self {
            name: raw.name,
            cpus,
            memory: raw.memory.as_deref().unwrap_or("128MiB").parse().context("field `memory`")?,
            machine: raw.machine.as_deref().unwrap_or("q35").parse().context("field `machine`")?,
            command_line: raw.cmdline.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            fragment: raw.fragment,
        })
    }

    /// The host as an emulator gets it, booting `image`.
    ///
    /// # Errors
    /// Those of [`HostSpec::new`].
    pub fn spec(&self, image: &Path) -> Result<HostSpec> {
        let mut command_line = self.command_line.clone();
        if let Some(Fragment { percent, seed }) = self.fragment {
            command_line.push(format!("godwit.fragment={percent}:{seed}"));
        }
        Ok(HostSpec {
            machine: self.machine,
            cpus: self.cpus,
            memory: self.memory,
            command_line,
            ..HostSpec::new(&self.name, image)?
        })
    }
}

#[cfg(test)]
mod tests;
