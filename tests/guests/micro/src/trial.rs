//! How a trial says what it found.

use core::{
    fmt,
    sync::atomic::{AtomicPtr, Ordering},
};

use crate::{asked::Asked, console::println};

/// One thing to be tried.
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Asked<'_>) -> Outcome,
    /// Whether it comes to an end, so that others can follow.
    pub(crate) ends: bool,
    /// Whether it needs several CPUs.
    pub(crate) several: bool,
}

/// The trial failed, and has said why.
pub(crate) struct Failed;

pub(crate) type Outcome = Result<(), Failed>;

/// The trial that runs.
static CURRENT: AtomicPtr<Trial> = AtomicPtr::new(core::ptr::null_mut());

impl Trial {
    /// One that comes to an end.
    pub(crate) const fn new(name: &'static str, run: fn(&Asked<'_>) -> Outcome) -> Self {
        Self { name, run, ends: true, several: false }
    }

    /// One that does not.
    pub(crate) const fn endless(name: &'static str, run: fn(&Asked<'_>) -> Outcome) -> Self {
        Self { name, run, ends: false, several: false }
    }

    /// It needs several CPUs.
    pub(crate) const fn of_several_cpus(self) -> Self {
        Self { several: true, ..self }
    }

    /// Runs it; says whether it passed.
    pub(crate) fn carry_out(&'static self, asked: &Asked<'_>) -> bool {
        CURRENT.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        let passed = (self.run)(asked).is_ok();
        if passed {
            println!("micro {} ok", self.name);
        }
        passed
    }
}

/// The name of the trial that runs.
pub(crate) fn name() -> &'static str {
    // SAFETY: the pointer is null or comes from a `&'static Trial`.
    unsafe { CURRENT.load(Ordering::Relaxed).as_ref() }.map_or("-", |trial| trial.name)
}

/// Says why the trial failed.
pub(crate) fn failed(why: fmt::Arguments<'_>) -> Failed {
    println!("micro {} FAILED: {why}", name());
    Failed
}

/// Says a number that was measured.
pub(crate) fn figure(key: &str, value: u64) {
    println!("micro {} figure={key} {value}", name());
}

/// Ends the trial with a message where the condition does not hold.
macro_rules! check {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::trial::failed(format_args!($($text)+)));
        }
    };
}
pub(crate) use check;

/// Where the machine is held to the architecture, as [`check`]; elsewhere says what was found, and goes on.
macro_rules! check_strictly {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            if $crate::environment::get().is_strict() {
                return Err($crate::trial::failed(format_args!($($text)+)));
            }
            $crate::console::println!("micro {} found: {}", $crate::trial::name(), format_args!($($text)+));
        }
    };
}
pub(crate) use check_strictly;

/// Says what was found.
macro_rules! found {
    ($($text:tt)+) => {
        $crate::console::println!("micro {} found: {}", $crate::trial::name(), format_args!($($text)+))
    };
}
pub(crate) use found;
