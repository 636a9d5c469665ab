//! Code at privilege level 3, until an exception ends it.

use core::{
    arch::global_asm,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    faults::{Caught, mend_with},
    interrupts::{CODE_SELECTOR, Frame, STACK_SELECTOR, USER_CODE_SELECTOR, USER_DATA_SELECTOR},
    single::Single,
    window::{self, PRESENT, Size, USER, WRITABLE},
};

/// What the code begins with, and what it left.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct State {
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
    pub(crate) rdx: u64,
    pub(crate) rsi: u64,
    pub(crate) rdi: u64,
    pub(crate) rflags: u64,
}

/// The flag that is always set.
pub(crate) const FLAGS: u64 = 2;
/// RFLAGS.IOPL: ports are privilege level 3's as well.
pub(crate) const PORTS: u64 = 3 << 12;

static CODE: Single<[u8; 4096]> = Single::new([0xcc; 4096]);
static LEFT: Single<Option<(State, Caught)>> = Single::new(None);
/// RSP of whoever entered privilege level 3, written by the entry.
#[unsafe(no_mangle)]
static MICRO_USER_RSP: AtomicU64 = AtomicU64::new(0);

// SAFETY: the assembly below defines them.
unsafe extern "C" {
    /// Enters privilege level 3 with `state` at `rip`, and comes back by `micro_user_exit`.
    fn micro_user_enter(state: *const State, rip: u64, rsp: u64, code: u64, stack: u64);
    static micro_user_exit: u8;
}

global_asm!(
    r#"
    .text
micro_user_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, MICRO_USER_RSP
    pushq %r8
    pushq %rdx
    pushq 40(%rdi)
    pushq %rcx
    pushq %rsi
    movq (%rdi), %rax
    movq 8(%rdi), %rcx
    movq 16(%rdi), %rdx
    movq 24(%rdi), %rsi
    movq 32(%rdi), %rdi
    iretq
    .global micro_user_exit
micro_user_exit:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    retq
    "#,
    options(att_syntax)
);

/// Where the code runs: the first page of the window, its stack at the page's end.
pub(crate) const BASE: u64 = window::WINDOW;

/// Runs `code` at privilege level 3 until an exception, which it has to end in: what it left, and the exception.
pub(crate) fn run(code: &[u8], state: State) -> Option<(State, Caught)> {
    run_at(0, code, state)
}

/// As [`run`], with the code `offset` bytes into its page.
pub(crate) fn run_at(offset: usize, code: &[u8], state: State) -> Option<(State, Caught)> {
    // SAFETY: this function's statics; the bytes are at most a page, and no more of the page is executed.
    unsafe {
        let page = CODE.get().cast::<u8>();
        page.write_bytes(0xcc, 4096);
        page.add(offset).copy_from_nonoverlapping(code.as_ptr(), code.len().min(4096 - offset));
        LEFT.get().write(None);
    }
    let base = window::map(Size::Page4K, CODE.address(), PRESENT | WRITABLE | USER);
    mend_with(Some(leave));
    // SAFETY: the page above holds the code and its stack; every exception leads to `leave`, which brings back RSP and
    // goes on at the exit. The code can change nothing but what pages with the user bit hold.
    unsafe {
        micro_user_enter(
            &raw const state,
            base + offset as u64,
            base + 4096,
            USER_CODE_SELECTOR,
            USER_DATA_SELECTOR,
        );
    }
    mend_with(None);
    window::map(Size::Page4K, 0, 0);
    // SAFETY: nothing else reads or writes it now.
    unsafe { LEFT.get().read() }
}

/// Notes an exception of privilege level 3 and goes back to who entered it.
fn leave(frame: &mut Frame, address: u64) -> bool {
    if frame.cs & 3 != 3 {
        return false;
    }
    let [.., rdi, rsi, _, _, rdx, rcx, rax] = frame.general;
    let state = State { rax, rcx, rdx, rsi, rdi, rflags: frame.rflags };
    let caught = Caught { vector: frame.vector as u8, error_code: frame.error_code, address, rip: frame.rip };
    // SAFETY: the code that waits for it does not run now.
    unsafe { LEFT.get().write(Some((state, caught))) };
    frame.rip = (&raw const micro_user_exit).addr() as u64;
    frame.cs = CODE_SELECTOR;
    frame.ss = STACK_SELECTOR;
    frame.rsp = MICRO_USER_RSP.load(Ordering::Relaxed);
    frame.rflags = FLAGS;
    true
}
