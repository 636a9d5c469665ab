//! The textbook buddy allocator: a doubly linked free list per order, last in, first out.

use godwit_frames::{HostFrame, Order};

use crate::pool::Pool;

/// No frame.
const NONE: u32 = u32::MAX;
/// The frame does not begin a free run.
const NOT_FREE: u8 = u8::MAX;

/// Previous and next on the free list. In a kernel they lie in the free frames themselves; here they lie in
/// an array beside them, so that no memory but this one is touched.
#[derive(Clone, Copy)]
struct Links {
    previous: u32,
    next: u32,
}

/// A buddy allocator over frames `0..frames`.
pub(crate) struct Lifo {
    heads: [u32; Order::COUNT],
    links: Vec<Links>,
    /// Per frame: the order of the free run that begins there.
    free_order: Vec<u8>,
}

impl Lifo {
    /// A pool with all of `frames` free, which is a multiple of 1 GiB.
    pub(crate) fn new(frames: u32) -> Self {
        assert!(u64::from(frames).is_multiple_of(Order::HUGE.frames()));
        let mut pool = Self {
            heads: [NONE; Order::COUNT],
            links: vec![Links { previous: NONE, next: NONE }; frames as usize],
            free_order: vec![NOT_FREE; frames as usize],
        };
        for start in (0..frames).step_by(Order::HUGE.frames() as usize).rev() {
            pool.push(start, Order::HUGE.index());
        }
        pool
    }

    fn push(&mut self, frame: u32, order: usize) {
        let next = self.heads[order];
        self.links[frame as usize] = Links { previous: NONE, next };
        if next != NONE {
            self.links[next as usize].previous = frame;
        }
        self.heads[order] = frame;
        self.free_order[frame as usize] = order as u8;
    }

    fn unlink(&mut self, frame: u32, order: usize) {
        let Links { previous, next } = self.links[frame as usize];
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous == NONE {
            self.heads[order] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        self.free_order[frame as usize] = NOT_FREE;
    }
}

impl Pool for Lifo {
    type Run = HostFrame;

    #[inline]
    fn allocate(&mut self, order: Order) -> Option<HostFrame> {
        let order = order.index();
        let from = (order..Order::COUNT).find(|&from| self.heads[from] != NONE)?;
        let frame = self.heads[from];
        self.unlink(frame, from);
        for half in (order..from).rev() {
            self.push(frame + (1 << half), half);
        }
        Some(HostFrame::new(frame.into()))
    }

    #[inline]
    fn free(&mut self, run: HostFrame, order: Order) {
        let mut frame = run.number() as u32;
        let mut order = order.index();
        while order < Order::HUGE.index() {
            let buddy = frame ^ (1 << order);
            if self.free_order[buddy as usize] != order as u8 {
                break;
            }
            self.unlink(buddy, order);
            frame = frame.min(buddy);
            order += 1;
        }
        self.push(frame, order);
    }

    fn free_2m_runs(&mut self) -> u64 {
        let runs = self.free_order.iter().filter(|&&order| order != NOT_FREE && order >= Order::LARGE.get());
        runs.map(|order| 1 << (order - Order::LARGE.get())).sum()
    }
}
