//! The switch itself: takes frames from every port and sends each where its destination was heard.
//!
//! One thread for each plugged port reads frames and forwards them at once. A cable is the only queue: it is bounded by the
//! system's socket buffer, and a full one holds up who sends to it, for a bounded time (see [`super::port`]). A frame to all is
//! held up by nobody.

use std::{
    fs::File,
    io::{self, BufWriter},
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};

use super::{
    HEADER_BYTES, MAX_FRAME_BYTES, MacAddress, Port,
    capture::Capture,
    port::{Cable, PortState, lock},
    stations::Stations,
};

/// An Ethernet switch. Dropping it pulls all cables and ends its threads.
#[derive(Debug, Default)]
pub struct Switch {
    fabric: Arc<Fabric>,
}

impl Switch {
    /// A switch without ports.
    pub fn new() -> Self {
        Self::default()
    }

    /// A switch that writes every frame it takes from a host to the file `path`, in pcap's format.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn with_capture(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
        let capture =
            Capture::new(BufWriter::new(file)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { fabric: Arc::new(Fabric { capture: Some(Mutex::new(capture)), ..Fabric::default() }) })
    }

    /// One more port.
    pub fn add_port(&self) -> Port {
        let mut ports = lock(&self.fabric.ports);
        ports.push(PortState::default());
        Port { fabric: Arc::clone(&self.fabric), number: ports.len() - 1 }
    }

    /// Pulls all cables, ends the threads, and finishes the capture.
    ///
    /// # Errors
    /// The capture could not be written.
    pub fn finish(self) -> Result<()> {
        self.fabric.close().context("cannot write the capture")
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Who wants to know calls `finish`, which leaves nothing to do here.
        let _ = self.fabric.close();
    }
}

/// What ports and threads share.
#[derive(Debug, Default)]
pub(super) struct Fabric {
    ports: Mutex<Vec<PortState>>,
    stations: Mutex<Stations>,
    capture: Option<Mutex<Capture<BufWriter<File>>>>,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    running: Vec<JoinHandle<()>>,
    /// The switch is gone: no thread may be started any more.
    closed: bool,
}

impl Fabric {
    /// Calls `with` on the state of port `number`, which exists: only [`Switch::add_port`] makes numbers.
    pub(super) fn with_port<T>(&self, number: usize, with: impl FnOnce(&mut PortState) -> T) -> T {
        with(&mut lock(&self.ports)[number])
    }

    pub(super) fn plug(self: &Arc<Self>, number: usize) -> io::Result<OwnedFd> {
        let mut threads = lock(&self.threads);
        if threads.closed {
            return Err(io::Error::other("the switch is gone"));
        }
        let (near, far) = Cable::new()?;
        let near = Arc::new(near);
        let (fabric, cable) = (Arc::clone(self), Arc::clone(&near));
        let thread = thread::Builder::new()
            .name(format!("port {number}"))
            .spawn(move || fabric.serve(number, &cable))?;
        threads.running.retain(|thread| !thread.is_finished());
        threads.running.push(thread);
        lock(&self.stations).forget_port(number);
        if let Some(old) = self.with_port(number, |state| state.cable.replace(near)) {
            old.pull();
        }
        Ok(far)
    }

    /// Forwards everything that comes in by `cable`, until it is pulled.
    fn serve(&self, number: usize, cable: &Cable) {
        // One byte more than the longest frame: a longer one shows by filling it.
        let mut buffer = vec![0; MAX_FRAME_BYTES + 1];
        while let Some(bytes) = cable.receive(&mut buffer) {
            let frame = &buffer[..bytes];
            match addresses(frame) {
                Some((destination, source)) => self.forward(number, destination, source, frame),
                None => self.with_port(number, |state| state.counters.dropped.malformed += 1),
            }
        }
    }

    fn forward(&self, from: usize, destination: MacAddress, source: MacAddress, frame: &[u8]) {
        if !self.with_port(from, |state| state.arrive(frame)) {
            return;
        }
        if let Some(capture) = &self.capture {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            lock(capture).record(now, frame);
        }
        let known = {
            let mut stations = lock(&self.stations);
            stations.learn(source, from);
            stations.port_of(destination)
        };
        match known {
            // Its station is on the same side already.
            Some(to) if to == from => {}
            Some(to) => self.deliver(to, frame, true),
            None => {
                let ports = lock(&self.ports).len();
                (0..ports).filter(|to| *to != from).for_each(|to| self.deliver(to, frame, false));
            }
        }
    }

    /// Sends `frame` out at port `to`. No lock is held meanwhile: the others go on.
    fn deliver(&self, to: usize, frame: &[u8], patient: bool) {
        let Some(cable) = self.with_port(to, PortState::departure) else { return };
        let sent = cable.send(frame, patient);
        self.with_port(to, |state| state.departed(frame.len(), sent));
    }

    fn close(&self) -> io::Result<()> {
        let running = {
            let mut threads = lock(&self.threads);
            threads.closed = true;
            std::mem::take(&mut threads.running)
        };
        for state in lock(&self.ports).iter_mut() {
            if let Some(cable) = state.cable.take() {
                cable.pull();
            }
        }
        for thread in running {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        self.capture.as_ref().map_or(Ok(()), |capture| lock(capture).finish())
    }
}

/// Destination and source of `frame`, where it is one.
fn addresses(frame: &[u8]) -> Option<(MacAddress, MacAddress)> {
    if frame.len() < HEADER_BYTES || frame.len() > MAX_FRAME_BYTES {
        return None;
    }
    let (destination, rest) = frame.split_first_chunk()?;
    let (source, _) = rest.split_first_chunk()?;
    Some((MacAddress(*destination), MacAddress(*source)))
}
