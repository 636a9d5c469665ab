//! The adapter as a whole (virtio 1.2, 5.1).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use godwit_host::machine::{NetworkCounters, NetworkDevice, Piece, TransmitError};
use spin::Mutex;

use super::{
    DeviceMemory, Registers,
    configuration::{self, CommonConfiguration, StartError},
    features::Features,
    queue::{BrokenRule, Queue},
    receive::{Buffers, ETHERNET_HEADER, Receiver},
    ring::RingLayout,
    transmit::{Transmitter, slot_memory_bytes},
};

/// Queue numbers (5.1.2).
const RECEIVE_QUEUE: u16 = 0;
const TRANSMIT_QUEUE: u16 = 1;

/// Offsets in the device's own configuration (5.1.4).
const ADDRESS: u32 = 0;
const MTU: u32 = 10;

/// Longest packet where the device does not say: Ethernet's.
const DEFAULT_MTU: u16 = 1500;
/// Every IPv4 host takes packets of this length (RFC 791, 3.1): a device with less cannot carry its own protocols.
const LEAST_MTU: u16 = 576;
/// With fewer, frames are lost whenever a few arrive together.
const LEAST_BUFFERS: u16 = 16;

/// The device's registers, by what they are for.
pub struct Windows<R> {
    /// Common configuration.
    pub common: R,
    /// Notifications.
    pub notify: R,
    /// What a queue's notification offset is multiplied by to be an offset in [`notify`](Self::notify).
    pub notify_multiplier: u32,
    /// What is special to network devices.
    pub device: R,
}

impl<R: Registers> Windows<R> {
    /// Stops whatever the device was told to do before. Until then it must not be let use memory.
    ///
    /// # Errors
    /// [`StartError::NoReset`].
    pub fn reset(&self) -> Result<(), StartError> {
        configuration::reset(&self.common)
    }
}

/// A queue's notification register.
#[derive(Clone, Copy)]
struct Doorbell {
    queue: u16,
    offset: u32,
}

impl Doorbell {
    /// The register of `queue`, whose notification offset is `units`, in a window of `bytes` bytes (4.1.4.4).
    fn new(queue: u16, units: u16, multiplier: u32, bytes: u32) -> Result<Self, StartError> {
        let offset = u32::from(units).checked_mul(multiplier);
        let fits = |offset: &u32| {
            offset.is_multiple_of(2) && bytes.checked_sub(2).is_some_and(|last| *offset <= last)
        };
        offset.filter(fits).map(|offset| Self { queue, offset }).ok_or(StartError::Cut("notification"))
    }
}

/// A virtio network adapter that was started.
pub struct VirtioNet<R, M> {
    mac: [u8; 6],
    mtu: u16,
    common: CommonConfiguration<R>,
    notify: R,
    receive_bell: Doorbell,
    transmit_bell: Doorbell,
    receiver: Mutex<Receiver<M>>,
    /// Where arriving frames lie. Outside the lock: a frame may be answered while it is looked at.
    buffers: M,
    transmitter: Mutex<Transmitter<M>>,
    broken: AtomicBool,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    frames_sent: AtomicU64,
    bytes_sent: AtomicU64,
    frames_received: AtomicU64,
    bytes_received: AtomicU64,
}

impl<R: Registers, M: DeviceMemory> VirtioNet<R, M> {
    /// Starts the device behind `windows`, whose entry 0 of the interrupt table is set. `provide` gives memory of at least so
    /// many bytes, all zero, for as long as the adapter exists; it may not have so much.
    ///
    /// # Errors
    /// [`StartError`]; the device is told that it was given up.
    pub fn start(windows: Windows<R>, provide: &mut dyn FnMut(u64) -> Option<M>) -> Result<Self, StartError> {
        let Windows { common, notify, notify_multiplier, device } = windows;
        let common = CommonConfiguration::new(common)?;
        let features = common.agree().inspect_err(|_| common.give_up())?;
        let set_up = Queues::set_up(&common, &device, features, provide).and_then(|queues| {
            let [receive, transmit] = queues.notify;
            let bell = |queue, offset| Doorbell::new(queue, offset, notify_multiplier, notify.bytes());
            Ok((bell(RECEIVE_QUEUE, receive)?, bell(TRANSMIT_QUEUE, transmit)?, queues))
        });
        let (receive_bell, transmit_bell, queues) = match set_up {
            Ok(set_up) => set_up,
            Err(error) => {
                // Queues may be set up already: without a reset the device could use memory that is about to be lost.
                let _ = common.reset();
                common.give_up();
                return Err(error);
            }
        };
        let Queues { mac, mtu, receiver, buffers, transmitter, .. } = queues;
        common.begin();
        let adapter = Self {
            mac,
            mtu,
            common,
            notify,
            receive_bell,
            transmit_bell,
            receiver: Mutex::new(receiver),
            buffers,
            transmitter: Mutex::new(transmitter),
            broken: AtomicBool::new(false),
            counters: Counters::default(),
        };
        // Buffers that are shown before the device began may go unnoticed (3.1.1).
        let wanted = adapter.receiver.lock().publish();
        if wanted {
            adapter.ring(adapter.receive_bell);
        }
        Ok(adapter)
    }

    /// Whether something came that ends the sleep of whoever serves the network: a frame after it was said that there is
    /// none, or room after it was said that there is none.
    pub fn ends_sleep(&self) -> bool {
        !self.is_broken()
            && (self.receiver.lock().has_news() || self.transmitter.lock().has_room_for_waiter())
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn ring(&self, bell: Doorbell) {
        self.notify.write_16(bell.offset, bell.queue);
    }

    /// Stops a device that broke a rule, once.
    fn stop(&self, transmitter: &mut Transmitter<M>, rule: BrokenRule) {
        if self.broken.swap(true, Ordering::Relaxed) {
            return;
        }
        let stopped = self.common.reset().is_ok();
        self.common.give_up();
        log::error!("the network adapter broke its rules and was stopped: {rule:?}");
        if stopped {
            transmitter.forget();
        } else {
            // What it holds stays held for ever: better lost than written by a device that nobody controls.
            log::error!("the network adapter does not answer a reset: its memory stays lost");
        }
    }
}

/// What [`VirtioNet::start`] sets up between the handshake and the beginning.
struct Queues<M> {
    mac: [u8; 6],
    mtu: u16,
    receiver: Receiver<M>,
    buffers: M,
    transmitter: Transmitter<M>,
    /// Notification offsets as the device gives them.
    notify: [u16; 2],
}

impl<M: DeviceMemory> Queues<M> {
    fn set_up<R: Registers>(
        common: &CommonConfiguration<R>,
        device: &R,
        features: Features,
        provide: &mut dyn FnMut(u64) -> Option<M>,
    ) -> Result<Self, StartError> {
        let with_mtu = features.contains(Features::MTU);
        if device.bytes() < if with_mtu { MTU + 2 } else { ADDRESS + 6 } {
            return Err(StartError::Cut("device"));
        }
        let (mac, mtu) = common.stable(|| {
            let mac = [0, 1, 2, 3, 4, 5].map(|index| device.read_8(ADDRESS + index));
            (mac, if with_mtu { device.read_16(MTU) } else { DEFAULT_MTU })
        })?;
        if mtu < LEAST_MTU {
            return Err(StartError::ShortPackets(mtu));
        }
        let layout = |number| RingLayout::new(common.largest_queue(number)).ok_or(StartError::Queue(number));
        let (receive_layout, transmit_layout) = (layout(RECEIVE_QUEUE)?, layout(TRANSMIT_QUEUE)?);
        let event_index = features.contains(Features::EVENT_INDEX);
        let indirect = features.contains(Features::INDIRECT);
        let mut need = |bytes| provide(bytes).ok_or(StartError::NoMemory(bytes / 1024));

        let transmit_queue = Queue::new(need(transmit_layout.bytes())?, transmit_layout, event_index);
        let slots = need(slot_memory_bytes(transmit_layout.size(), indirect).max(1))?;
        let transmitter =
            Transmitter::new(transmit_queue, slots, indirect).ok_or(StartError::Queue(TRANSMIT_QUEUE))?;

        let receive_queue = Queue::new(need(receive_layout.bytes())?, receive_layout, event_index);
        let mut wanted = Buffers::new(mtu, receive_layout.size());
        if wanted.count < LEAST_BUFFERS {
            return Err(StartError::Queue(RECEIVE_QUEUE));
        }
        let buffers = loop {
            match need(wanted.total_bytes()) {
                Ok(buffers) => break buffers,
                Err(_) if wanted.halved().count >= LEAST_BUFFERS => wanted = wanted.halved(),
                Err(error) => return Err(error),
            }
        };
        let receiver = Receiver::new(receive_queue, wanted, buffers.address());
        let notify = [
            common.set_up_queue(RECEIVE_QUEUE, receiver.size(), receiver.addresses())?,
            common.set_up_queue(TRANSMIT_QUEUE, transmitter.size(), transmitter.addresses())?,
        ];
        Ok(Self { mac, mtu, receiver, buffers, transmitter, notify })
    }
}

impl<R: Registers + Sync, M: DeviceMemory + Send + Sync> NetworkDevice for VirtioNet<R, M> {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn mtu(&self) -> u32 {
        self.mtu.into()
    }

    fn transmit(&self, header: &[u8], body: &[Piece<'_>]) -> Result<(), TransmitError> {
        if self.is_broken() {
            return Err(TransmitError::Broken);
        }
        let mut transmitter = self.transmitter.lock();
        if let Err(rule) = transmitter.reclaim() {
            self.stop(&mut transmitter, rule);
            return Err(TransmitError::Broken);
        }
        let bytes = transmitter.queue(header, body, u64::from(self.mtu) + ETHERNET_HEADER)?;
        self.counters.frames_sent.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&self) {
        let wanted = !self.is_broken() && self.transmitter.lock().publish();
        if wanted {
            self.ring(self.transmit_bell);
        }
    }

    fn unfinished(&self) -> usize {
        let mut transmitter = self.transmitter.lock();
        if !self.is_broken()
            && let Err(rule) = transmitter.reclaim()
        {
            self.stop(&mut transmitter, rule);
        }
        transmitter.held()
    }

    fn receive(&self, serve: &mut dyn FnMut(&[u8])) -> bool {
        if self.is_broken() {
            return false;
        }
        let taken = self.receiver.lock().take();
        let received = match taken {
            Ok(Some(received)) => received,
            Ok(None) => return false,
            Err(rule) => {
                self.stop(&mut self.transmitter.lock(), rule);
                return false;
            }
        };
        self.counters.frames_received.fetch_add(1, Ordering::Relaxed);
        self.counters.bytes_received.fetch_add(received.bytes, Ordering::Relaxed);
        self.buffers.show(received.offset, received.bytes, serve);
        let wanted = self.receiver.lock().give_back(received);
        if wanted {
            self.ring(self.receive_bell);
        }
        true
    }

    fn counters(&self) -> NetworkCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NetworkCounters {
            frames_sent: read(&self.counters.frames_sent),
            bytes_sent: read(&self.counters.bytes_sent),
            frames_received: read(&self.counters.frames_received),
            bytes_received: read(&self.counters.bytes_received),
        }
    }
}
