//! Frames out.

use godwit_frames::{FrameRange, FrameRun, Frames, HostFrame, Mobility};
use godwit_host::machine::{MAX_HEADER_BYTES, MAX_PIECES, NetworkDevice, Piece, TransmitError};

use super::{Knobs, started};
use crate::nic::features::Features;

/// Frames 16 to 47 of RAM, as a run.
fn body_run() -> FrameRun {
    let range = FrameRange::new(HostFrame::new(16), 32);
    let frames = Box::leak(Box::new(Frames::new(range, vec![0; Frames::metadata_words(32)].leak()).unwrap()));
    frames.release(range).unwrap();
    frames.cpu().allocate_at(range, Mobility::Movable).unwrap()
}

/// With tables in the slots and without, with event indices and without.
fn every_kind() -> impl Iterator<Item = Knobs> {
    let good = Knobs { mtu: 65_535, ..Knobs::default() };
    let without = |features: Features| Knobs { features: good.features & !features.bits(), ..good };
    [
        good,
        without(Features::INDIRECT),
        without(Features::EVENT_INDEX),
        without(Features::INDIRECT | Features::EVENT_INDEX),
    ]
    .into_iter()
}

#[test]
fn a_body_is_gathered_from_where_it_lies() {
    for knobs in every_kind() {
        let (adapter, device) = started(knobs);
        let run = body_run();
        let pattern = device.shared().fill(16 * 4096, 32 * 4096);
        let places: Vec<(u64, u32)> =
            (0..MAX_PIECES as u64).map(|n| (n * 7001 % 120_000, 1 + n as u32 * 200)).collect();
        let body: Vec<_> = places.iter().map(|&(offset, bytes)| Piece { run: &run, offset, bytes }).collect();
        let mut expected = vec![9; MAX_HEADER_BYTES];
        for &(offset, bytes) in &places {
            expected.extend_from_slice(&pattern[offset as usize..][..bytes as usize]);
        }
        adapter.transmit(&[9; MAX_HEADER_BYTES], &body).unwrap();
        adapter.transmit(b"just a header", &[]).unwrap();
        assert_eq!(device.shared().waiting(1), 0, "nothing is seen before the flush");
        adapter.flush();
        assert_eq!(adapter.unfinished(), 2);
        let sent = device.shared().send_all();
        assert!(sent == [expected.clone(), b"just a header".to_vec()]);
        assert_eq!(adapter.unfinished(), 0);
        let counters = adapter.counters();
        assert_eq!((counters.frames_sent, counters.bytes_sent), (2, expected.len() as u64 + 13));
    }
}

#[test]
fn thousands_of_frames_go_round_the_ring_in_order() {
    for knobs in every_kind() {
        let (adapter, device) = started(knobs);
        let (mut next, mut arrived) = (0u32, 0u32);
        while arrived < 70_000 {
            // Odd batches, so that the ring's end falls everywhere.
            for _ in 0..7 {
                if adapter.transmit(&next.to_le_bytes(), &[]).is_ok() {
                    next += 1;
                }
            }
            adapter.flush();
            for frame in device.shared().send_all() {
                assert_eq!(frame, arrived.to_le_bytes());
                arrived += 1;
            }
        }
        assert_eq!((arrived, adapter.unfinished()), (next, 0));
    }
}

#[test]
fn a_full_queue_says_so_and_wakes_who_waits() {
    for (knobs, capacity) in every_kind().zip([128, 13, 128, 13]) {
        let (adapter, device) = started(knobs);
        let mut queued = 0;
        while adapter.transmit(b"frame", &[]).is_ok() {
            queued += 1;
            assert!(queued <= capacity);
        }
        assert_eq!((queued, adapter.unfinished()), (capacity, capacity));
        assert_eq!(adapter.transmit(b"frame", &[]), Err(TransmitError::Full));
        adapter.flush();
        assert!(!adapter.ends_sleep());
        assert_eq!(device.shared().interrupts[1], 0);
        assert_eq!(device.shared().send_all().len(), capacity);
        assert!(device.shared().interrupts[1] >= 1, "room is worth an interrupt");
        assert!(adapter.ends_sleep());
        assert_eq!(adapter.transmit(b"frame", &[]), Ok(()));
        assert!(!adapter.ends_sleep());
        adapter.flush();
        let before = device.shared().interrupts[1];
        assert_eq!(device.shared().send_all().len(), 1);
        assert_eq!(device.shared().interrupts[1], before, "nobody waits any more");
    }
}

#[test]
fn room_that_another_sender_finds_still_wakes_who_waits() {
    for (knobs, capacity) in every_kind().zip([128, 13, 128, 13]) {
        let (adapter, device) = started(knobs);
        for _ in 0..capacity {
            adapter.transmit(b"frame", &[]).unwrap();
        }
        assert_eq!(adapter.transmit(b"of the first sender", &[]), Err(TransmitError::Full));
        adapter.flush();
        assert!(!adapter.ends_sleep());
        assert_eq!(device.shared().send_all().len(), capacity);
        // The second sender takes all slots back, and leaves one of them.
        assert_eq!(adapter.unfinished(), 0);
        for _ in 1..capacity {
            adapter.transmit(b"of the second sender", &[]).unwrap();
        }
        assert!(adapter.ends_sleep());
        assert!(!adapter.ends_sleep(), "it is said once");
    }
}

#[test]
fn room_that_another_sender_takes_is_waited_for_again() {
    for (knobs, capacity) in every_kind().zip([128, 13, 128, 13]) {
        let (adapter, device) = started(knobs);
        for _ in 0..capacity {
            adapter.transmit(b"frame", &[]).unwrap();
        }
        assert_eq!(adapter.transmit(b"of the first sender", &[]), Err(TransmitError::Full));
        adapter.flush();
        device.shared().send_all();
        for _ in 0..capacity {
            adapter.transmit(b"of the second sender", &[]).unwrap();
        }
        adapter.flush();
        assert!(!adapter.ends_sleep());
        let before = device.shared().interrupts[1];
        device.shared().send_all();
        assert!(device.shared().interrupts[1] > before, "room is worth an interrupt");
        assert!(adapter.ends_sleep());
    }
}

#[test]
fn slots_come_back_in_any_order() {
    let (adapter, device) = started(Knobs::default());
    for number in 0..128u8 {
        adapter.transmit(&[number], &[]).unwrap();
    }
    adapter.flush();
    let mut heads: Vec<_> =
        std::iter::from_fn(|| device.shared().take_sent()).map(|(head, _)| head).collect();
    heads.reverse();
    heads.rotate_left(50);
    for (returned, head) in heads.into_iter().enumerate() {
        assert_eq!(adapter.unfinished(), 128 - returned);
        device.shared().give_back(1, head.into(), 0);
    }
    assert_eq!(adapter.unfinished(), 0);
    for number in 0..128u8 {
        adapter.transmit(&[number], &[]).unwrap();
    }
    adapter.flush();
    let sent = device.shared().send_all();
    assert_eq!(sent, (0..128u8).map(|number| vec![number]).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_sent_is_refused_and_takes_no_slot() {
    let (adapter, device) = started(Knobs::default());
    let run = body_run();
    let piece = |offset, bytes| Piece { run: &run, offset, bytes };
    let run_bytes = 32 * 4096;
    for (header, body, expected) in [
        (14, vec![piece(0, 9000)], Ok(())),
        (14, vec![piece(0, 9001)], Err(TransmitError::TooLong)),
        (14, vec![piece(0, 1); MAX_PIECES + 1], Err(TransmitError::TooLong)),
        (MAX_HEADER_BYTES + 1, vec![], Err(TransmitError::TooLong)),
        (14, vec![piece(run_bytes - 100, 100)], Ok(())),
        (14, vec![piece(run_bytes - 100, 101)], Err(TransmitError::OutsideRun)),
        (14, vec![piece(u64::MAX, 1)], Err(TransmitError::OutsideRun)),
        (14, vec![piece(0, u32::MAX); 3], Err(TransmitError::OutsideRun)),
        (14, vec![piece(5, 0)], Ok(())),
    ] {
        assert_eq!(adapter.transmit(&vec![1; header], &body), expected, "{header} and {body:?}");
    }
    assert_eq!(adapter.unfinished(), 3);
    adapter.flush();
    assert_eq!(device.shared().send_all().iter().map(Vec::len).collect::<Vec<_>>(), [9014, 114, 14]);
}

#[test]
fn the_device_is_notified_only_when_it_wants_to_be() {
    for knobs in every_kind() {
        let (adapter, device) = started(knobs);
        device.shared().notified.clear();
        let flush = |wanted| {
            device.shared().want_notifications(1, wanted);
            for _ in 0..3 {
                adapter.transmit(b"frame", &[]).unwrap();
            }
            adapter.flush();
            adapter.flush();
            let notified = std::mem::take(&mut device.shared().notified);
            device.shared().send_all();
            notified
        };
        assert_eq!(flush(true), [1], "once for three frames");
        assert_eq!(flush(false), []);
        assert_eq!(flush(true), [1]);
    }
}
