//! The first steps: something to say and somewhere to catch a fault.

use core::fmt::{self, Write};

use godwit_host::machine::CpuNumber;
use log::LevelFilter;
use x86_64::{
    VirtAddr,
    instructions::{hlt, interrupts},
};

use crate::{
    console::{self, Writer},
    cpu::{
        descriptors::{INTERRUPT_STACKS, Tables},
        local,
        stacks::Stacks,
    },
    logger,
};

/// Bytes of each early interrupt stack; those with guards replace them soon.
const EARLY_STACK: usize = 8 << 10;

#[repr(align(16))]
struct EarlyStacks(
    #[expect(dead_code, reason = "only its address is used")] [[u8; EARLY_STACK]; INTERRUPT_STACKS],
);

static mut STACKS: EarlyStacks = EarlyStacks([[0; EARLY_STACK]; INTERRUPT_STACKS]);
static mut TABLES: Option<Tables> = None;

/// Console, log and fault reports for the boot processor.
pub(super) fn start() {
    console::start();
    // SAFETY: the boot processor runs here once, before anything else in Rust.
    unsafe { local::adopt(CpuNumber(0)) };
    local::this().set_alive();
    logger::start(LevelFilter::Info);
    let stacks = &raw mut STACKS;
    let tops = core::array::from_fn(|slot| {
        VirtAddr::from_ptr(stacks.cast::<u8>().wrapping_add((slot + 1) * EARLY_STACK))
    });
    // SAFETY: only this processor runs, and only here and in `use_stacks` are the tables touched; the early stacks are the
    // image's own memory, used for nothing else.
    unsafe {
        let tables = &raw mut TABLES;
        (*tables).insert(Tables::new()).load(tops);
    }
}

/// Gives the boot processor its guarded interrupt stacks.
pub(super) fn use_stacks(stacks: &Stacks) {
    // SAFETY: the boot processor, before any other runs, outside any interrupt; `start` filled the tables. The reference
    // made there is not used any more: the processor alone reads them since.
    unsafe {
        let tables = &raw mut TABLES;
        if let Some(tables) = &mut *tables {
            tables.load(stacks.interrupt);
        }
    }
}

/// Says why the host cannot boot, and halts.
pub(super) fn give_up(why: fmt::Arguments<'_>) -> ! {
    let _ = writeln!(Writer, "\ngodwit cannot boot: {why}\ngodwit halted");
    loop {
        interrupts::disable();
        hlt();
    }
}
