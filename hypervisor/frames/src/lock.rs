//! The one lock of a zone: it spins on the machine, and is loom's own when loom explores interleavings.

#[cfg(not(loom))]
mod spinning {
    use spin::mutex::{SpinMutex, SpinMutexGuard};

    /// Mutual exclusion around a zone's state.
    pub(crate) struct Lock<T>(SpinMutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(SpinMutex::new(value))
        }

        pub(crate) fn lock(&self) -> SpinMutexGuard<'_, T> {
            self.0.lock()
        }
    }

    pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;
    pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64};
}

#[cfg(loom)]
mod explored {
    use loom::sync::{Mutex, MutexGuard};

    /// Mutual exclusion around a zone's state.
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model thread that panics ends the exploration")
        }
    }

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};
}

#[cfg(loom)]
pub(crate) use explored::{AtomicU32, AtomicU64, Guard, Lock};
#[cfg(not(loom))]
pub(crate) use spinning::{AtomicU32, AtomicU64, Guard, Lock};
