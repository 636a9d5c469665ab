//! Several CPUs at once, hard: every frame has at most one owner at any time, and all come back.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use godwit_frames::{CpuFrames, FrameRange, FrameRun, Frames, HostFrame, Mobility, Order};

const CPUS: usize = 4;
const STEPS: usize = 30_000;
/// Three GiB, cut inside a block at both ends.
const SPAN: FrameRange = FrameRange::new(HostFrame::new(0x3_fc01), 3 << 18);

/// A CPU of the test: its handle, what it holds, and how it reaches the next CPU.
struct Cpu<'f, 'm> {
    number: u32,
    handle: CpuFrames<'f, 'm>,
    owners: &'f [AtomicU32],
    live: Vec<FrameRun>,
    random: u64,
    next: Sender<FrameRun>,
    inbox: Receiver<FrameRun>,
}

impl Cpu<'_, '_> {
    fn random(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }

    /// Writes down who owns the frames of a run, and checks who did before.
    fn change_owner(&self, run: &FrameRun, from: u32, to: u32) {
        let first = (run.start().number() - SPAN.start.number()) as usize;
        for owner in &self.owners[first..first + run.frames() as usize] {
            let before = owner.swap(to, Relaxed);
            assert_eq!(before, from, "{run:?} belongs to CPU {before}, not {from}");
        }
    }

    fn taken(&mut self, run: FrameRun) {
        self.change_owner(&run, 0, self.number);
        self.live.push(run);
    }

    fn free(&mut self, run: FrameRun) {
        // First out of the book: once freed, the frames may be somebody else's at once.
        self.change_owner(&run, self.number, 0);
        self.handle.free(run).unwrap();
    }

    fn step(&mut self) {
        let mobility = Mobility::ALL[self.random(2)];
        match self.random(100) {
            0..40 => {
                let order = [0, 0, 0, 0, 1, 3, 6, 8, 9, 11][self.random(10)];
                let run = self.handle.allocate(Order::new(order).unwrap(), mobility);
                run.into_iter().for_each(|run| self.taken(run));
            }
            40..42 => {
                let frames = self.random(3000) as u64 + 1;
                let runs = self.handle.allocate_runs::<4>(frames, Order::LARGE, 4, mobility);
                runs.into_iter().flatten().for_each(|run| self.taken(run));
            }
            42..80 if !self.live.is_empty() => {
                let which = self.random(self.live.len());
                let run = self.live.swap_remove(which);
                self.free(run);
            }
            // Frames change hands: another CPU frees them.
            80..90 if !self.live.is_empty() => {
                let which = self.random(self.live.len());
                let run = self.live.swap_remove(which);
                let half = run.frames() / 2;
                let (first, second) = match run.split_at(half) {
                    Ok((first, second)) => (first, Some(second)),
                    Err(whole) => (whole, None),
                };
                self.live.extend(second);
                self.change_owner(&first, self.number, u32::MAX);
                self.next.send(first).expect("inboxes outlive the CPUs");
            }
            90..99 => self.receive(),
            _ => self.handle.drain(),
        }
        self.handle.poll();
    }

    fn receive(&mut self) {
        while let Ok(run) = self.inbox.try_recv() {
            self.change_owner(&run, u32::MAX, self.number);
            self.free(run);
        }
    }
}

#[test]
fn frames_have_one_owner_at_a_time_and_all_come_back() {
    let mut metadata = vec![0; Frames::metadata_words(SPAN.frames)];
    let frames = Frames::new(SPAN, &mut metadata).unwrap();
    assert_eq!(frames.release(SPAN), Ok(SPAN.frames));
    let before = frames.report();
    let owners: Vec<_> = (0..SPAN.frames).map(|_| AtomicU32::new(0)).collect();
    let running = AtomicUsize::new(CPUS);

    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..CPUS).map(|_| channel()).unzip();
    let inboxes: Vec<Receiver<FrameRun>> = thread::scope(|scope| {
        let cpus: Vec<_> = (1..)
            .zip(inboxes)
            .map(|(number, inbox)| {
                let next = senders[number as usize % CPUS].clone();
                let (frames, owners, running) = (&frames, &owners, &running);
                scope.spawn(move || {
                    let (handle, random) = (frames.cpu(), u64::from(number) * 0x9e37_79b9);
                    let mut cpu = Cpu { number, handle, owners, live: Vec::new(), random, next, inbox };
                    (0..STEPS).for_each(|_| cpu.step());
                    running.fetch_sub(1, Relaxed);
                    let live = std::mem::take(&mut cpu.live);
                    live.into_iter().for_each(|run| cpu.free(run));
                    // The inbox outlives this CPU: another may be sending to it right now.
                    cpu.inbox
                })
            })
            .collect();
        while running.load(Relaxed) > 0 {
            let report = frames.report();
            assert!(report.free_frames <= report.total_frames && report.total_frames == SPAN.frames);
            assert!(frames.blocks().count() as u64 > SPAN.frames / 512);
            thread::yield_now();
        }
        cpus.into_iter().map(|cpu| cpu.join().unwrap()).collect()
    });
    let mut cpu = frames.cpu();
    inboxes.iter().flat_map(Receiver::try_iter).for_each(|run| cpu.free(run).unwrap());
    drop(cpu);
    frames.audit().unwrap();
    assert_eq!(frames.report(), before, "frames leaked, or memory is not whole again");
}
