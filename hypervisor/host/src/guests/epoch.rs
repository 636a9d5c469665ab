//! Shooting down what processors remember of a guest's nested tables.

use core::sync::atomic::{AtomicU64, Ordering};

/// Raised when the nested tables were changed in a way that processors must not remember the time before. What a virtual CPU entered the
/// guest with is no older than its epoch, or it flushes first.
#[derive(Debug)]
pub(super) struct Epoch(AtomicU64);

/// The epoch that a virtual CPU entered the guest with; 0 while it is not in there.
#[derive(Debug, Default)]
pub(super) struct Entered(AtomicU64);

impl Epoch {
    /// The first one.
    pub(super) const FIRST: u64 = 1;

    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(Self::FIRST))
    }

    /// Begins the next one, and answers it.
    pub(super) fn raise(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Entered {
    /// Enters the guest; answers the epoch, older than which nothing may be remembered.
    ///
    /// Either this sees an epoch that was raised, or who raised it [sees](Self::is_before) this: each of the two writes its own before
    /// it reads the other's, in the one order of all such accesses.
    pub(super) fn enter(&self, epoch: &Epoch) -> u64 {
        let mut entered = epoch.0.load(Ordering::SeqCst);
        loop {
            self.0.store(entered, Ordering::SeqCst);
            let now = epoch.0.load(Ordering::SeqCst);
            if now == entered {
                return entered;
            }
            entered = now;
        }
    }

    /// Has left the guest.
    pub(super) fn leave(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether the virtual CPU is in the guest since before `epoch`.
    pub(super) fn is_before(&self, epoch: u64) -> bool {
        (1..epoch).contains(&self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    };

    use super::{Entered, Epoch};

    /// Two CPUs enter and leave; each says which tables it uses in there. What is done after a shoot-down finds nobody who uses older
    /// ones.
    #[test]
    fn nobody_uses_what_was_shot_down() {
        const ROUNDS: u64 = 20_000;
        let (epoch, tables, is_over) = (Epoch::new(), AtomicU64::new(1), AtomicBool::new(false));
        let cpus = [(); 2].map(|()| (Entered::default(), AtomicU64::new(0)));
        thread::scope(|scope| {
            for (entered, used) in &cpus {
                let (epoch, tables, is_over) = (&epoch, &tables, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        entered.enter(epoch);
                        used.store(tables.load(Ordering::Relaxed), Ordering::Relaxed);
                        used.store(0, Ordering::Relaxed);
                        entered.leave();
                    }
                });
            }
            for round in 2..ROUNDS {
                tables.store(round, Ordering::Relaxed);
                let raised = epoch.raise();
                for (entered, used) in &cpus {
                    while entered.is_before(raised) {
                        thread::yield_now();
                    }
                    let used = used.load(Ordering::Relaxed);
                    assert!(used == 0 || used >= round, "tables {used} are used in round {round}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
