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
//! address = "10.0.0.1/24"    # its Ethernet adapter's; a host without one has no adapter
//! mtu = 9000                 # of its adapter, default the network's
//! bundle = "guests.bundle"   # its boot module; relative to the lab file
//!
//! [network]                  # the switch that joins all hosts with an address
//! mtu = 9000                 # 1500 to 65535, default 1500
//! pcap = "lab.pcap"          # where to write all frames; relative to the lab file
//! ```
//!
//! The image is told its own name and address and its peers' by `godwit.host=`, `godwit.address=` and
//! `godwit.peers=NAME@ADDRESS,…`.

mod address;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::{
    memory_size::MemorySize,
    network::{MacAddress, Switch},
    spec::{HostSpec, MachineKind, NetworkSpec},
};

pub use address::InterfaceAddress;

/// The longest host name.
const MAX_NAME_BYTES: usize = 32;

/// The MTU of a network that says none: Ethernet's.
const DEFAULT_MTU: u16 = 1500;
/// The smallest MTU of a network.
const MIN_MTU: u16 = 1500;

/// A lab: its hosts in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabFile {
    /// The hosts.
    pub hosts: Vec<LabHost>,
    /// Where to write everything that hosts send each other.
    pub pcap: Option<PathBuf>,
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
    /// Its place in the network, where it has one.
    pub network: Option<LabAdapter>,
    /// Its boot module.
    pub bundle: Option<PathBuf>,
}

/// A host's place in the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabAdapter {
    /// Its address and how much of it names the network.
    pub address: InterfaceAddress,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
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
    #[serde(default)]
    network: RawNetwork,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    mtu: Option<u16>,
    pcap: Option<PathBuf>,
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
    address: Option<String>,
    mtu: Option<u16>,
    bundle: Option<PathBuf>,
}

impl LabFile {
    /// Reads the lab file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or says something that is not understood; the error names the file and the field.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the lab file {}", path.display()))?;
        let mut file = Self::parse(&text).with_context(|| format!("lab file {}", path.display()))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for path in file.hosts.iter_mut().map(|host| &mut host.bundle).chain([&mut file.pcap]).flatten() {
            *path = directory.join(&path);
        }
        Ok(file)
    }

    /// Understands the text of a lab file; its paths stay as they are.
    ///
    /// # Errors
    /// The first thing that is not understood, with the host and the field.
    pub fn parse(text: &str) -> Result<Self> {
        // The parser's own error shows line, column and the words that were expected.
        let raw: RawFile =
            toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
        ensure!(!raw.host.is_empty(), "no [[host]]: a lab needs at least one");
        let default_mtu = raw.network.mtu.unwrap_or(DEFAULT_MTU);
        check_mtu(default_mtu).context("[network]")?;
        let mut names = HashSet::new();
        let mut hosts: Vec<LabHost> = Vec::new();
        for (index, raw) in raw.host.into_iter().enumerate() {
            let label = format!("host {} (`{}`)", index + 1, raw.name);
            let host = LabHost::from_raw(raw, default_mtu).context(label.clone())?;
            ensure!(names.insert(host.name.clone()), "{label}: field `name`: used twice");
            if let Some(own) = host.network {
                for other in &hosts {
                    let Some(theirs) = other.network else { continue };
                    own.address
                        .check_neighbour(theirs.address)
                        .with_context(|| format!("{label}: field `address`: host `{}`", other.name))?;
                }
            }
            hosts.push(host);
        }
        Ok(Self { hosts, pcap: raw.network.pcap })
    }

    /// The switch of this lab, without ports.
    ///
    /// # Errors
    /// The capture's file cannot be made.
    pub fn switch(&self) -> Result<Switch> {
        self.pcap.as_deref().map_or_else(|| Ok(Switch::new()), Switch::with_capture)
    }

    /// The hosts as emulators get them, in the file's order, booting `image` and joined by `switch`.
    ///
    /// # Errors
    /// Those of [`HostSpec::new`].
    pub fn specs(&self, image: &Path, switch: &Switch) -> Result<Vec<HostSpec>> {
        let mut specs = Vec::new();
        for (number, host) in (1..).zip(&self.hosts) {
            let mut spec = host.spec(image)?;
            if let Some(LabAdapter { address, mtu }) = host.network {
                spec.command_line.push(format!("godwit.address={address}"));
                let peers = self.hosts.iter().filter(|other| other.name != host.name);
                let peers: Vec<_> = peers
                    .filter_map(|peer| Some(format!("{}@{}", peer.name, peer.network?.address.ip())))
                    .collect();
                if !peers.is_empty() {
                    spec.command_line.push(format!("godwit.peers={}", peers.join(",")));
                }
                let (port, mac) = (switch.add_port(), MacAddress::of_host(number));
                spec.network = Some(NetworkSpec { port, mac, mtu });
            }
            specs.push(spec);
        }
        Ok(specs)
    }
}

fn check_mtu(mtu: u16) -> Result<()> {
    ensure!(mtu >= MIN_MTU, "field `mtu`: {mtu}: expected {MIN_MTU} to {}", u16::MAX);
    Ok(())
}

impl LabHost {
    fn from_raw(raw: RawHost, default_mtu: u16) -> Result<Self> {
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
        let network = match &raw.address {
            Some(text) => {
                let mtu = raw.mtu.unwrap_or(default_mtu);
                check_mtu(mtu)?;
                Some(LabAdapter { address: text.parse().context("field `address`")?, mtu })
            }
            None => {
                ensure!(raw.mtu.is_none(), "field `mtu`: a host without `address` has no adapter");
                None
            }
        };
        Ok(Self {
            name: raw.name,
            cpus,
            memory: raw.memory.as_deref().unwrap_or("128MiB").parse().context("field `memory`")?,
            machine: raw.machine.as_deref().unwrap_or("q35").parse().context("field `machine`")?,
            command_line: raw.cmdline.unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            fragment: raw.fragment,
            network,
            bundle: raw.bundle,
        })
    }

    /// The host as an emulator gets it, booting `image`, alone: [`LabFile::specs`] joins it to the others.
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
            module: self.bundle.clone(),
            ..HostSpec::new(&self.name, image)?
        })
    }
}

#[cfg(test)]
mod tests;
