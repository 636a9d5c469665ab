//! Frames in.

use godwit_host::machine::NetworkDevice;

use super::{Adapter, Knobs, started};
use crate::nic::features::Features;

/// With event indices and without.
fn both_kinds() -> [Knobs; 2] {
    let good = Knobs::default();
    [good, Knobs { features: good.features & !Features::EVENT_INDEX.bits(), ..good }]
}

/// Every frame that is there.
fn receive_all(adapter: &Adapter) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while adapter.receive(&mut |bytes| frames.push(bytes.to_vec())) {}
    frames
}

#[test]
fn frames_arrive_in_order_and_their_buffers_are_used_again() {
    for knobs in both_kinds() {
        let (adapter, device) = started(knobs);
        let (mut sent, mut received) = (0u32, 0u32);
        while received < 70_000 {
            for _ in 0..113 {
                let mut frame = vec![7; 14 + sent as usize % 3000];
                frame[..4].copy_from_slice(&sent.to_le_bytes());
                if device.shared().deliver(&frame) {
                    sent += 1;
                }
            }
            for frame in receive_all(&adapter) {
                assert_eq!(
                    (&frame[..4], frame.len()),
                    (received.to_le_bytes().as_slice(), 14 + received as usize % 3000)
                );
                received += 1;
            }
        }
        assert_eq!(sent, received);
        assert_eq!(adapter.counters().frames_received, u64::from(received));
        assert_eq!(device.shared().waiting(0), 256);
    }
}

#[test]
fn the_first_frame_of_a_burst_interrupts_and_the_others_do_not() {
    for knobs in both_kinds() {
        let (adapter, device) = started(knobs);
        assert_eq!(receive_all(&adapter).len(), 0);
        for burst in 1..=5 {
            assert!(!adapter.ends_sleep());
            device.shared().deliver(&[1; 60]);
            assert_eq!(device.shared().interrupts[0], burst);
            assert!(adapter.ends_sleep(), "there is something to do, whatever became of the interrupt");
            assert!(adapter.receive(&mut |_| {}));
            for _ in 0..20 {
                device.shared().deliver(&[1; 60]);
            }
            assert_eq!(device.shared().interrupts[0], burst, "who is busy is left alone");
            assert_eq!(receive_all(&adapter).len(), 20);
        }
    }
}

#[test]
fn nobody_is_woken_who_never_looked() {
    let (adapter, device) = started(Knobs::default());
    device.shared().deliver(&[1; 60]);
    assert!(!adapter.ends_sleep(), "no service serves this network");
    assert_eq!(device.shared().interrupts[0], 0);
    assert_eq!(receive_all(&adapter).len(), 1);
}

#[test]
fn a_device_without_buffers_is_told_when_there_are_some() {
    for knobs in both_kinds() {
        let (adapter, device) = started(knobs);
        while device.shared().deliver(&[1; 60]) {}
        device.shared().want_notifications(0, true);
        device.shared().notified.clear();
        assert_eq!(receive_all(&adapter).len(), 256);
        assert_eq!(device.shared().notified.first(), Some(&0));
        if Features::from_bits_truncate(knobs.features).contains(Features::EVENT_INDEX) {
            assert_eq!(device.shared().notified.len(), 1);
        }
    }
}

#[test]
fn a_frame_can_be_answered_while_it_is_looked_at() {
    let (adapter, device) = started(Knobs::default());
    device.shared().deliver(b"question");
    assert!(adapter.receive(&mut |bytes| {
        assert_eq!(bytes, b"question");
        adapter.transmit(b"answer", &[]).unwrap();
        adapter.flush();
        assert!(!adapter.receive(&mut |_| {}));
    }));
    assert_eq!(device.shared().send_all(), [b"answer".to_vec()]);
}
