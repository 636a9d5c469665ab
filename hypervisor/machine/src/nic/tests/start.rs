//! The handshake.

use godwit_host::machine::NetworkDevice;

use super::{Adapter, Knobs, Pretended, started};
use crate::nic::{configuration::StartError, features::Features};

fn refusal(knobs: Knobs) -> (StartError, std::sync::Arc<Pretended>) {
    let device = Pretended::new(knobs);
    let error = Adapter::start(device.windows(), &mut |bytes| device.provide(bytes)).err();
    (error.expect("the device cannot be driven"), device)
}

#[test]
fn the_device_is_set_up_step_by_step() {
    let (adapter, device) = started(Knobs::default());
    assert_eq!((adapter.mac(), adapter.mtu()), ([0x52, 0x54, 0, 0, 0, 7], 9000));
    let shared = device.shared();
    // Reset, acknowledge, driver, features agreed on, driver ready (virtio 1.2, 3.1.1).
    assert_eq!(shared.statuses, [0, 1, 3, 11, 15]);
    assert_eq!(shared.accepted, Features::all().bits(), "nothing that is not known was taken");
    for queue in shared.queues {
        assert!(queue.enabled);
        assert_eq!((queue.size, queue.vector), (256, 0));
        assert_eq!((queue.descriptors % 16, queue.driver % 2, queue.device % 4), (0, 0, 0));
    }
    assert_eq!(shared.waiting(0), 256, "buffers wait for frames");
    assert_eq!(shared.notified, [0], "and the device was told");
}

#[test]
fn a_device_can_be_stopped_before_it_is_driven() {
    let device = Pretended::new(Knobs::default());
    assert_eq!(device.windows().reset(), Ok(()));
    assert_eq!(device.shared().statuses, [0]);
    let device = Pretended::new(Knobs { resets: 0, ..Knobs::default() });
    assert_eq!(device.windows().reset(), Err(StartError::NoReset));
}

#[test]
fn sizes_are_powers_of_two_within_what_is_allowed() {
    for (largest, used) in [
        ([16, 32], [16, 32]),
        ([100, 63], [64, 32]),
        ([256, 256], [256, 256]),
        ([1024, u16::MAX], [256, 256]),
    ] {
        let (_, device) = started(Knobs { sizes: largest, ..Knobs::default() });
        assert_eq!(device.shared().queues.map(|queue| queue.size), used, "{largest:?}");
    }
}

#[test]
fn buffers_fit_the_link_and_the_memory() {
    for (mtu, memory_bytes, count) in [
        (1500, 7 << 20, 256),
        (9000, 7 << 20, 256),
        (65_535, 7 << 20, 60),
        (65_535, 3 << 20, 30),
        (576, 3 << 20, 256),
    ] {
        let (adapter, device) = started(Knobs { mtu, memory_bytes, ..Knobs::default() });
        assert_eq!(device.shared().waiting(0), count, "MTU {mtu}");
        let frame = vec![3; usize::from(mtu) + 14];
        assert!(device.shared().deliver(&frame));
        let mut seen = 0;
        assert!(adapter.receive(&mut |bytes| seen = bytes.len()));
        assert_eq!(seen, frame.len());
    }
}

#[test]
fn without_the_feature_packets_are_as_long_as_ethernets() {
    let features = (Features::VERSION_1 | Features::MAC).bits();
    let (adapter, device) = started(Knobs { features, mtu: 77, ..Knobs::default() });
    assert_eq!(adapter.mtu(), 1500);
    assert_eq!(device.shared().accepted, features);
}

#[test]
fn what_cannot_be_driven_says_why_and_is_let_go() {
    let good = Knobs::default();
    let without = |feature: Features| Knobs { features: good.features & !feature.bits(), ..good };
    for (knobs, expected) in [
        (without(Features::VERSION_1), StartError::Legacy),
        (without(Features::MAC), StartError::NoAddress),
        (Knobs { refuses_features: true, ..good }, StartError::Refused),
        (Knobs { resets: 0, ..good }, StartError::NoReset),
        (Knobs { refuses_vectors: true, ..good }, StartError::NoInterrupt(0)),
        (Knobs { never_holds_still: true, ..good }, StartError::Unstable),
        (Knobs { notify_bytes: 13, ..good }, StartError::Cut("notification")),
        (Knobs { notify_bytes: 0, ..good }, StartError::Cut("notification")),
        (Knobs { mtu: 575, ..good }, StartError::ShortPackets(575)),
        (Knobs { sizes: [0, 256], ..good }, StartError::Queue(0)),
        (Knobs { sizes: [8, 256], ..good }, StartError::Queue(0)),
        (Knobs { sizes: [256, 0], ..good }, StartError::Queue(1)),
        // The longest frame has 19 descriptors.
        (Knobs { sizes: [256, 16], ..good }, StartError::Queue(1)),
        (
            Knobs { features: without(Features::INDIRECT).features, sizes: [256, 16], ..good },
            StartError::Queue(1),
        ),
        (Knobs { memory_bytes: 1 << 18, ..good }, StartError::NoMemory(256)),
        (Knobs { mtu: 65_535, memory_bytes: 1 << 20, ..good }, StartError::NoMemory(2040)),
    ] {
        let (error, device) = refusal(knobs);
        assert_eq!(error, expected);
        let shared = device.shared();
        assert_eq!(shared.status & 0x80, 0x80, "{expected:?}: it is told");
        assert!(shared.queues.iter().all(|queue| !queue.enabled), "{expected:?}: it holds no memory");
        assert!(shared.statuses.iter().all(|status| status & 4 == 0), "{expected:?}: it never began");
    }
}
