//! Devices that break their rules.

use godwit_host::machine::{NetworkDevice, TransmitError};
use proptest::prelude::*;

use super::{Adapter, Knobs, Shared, started};

/// What is wrong is noticed by a call, and the device is stopped for good.
fn assert_stopped(adapter: &Adapter, device: &super::Pretended, what: &str) {
    assert_eq!(adapter.transmit(b"frame", &[]), Err(TransmitError::Broken), "{what}");
    assert!(!adapter.receive(&mut |_| panic!("{what}: nothing is shown any more")));
    assert!(!adapter.ends_sleep(), "{what}: nobody is woken in vain");
    assert_eq!(adapter.unfinished(), 0, "{what}: a device that was reset holds nothing");
    adapter.flush();
    let shared = device.shared();
    assert_eq!(shared.statuses[shared.statuses.len() - 2..], [0, 0x80], "{what}: reset and given up, once");
}

#[test]
fn a_device_that_returns_what_it_was_not_given_is_stopped() {
    type Wrong = fn(&mut Shared);
    let wrongs: [(&str, Wrong); 9] = [
        ("an arriving frame's number", |device| device.give_back(0, 256, 60)),
        ("a number of 32 bits", |device| device.give_back(0, 0x1_0000, 60)),
        ("a frame longer than its buffer", |device| {
            let (head, _, bytes) = device.take_buffer().unwrap();
            device.give_back(0, head.into(), bytes + 1);
        }),
        ("a frame of no length", |device| {
            let (head, ..) = device.take_buffer().unwrap();
            device.give_back(0, head.into(), 11);
        }),
        ("a length of 32 bits", |device| {
            let (head, ..) = device.take_buffer().unwrap();
            device.give_back(0, head.into(), u32::MAX);
        }),
        ("the same frame twice", |device| {
            let (head, ..) = device.take_buffer().unwrap();
            device.take_buffer().unwrap();
            device.give_back(0, head.into(), 60);
            device.give_back(0, head.into(), 60);
        }),
        ("more frames than there are", |device| device.claim(0, 257)),
        ("fewer frames than before", |device| device.claim(0, 0xffff)),
        ("a sent frame that was never queued", |device| device.give_back(1, 5, 0)),
    ];
    for (what, wrong) in wrongs {
        let (adapter, device) = started(Knobs::default());
        adapter.transmit(b"frame", &[]).unwrap();
        adapter.flush();
        wrong(&mut device.shared());
        // The first of two returns of one buffer is a frame as good as any, as long as it was not given again.
        let mut shown = 0;
        while what != "the same frame twice" && adapter.receive(&mut |_| shown += 1) {}
        assert_eq!(shown, 0, "{what}");
        if what == "the same frame twice" {
            assert!(adapter.receive(&mut |_| {
                assert!(!adapter.receive(&mut |_| panic!("the buffer is being looked at")));
            }));
        }
        assert_stopped(&adapter, &device, what);
    }
}

#[test]
fn a_sent_frame_that_is_returned_twice_stops_the_device() {
    let (adapter, device) = started(Knobs::default());
    for _ in 0..2 {
        adapter.transmit(b"frame", &[]).unwrap();
    }
    adapter.flush();
    let (head, _) = device.shared().take_sent().unwrap();
    for _ in 0..2 {
        device.shared().give_back(1, head.into(), 0);
    }
    assert_eq!(adapter.unfinished(), 0);
    assert_stopped(&adapter, &device, "returned twice");
}

#[test]
fn memory_of_a_device_that_cannot_be_stopped_stays_taken() {
    let (adapter, device) = started(Knobs { resets: 1, ..Knobs::default() });
    for _ in 0..5 {
        adapter.transmit(b"frame", &[]).unwrap();
    }
    adapter.flush();
    device.shared().claim(0, 1000);
    assert!(!adapter.receive(&mut |_| {}));
    assert_eq!(adapter.unfinished(), 5, "its frames may not be freed");
    assert_eq!(adapter.transmit(b"frame", &[]), Err(TransmitError::Broken));
}

proptest! {
    #[test]
    fn no_content_of_the_rings_reaches_beyond_the_buffers(
        returns in proptest::collection::vec((0usize..2, any::<u32>(), any::<u32>(), 0u16..3), 1..20),
    ) {
        // Every access outside the memory that the driver was given panics in the pretended memory.
        let (adapter, device) = started(Knobs::default());
        for _ in 0..10 {
            adapter.transmit(b"frame", &[]).unwrap();
        }
        adapter.flush();
        for (queue, id, bytes, more) in returns {
            let (id, bytes) = (id >> (id % 32), bytes >> (bytes % 32));
            device.shared().give_back(queue, id, bytes);
            device.shared().claim(queue, more.saturating_sub(1));
            adapter.receive(&mut |frame| assert!(frame.len() <= 3 * 4096));
            let _ = adapter.transmit(b"frame", &[]);
            prop_assert!(adapter.unfinished() <= 128);
        }
    }
}
