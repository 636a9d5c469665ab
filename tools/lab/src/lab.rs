//! A lab that runs: hosts, and the switch that joins them.

use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::{
    host::RunningHost,
    network::{Port, Switch},
    spec::HostSpec,
    topology::LabFile,
};

/// Hosts that run and the switch between them. Dropping it ends them all.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: hosts first, so that none sees its cable pulled.
    hosts: Vec<RunningHost>,
    specs: Vec<HostSpec>,
    switch: Switch,
}

impl Lab {
    /// Starts every host of `file` with `image`. They boot while the caller does something else.
    ///
    /// # Errors
    /// A host does not start, or the capture's file cannot be made; the error says which.
    pub fn start(file: &LabFile, image: &Path) -> Result<Self> {
        let switch = file.switch().context("field `network.pcap`")?;
        let specs = file.specs(image, &switch)?;
        Self::start_specs(specs, switch)
    }

    /// Starts hosts whose descriptions were changed after [`LabFile::specs`].
    ///
    /// # Errors
    /// A host does not start.
    pub fn start_specs(specs: Vec<HostSpec>, switch: Switch) -> Result<Self> {
        let hosts = specs.iter().map(RunningHost::start).collect::<Result<_>>()?;
        Ok(Self { hosts, specs, switch })
    }

    /// The hosts, in the order of the file.
    pub fn hosts(&self) -> &[RunningHost] {
        &self.hosts
    }

    /// The host called `name`.
    ///
    /// # Errors
    /// There is none.
    pub fn host(&self, name: &str) -> Result<&RunningHost> {
        Ok(&self.hosts[self.index(name)?])
    }

    /// The port of the host called `name`.
    ///
    /// # Errors
    /// There is no such host, or it has no address.
    pub fn port(&self, name: &str) -> Result<&Port> {
        let network = self.specs[self.index(name)?].network.as_ref();
        Ok(&network.ok_or_else(|| anyhow!("host {name} has no adapter"))?.port)
    }

    /// Ends the host called `name` as a power cut does and starts it again, at the same port.
    ///
    /// # Errors
    /// There is no such host, or it does not start.
    pub fn restart(&mut self, name: &str) -> Result<&RunningHost> {
        let index = self.index(name)?;
        let started = RunningHost::start(&self.specs[index])?;
        // The one that ran before is dropped here; its cable was pulled when the new one was plugged in.
        self.hosts[index] = started;
        Ok(&self.hosts[index])
    }

    /// Ends the hosts and the switch, and finishes the capture.
    ///
    /// # Errors
    /// The capture could not be written.
    pub fn finish(self) -> Result<()> {
        drop(self.hosts);
        self.switch.finish()
    }

    /// Takes the lab apart: the hosts that still run, and the switch, which must outlive them.
    pub fn into_parts(self) -> (Vec<RunningHost>, Switch) {
        (self.hosts, self.switch)
    }

    fn index(&self, name: &str) -> Result<usize> {
        self.specs
            .iter()
            .position(|spec| spec.name == name)
            .ok_or_else(|| anyhow!("no host is called {name}"))
    }
}
