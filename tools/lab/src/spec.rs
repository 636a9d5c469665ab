//! What to emulate, and the QEMU arguments that do it.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::fd::RawFd,
    path::PathBuf,
    str::FromStr,
};

use anyhow::{Error, Result, bail};

use crate::{
    emulator::Emulator,
    memory_size::MemorySize,
    network::{MacAddress, Port},
};

/// QEMU's machine types that the image boots on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MachineKind {
    /// i440FX with PIIX3: PCI, no memory-mapped configuration space.
    Pc,
    /// Q35 with ICH9: PCI Express.
    Q35,
}

impl FromStr for MachineKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "pc" => Ok(Self::Pc),
            "q35" => Ok(Self::Q35),
            _ => bail!("machine `{text}`: expected `pc` or `q35`"),
        }
    }
}

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
        })
    }
}

/// What a reset by the host does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnReset {
    /// Ends the emulator: a triple fault cannot hide in a loop of boots.
    End,
    /// Boots again, as a real machine does.
    BootAgain,
}

/// A host's Ethernet adapter: virtio-net on the PCI bus.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Where its cable ends.
    pub port: Port,
    /// Its hardware address.
    pub mac: MacAddress,
    /// The largest IP packet that it announces, in bytes.
    pub mtu: u16,
}

/// One host to emulate.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// The host's name: given to it as `godwit.host`, and said in every error.
    pub name: String,
    /// The image to boot.
    pub image: PathBuf,
    /// Mainboard.
    pub machine: MachineKind,
    /// Logical processors.
    pub cpus: u32,
    /// RAM. Nothing is set aside for it: only what the host touches counts.
    pub memory: MemorySize,
    /// QEMU's `-cpu`.
    pub cpu_model: String,
    /// Words of the image's command line after `godwit.host=`.
    pub command_line: Vec<String>,
    /// A file that the image finds in memory as its boot module: PVH hands over one.
    pub module: Option<PathBuf>,
    /// Its Ethernet adapter, where it has one.
    pub network: Option<NetworkSpec>,
    /// What a reset does.
    pub on_reset: OnReset,
    /// More QEMU arguments.
    pub extra_arguments: Vec<OsString>,
    /// Which QEMU.
    pub emulator: Emulator,
}

impl HostSpec {
    /// A q35 with one CPU of every feature that the emulator has, 128 MiB, and nothing else on its bus.
    ///
    /// # Errors
    /// Those of [`Emulator::from_environment`].
    pub fn new(name: &str, image: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            image: image.into(),
            machine: MachineKind::Q35,
            cpus: 1,
            memory: MemorySize::from_mib(128)?,
            cpu_model: "max".to_owned(),
            command_line: Vec::new(),
            module: None,
            network: None,
            on_reset: OnReset::End,
            extra_arguments: Vec::new(),
            emulator: Emulator::from_environment()?,
        })
    }

    /// QEMU's arguments for this host, all but those that say where its serial port, its monitor and its network go.
    pub fn arguments(&self) -> Vec<OsString> {
        let memory_mib = self.memory.mib();
        let mut arguments: Vec<OsString> = [
            "-accel",
            &self.emulator.accelerator,
            "-cpu",
            &self.cpu_model,
            "-machine",
            &format!("{},memory-backend=ram", self.machine),
            "-object",
            &format!("memory-backend-ram,id=ram,size={memory_mib}M,reserve=off"),
            "-m",
            &format!("{memory_mib}M"),
            "-smp",
            &self.cpus.to_string(),
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-append",
            &self.command_line_text(),
        ]
        .map(OsString::from)
        .into();
        arguments.extend([OsStr::new("-kernel"), self.image.as_os_str()].map(OsString::from));
        if let Some(module) = &self.module {
            arguments.extend([OsStr::new("-initrd"), module.as_os_str()].map(OsString::from));
        }
        if self.on_reset == OnReset::End {
            arguments.push("-no-reboot".into());
        }
        arguments.extend(self.extra_arguments.iter().cloned());
        arguments
    }

    /// QEMU's arguments for the adapter whose cable is descriptor `cable`.
    pub(crate) fn network_arguments(network: &NetworkSpec, cable: RawFd) -> [String; 4] {
        let NetworkSpec { mac, mtu, .. } = network;
        [
            "-netdev".to_owned(),
            format!("dgram,id=net,local.type=fd,local.str={cable}"),
            "-device".to_owned(),
            // Without a ROM: nothing boots from this network.
            format!("virtio-net-pci,netdev=net,mac={mac},host_mtu={mtu},romfile="),
        ]
    }

    /// The image's whole command line.
    fn command_line_text(&self) -> String {
        let name = format!("godwit.host={}", self.name);
        std::iter::once(&name).chain(&self.command_line).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Switch;

    fn following(arguments: &[OsString], flag: &str) -> String {
        let at = arguments.iter().position(|argument| argument == flag).expect(flag);
        arguments[at + 1].to_str().unwrap().to_owned()
    }

    #[test]
    fn says_every_size_to_qemu() {
        let mut spec = HostSpec::new("a", "/x/godwit.elf").unwrap();
        spec.cpus = 3;
        spec.memory = "16GiB".parse().unwrap();
        spec.machine = MachineKind::Pc;
        spec.command_line = vec!["godwit.log=debug".into()];
        let arguments = spec.arguments();
        assert_eq!(following(&arguments, "-smp"), "3");
        assert_eq!(following(&arguments, "-m"), "16384M");
        assert_eq!(following(&arguments, "-machine"), "pc,memory-backend=ram");
        assert_eq!(following(&arguments, "-object"), "memory-backend-ram,id=ram,size=16384M,reserve=off");
        assert_eq!(following(&arguments, "-append"), "godwit.host=a godwit.log=debug");
        assert_eq!(following(&arguments, "-kernel"), "/x/godwit.elf");
        assert!(arguments.iter().any(|argument| argument == "-no-reboot"));
        assert!(!arguments.iter().any(|argument| argument == "-initrd"));
    }

    #[test]
    fn hands_over_a_module_and_a_network() {
        let spec = HostSpec { module: Some("/x/guests".into()), ..HostSpec::new("a", "image").unwrap() };
        assert_eq!(following(&spec.arguments(), "-initrd"), "/x/guests");
        let network = NetworkSpec { port: Switch::new().add_port(), mac: MacAddress::of_host(1), mtu: 9000 };
        let arguments = HostSpec::network_arguments(&network, 7).map(OsString::from);
        assert_eq!(following(&arguments, "-netdev"), "dgram,id=net,local.type=fd,local.str=7");
        assert_eq!(
            following(&arguments, "-device"),
            "virtio-net-pci,netdev=net,mac=52:54:00:60:00:01,host_mtu=9000,romfile="
        );
    }

    #[test]
    fn a_host_may_boot_again() {
        let spec = HostSpec { on_reset: OnReset::BootAgain, ..HostSpec::new("a", "image").unwrap() };
        assert!(!spec.arguments().iter().any(|argument| argument == "-no-reboot"));
    }

    #[test]
    fn knows_its_machines() {
        for kind in [MachineKind::Pc, MachineKind::Q35] {
            assert_eq!(kind.to_string().parse::<MachineKind>().unwrap(), kind);
        }
        assert!("microvm".parse::<MachineKind>().unwrap_err().to_string().contains("`pc` or `q35`"));
    }
}
