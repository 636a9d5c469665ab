//! An Ethernet that is only pretended: adapters on one wire, which may lose frames.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use godwit_frames::{CpuFrames, FRAME_BYTES, FrameRange, FrameRun, Frames, HostFrame, Mobility, Order};
use godwit_host::{
    machine::{
        HostMemory, MAX_HEADER_BYTES, MAX_PIECES, NetworkCounters, NetworkDevice, Piece, TransmitError,
    },
    split_mix::SplitMix64,
};

use crate::fake::FakeMemory;

/// Bytes of the RAM that adapters read from.
const RAM_BYTES: u64 = 4 << 20;

/// Frames under way to each adapter, and the RAM that all of them see.
pub(crate) struct Ethernet {
    ports: Mutex<Vec<VecDeque<Vec<u8>>>>,
    /// Frames that still pass before the wire is cut.
    frames_left: AtomicU64,
    /// Of 1000 frames, how many are lost.
    lost_per_mille: AtomicU64,
    generator: Mutex<SplitMix64>,
    ram: Mutex<Vec<u8>>,
    frames: &'static Frames<'static>,
}

/// One adapter on the wire.
pub(crate) struct Adapter {
    wire: &'static Ethernet,
    port: usize,
    mac: [u8; 6],
    mtu: u32,
    /// What it reads from, where that is not the wire's own RAM.
    memory: OnceLock<&'static FakeMemory>,
    pub(crate) full: AtomicBool,
    pub(crate) broken: AtomicBool,
    counters: Mutex<NetworkCounters>,
}

impl Ethernet {
    pub(crate) fn new() -> &'static Self {
        let frame_count = RAM_BYTES / FRAME_BYTES;
        let range = FrameRange::new(HostFrame::new(0), frame_count);
        let frames = Frames::new(range, vec![0; Frames::metadata_words(frame_count)].leak()).unwrap();
        frames.release(range).unwrap();
        Box::leak(Box::new(Self {
            ports: Mutex::default(),
            frames_left: AtomicU64::new(u64::MAX),
            lost_per_mille: AtomicU64::new(0),
            generator: Mutex::new(SplitMix64::new(7)),
            ram: Mutex::new(vec![0; RAM_BYTES as usize]),
            frames: Box::leak(Box::new(frames)),
        }))
    }

    /// A new adapter; the first one's address ends in 1.
    pub(crate) fn plug(&'static self, mtu: u32) -> &'static Adapter {
        let next = self.ports.lock().unwrap().len() as u8 + 1;
        self.plug_as([2, 0, 0, 0, 0, next], mtu)
    }

    /// A new adapter with that address.
    pub(crate) fn plug_as(&'static self, mac: [u8; 6], mtu: u32) -> &'static Adapter {
        let mut ports = self.ports.lock().unwrap();
        ports.push(VecDeque::new());
        Box::leak(Box::new(Adapter {
            wire: self,
            port: ports.len() - 1,
            mac,
            mtu,
            memory: OnceLock::new(),
            full: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            counters: Mutex::default(),
        }))
    }

    pub(crate) fn lose(&self, per_mille: u64) {
        self.lost_per_mille.store(per_mille, Ordering::Relaxed);
    }

    /// Cuts the wire after so many frames more, of whoever.
    pub(crate) fn cut_after(&self, frames: u64) {
        self.frames_left.store(frames, Ordering::Relaxed);
    }

    /// Mends the wire; answers how many frames it would still have let through.
    pub(crate) fn mend(&self) -> u64 {
        self.frames_left.swap(u64::MAX, Ordering::Relaxed)
    }

    /// Whether no frame is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.ports.lock().unwrap().iter().all(VecDeque::is_empty)
    }

    /// Puts a frame in front of adapter `port`, as it is.
    pub(crate) fn deliver(&self, port: usize, frame: Vec<u8>) {
        self.ports.lock().unwrap()[port].push_back(frame);
    }

    /// Takes what is under way to adapter `port` from the wire.
    pub(crate) fn intercept(&self, port: usize) -> Vec<Vec<u8>> {
        self.ports.lock().unwrap()[port].drain(..).collect()
    }

    /// A run of `frames` frames with a pattern in it, and the pattern.
    pub(crate) fn filled_run(&self, frames: u64, seed: u64) -> (FrameRun, Vec<u8>) {
        let mut cpu: CpuFrames<'_, '_> = self.frames.cpu();
        let order = Order::all().find(|order| order.frames() >= frames).unwrap();
        let run = cpu.allocate(order, Mobility::Movable).unwrap();
        let mut generator = SplitMix64::new(seed);
        let pattern: Vec<u8> = (0..run.frames() * FRAME_BYTES).map(|_| generator.next_u64() as u8).collect();
        let start = run.start().address() as usize;
        self.ram.lock().unwrap()[start..start + pattern.len()].copy_from_slice(&pattern);
        (run, pattern)
    }

    fn send(&self, from: usize, frame: &[u8]) {
        let left = self.frames_left.load(Ordering::Relaxed);
        if left == 0 {
            return;
        }
        self.frames_left.store(left - 1, Ordering::Relaxed);
        if self.generator.lock().unwrap().below(1000) < self.lost_per_mille.load(Ordering::Relaxed) {
            return;
        }
        let mut ports = self.ports.lock().unwrap();
        for (_, queue) in ports.iter_mut().enumerate().filter(|(port, _)| *port != from) {
            queue.push_back(frame.to_vec());
        }
    }
}

impl Adapter {
    /// Has it read what it sends from a machine's memory.
    pub(crate) fn read_from(&self, memory: &'static FakeMemory) {
        assert!(self.memory.set(memory).is_ok(), "an adapter is in one machine");
    }

    /// The wire it is plugged into.
    pub(crate) fn wire(&self) -> &'static Ethernet {
        self.wire
    }
}

impl NetworkDevice for Adapter {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> u32 {
        self.mtu
    }

    fn transmit(&self, header: &[u8], body: &[Piece<'_>]) -> Result<(), TransmitError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(TransmitError::Broken);
        }
        if self.full.load(Ordering::Relaxed) {
            return Err(TransmitError::Full);
        }
        let mut frame = header.to_vec();
        let ram = self.wire.ram.lock().unwrap();
        for piece in body {
            if let Some(memory) = self.memory.get() {
                let start = frame.len();
                frame.resize(start + piece.bytes as usize, 0);
                memory
                    .read(piece.run, piece.offset, &mut frame[start..])
                    .map_err(|_| TransmitError::OutsideRun)?;
                continue;
            }
            if piece.offset + u64::from(piece.bytes) > piece.run.frames() * FRAME_BYTES {
                return Err(TransmitError::OutsideRun);
            }
            let start = (piece.run.start().address() + piece.offset) as usize;
            frame.extend_from_slice(&ram[start..start + piece.bytes as usize]);
        }
        if header.len() > MAX_HEADER_BYTES || body.len() > MAX_PIECES || frame.len() > self.mtu as usize + 14
        {
            return Err(TransmitError::TooLong);
        }
        let mut counters = self.counters.lock().unwrap();
        counters.frames_sent += 1;
        counters.bytes_sent += frame.len() as u64;
        drop((counters, ram));
        self.wire.send(self.port, &frame);
        Ok(())
    }

    fn flush(&self) {}

    fn unfinished(&self) -> usize {
        0
    }

    fn receive(&self, serve: &mut dyn FnMut(&[u8])) -> bool {
        let Some(frame) = self.wire.ports.lock().unwrap()[self.port].pop_front() else { return false };
        let mut counters = self.counters.lock().unwrap();
        counters.frames_received += 1;
        counters.bytes_received += frame.len() as u64;
        drop(counters);
        serve(&frame);
        true
    }

    fn counters(&self) -> NetworkCounters {
        *self.counters.lock().unwrap()
    }
}
