//! A port of a switch: its cable, its link, and what went through.

use std::{
    io,
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{SendFlags, sockopt},
};

use super::{link::Link, switch::Fabric};

/// How long a frame to one host waits for that host to take earlier ones, before it is dropped: flow control, as 802.3 calls it,
/// that a host which takes nothing any more cannot turn into a standstill of the others.
const PAUSE: Duration = Duration::from_millis(250);
/// What a cable holds in each direction, as far as the system allows (net.core.wmem_max). Bytes.
const CABLE_BYTES: usize = 4 << 20;

/// Frames and their bytes, in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Bytes of these frames, without preamble and checksum.
    pub bytes: u64,
}

impl Traffic {
    fn count(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

/// Frames that went nowhere, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drops {
    /// The link was cut; both directions.
    pub cut: u64,
    /// The host took nothing for a while, and the cable was full.
    pub full: u64,
    /// No running host is at the port.
    pub unplugged: u64,
    /// The host sent what is no Ethernet frame: too short, or longer than [`MAX_FRAME_BYTES`](super::MAX_FRAME_BYTES).
    pub malformed: u64,
}

/// What went through a port since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PortCounters {
    /// What the host sent.
    pub from_host: Traffic,
    /// What the host was given.
    pub to_host: Traffic,
    /// What was dropped at this port.
    pub dropped: Drops,
}

/// One place at a [`Switch`](super::Switch) where a host can be. Clones are the same port.
#[derive(Clone, Debug)]
pub struct Port {
    pub(super) fabric: Arc<Fabric>,
    pub(super) number: usize,
}

impl Port {
    /// The port's number at its switch, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Plugs a new cable in and returns its far end, a datagram socket of one Ethernet frame each. A cable that was there is
    /// pulled out.
    ///
    /// # Errors
    /// No sockets are left, or the switch is gone.
    pub fn plug(&self) -> io::Result<OwnedFd> {
        self.fabric.plug(self.number)
    }

    /// Drops every frame from now on, in both directions.
    pub fn cut(&self) {
        self.set_link(Link::Cut);
    }

    /// Cuts the link when the host has sent `host_bytes` more bytes: the first frame that goes beyond is the first that is lost.
    pub fn cut_after(&self, host_bytes: u64) {
        self.set_link(Link::UpFor { host_bytes });
    }

    /// Cuts the link when the host sends a frame that `is_last` answers `true` for: that frame is the first that is lost.
    pub fn cut_at(&self, is_last: fn(&[u8]) -> bool) {
        self.set_link(Link::UpUntil(is_last));
    }

    /// Mends the link.
    pub fn restore(&self) {
        self.set_link(Link::Up);
    }

    /// Whether the link is cut now.
    pub fn is_cut(&self) -> bool {
        self.fabric.with_port(self.number, |state| state.link.is_cut())
    }

    /// What went through so far.
    pub fn counters(&self) -> PortCounters {
        self.fabric.with_port(self.number, |state| state.counters)
    }

    fn set_link(&self, link: Link) {
        self.fabric.with_port(self.number, |state| state.link = link);
    }
}

/// A port from the inside.
#[derive(Debug, Default)]
pub(super) struct PortState {
    pub(super) link: Link,
    pub(super) counters: PortCounters,
    pub(super) cable: Option<Arc<Cable>>,
}

impl PortState {
    /// Counts a frame from the host, and says whether it goes on.
    pub(super) fn arrive(&mut self, frame: &[u8]) -> bool {
        let passes = self.link.admits_from_host(frame);
        if passes {
            self.counters.from_host.count(frame.len());
        } else {
            self.counters.dropped.cut += 1;
        }
        passes
    }

    /// The cable to send a frame to the host on, where it can be sent.
    pub(super) fn departure(&mut self) -> Option<Arc<Cable>> {
        if !self.link.admits_to_host() {
            self.counters.dropped.cut += 1;
            return None;
        }
        if self.cable.is_none() {
            self.counters.dropped.unplugged += 1;
        }
        self.cable.clone()
    }

    /// Counts what became of a frame to the host.
    pub(super) fn departed(&mut self, bytes: usize, sent: Sent) {
        match sent {
            Sent::Taken => self.counters.to_host.count(bytes),
            Sent::Full => self.counters.dropped.full += 1,
            Sent::Gone => self.counters.dropped.unplugged += 1,
        }
    }
}

/// What became of a frame on its way to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// The cable has it.
    Taken,
    /// The cable is full.
    Full,
    /// Nobody holds the far end.
    Gone,
}

/// The switch's end of a cable.
#[derive(Debug)]
pub(super) struct Cable {
    socket: UnixDatagram,
    /// The host took nothing for [`PAUSE`]: nobody waits for it until it takes something again.
    stalled: AtomicBool,
}

impl Cable {
    /// A cable: this end and the far end.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (near, far) = UnixDatagram::pair()?;
        near.set_write_timeout(Some(PAUSE))?;
        for socket in [&near, &far] {
            sockopt::set_socket_send_buffer_size(socket, CABLE_BYTES)?;
        }
        Ok((Self { socket: near, stalled: AtomicBool::new(false) }, far.into()))
    }

    /// Waits for the next frame; `None` when the cable was pulled.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        loop {
            match self.socket.recv(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // QEMU sends no empty frame: it is the end.
                Ok(0) | Err(_) => return None,
                Ok(bytes) => return Some(bytes),
            }
        }
    }

    /// Sends `frame` to the host; `patient` waits for room in a full cable.
    pub(super) fn send(&self, frame: &[u8], patient: bool) -> Sent {
        let wait = patient && !self.stalled.load(Ordering::Relaxed);
        let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
        loop {
            match rustix::net::send(&self.socket, frame, flags) {
                Ok(_) => {
                    self.stalled.store(false, Ordering::Relaxed);
                    return Sent::Taken;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if wait {
                        self.stalled.store(true, Ordering::Relaxed);
                    }
                    return Sent::Full;
                }
                Err(_) => return Sent::Gone,
            }
        }
    }

    /// Pulls the cable: whoever waits on it goes on.
    pub(super) fn pull(&self) {
        // It fails only where the far end is gone, and then nobody waits.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A thread that panicked while it held a lock has left counters and tables as they were: they are still good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
