//! Every interleaving of two CPUs on one zone, explored by loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p godwit-frames --release --test loom`
#![cfg(loom)]

use godwit_frames::{CpuFrames, FrameRange, FrameRun, Frames, HostFrame, Mobility, Order};
use loom::sync::{Arc, Mutex};
use loom::thread;

const MOVABLE: Mobility = Mobility::Movable;

/// Memory of a few frames, all free. The metadata is leaked: loom wants what threads share to live for ever.
fn memory(frames: u64) -> Arc<Frames<'static>> {
    let metadata = vec![0; Frames::metadata_words(frames)].leak();
    let span = FrameRange::new(HostFrame::new(0), frames);
    let memory = Frames::new(span, metadata).unwrap();
    assert_eq!(memory.release(span), Ok(frames));
    Arc::new(memory)
}

/// Nothing is lost, nothing is left at hand, and all is sound.
fn check(memory: &Frames<'_>, used: u64) {
    memory.audit().unwrap();
    assert_eq!(memory.cached_frames_at_most(), 0);
    assert_eq!(memory.report().used_frames(), used);
}

/// Runs `other` beside `this`, each on a CPU of its own; both give back what they keep at hand at the end.
fn side_by_side(
    memory: &Arc<Frames<'static>>,
    this: impl FnOnce(&mut CpuFrames),
    other: impl FnOnce(&mut CpuFrames) + 'static,
) {
    let shared = Arc::clone(memory);
    let thread = thread::spawn(move || other(&mut shared.cpu()));
    this(&mut memory.cpu());
    thread.join().unwrap();
}

fn disjoint(first: &FrameRun, second: &FrameRun) -> bool {
    let end = |run: &FrameRun| run.start().number() + run.frames();
    end(first) <= second.start().number() || end(second) <= first.start().number()
}

#[test]
fn two_cpus_never_get_the_same_frame() {
    loom::model(|| {
        let memory = memory(128);
        let theirs = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&theirs);
        let mut mine = None;
        side_by_side(
            &memory,
            |cpu| mine = cpu.allocate(Order::FRAME, MOVABLE).ok(),
            move |cpu| *slot.lock().unwrap() = cpu.allocate(Order::FRAME, MOVABLE).ok(),
        );
        // With two words one claims the first and the other the second: both must have got a frame.
        let (mine, theirs) = (mine.unwrap(), theirs.lock().unwrap().take().unwrap());
        assert!(disjoint(&mine, &theirs));
        check(&memory, 2);
        let mut cpu = memory.cpu();
        cpu.free(mine).unwrap();
        cpu.free(theirs).unwrap();
        drop(cpu);
        check(&memory, 0);
    });
}

#[test]
fn a_frame_may_be_freed_by_another_cpu_while_its_word_is_in_use() {
    loom::model(|| {
        let memory = memory(64);
        let mut cpu = memory.cpu();
        let (stays, goes) = (cpu.allocate(Order::FRAME, MOVABLE), cpu.allocate(Order::FRAME, MOVABLE));
        let (stays, goes) = (stays.unwrap(), goes.unwrap());
        let shared = Arc::clone(&memory);
        let thread = thread::spawn(move || shared.cpu().free(goes).unwrap());
        let more = cpu.allocate(Order::FRAME, MOVABLE).unwrap();
        cpu.free(stays).unwrap();
        cpu.drain();
        thread.join().unwrap();
        check(&memory, 1);
        cpu.free(more).unwrap();
        drop(cpu);
        check(&memory, 0);
    });
}

#[test]
fn runs_of_several_frames_and_single_ones_share_a_zone() {
    loom::model(|| {
        let memory = memory(3 * 512);
        side_by_side(
            &memory,
            |cpu| {
                let run = cpu.allocate(Order::LARGE, MOVABLE).unwrap();
                cpu.free(run).unwrap();
            },
            |cpu| {
                let frame = cpu.allocate(Order::FRAME, MOVABLE).unwrap();
                let run = cpu.allocate(Order::new(3).unwrap(), Mobility::Unmovable);
                cpu.free(frame).unwrap();
                cpu.free(run.unwrap()).unwrap();
            },
        );
        check(&memory, 0);
        assert_eq!(memory.report().free_2m_runs(), 3);
    });
}

#[test]
fn pressure_reaches_a_cpu_that_polls() {
    loom::model(|| {
        // One word: whoever claims it keeps every frame there is.
        let memory = memory(64);
        side_by_side(
            &memory,
            |cpu| {
                let frame = cpu.allocate(Order::FRAME, MOVABLE);
                if let Ok(frame) = frame {
                    cpu.free(frame).unwrap();
                }
                cpu.poll();
            },
            |cpu| match cpu.allocate(Order::FRAME, MOVABLE) {
                Ok(frame) => cpu.free(frame).unwrap(),
                Err(error) => assert!(error.cached_frames_at_most() > 0, "the other CPU has them"),
            },
        );
        check(&memory, 0);
    });
}

#[test]
fn a_report_taken_meanwhile_adds_up() {
    loom::model(|| {
        let memory = memory(512);
        side_by_side(
            &memory,
            |cpu| {
                let run = cpu.allocate(Order::new(4).unwrap(), MOVABLE).unwrap();
                cpu.free(run).unwrap();
            },
            {
                let shared = Arc::clone(&memory);
                move |_| {
                    let report = shared.report();
                    let in_runs: u64 =
                        Order::all().map(|order| report.free_runs[order.index()] << order.get()).sum();
                    assert_eq!(in_runs, report.free_frames);
                    assert!([496, 512].contains(&report.free_frames));
                }
            },
        );
        check(&memory, 0);
    });
}
