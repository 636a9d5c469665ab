//! Descriptor tables and the path of every interrupt and exception.

use core::{
    arch::global_asm,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering},
};

use spin::Once;
use x86_64::{
    VirtAddr,
    instructions::{
        segmentation::{CS, Segment},
        tables::load_tss,
    },
    registers::{control::Cr2, model_specific::Msr},
    structures::{
        gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector},
        tss::TaskStateSegment,
    },
};

use crate::{apic, cpus::MOST, faults, pic, single::Single};

/// Selectors, as `mode_switch` counts on them.
const CODE_64: u64 = 0x00af_9b00_0000_ffff;
const FLAT_DATA: u64 = 0x00cf_9300_0000_ffff;
const CODE_32: u64 = 0x00cf_9b00_0000_ffff;
const CODE_16: u64 = 0x0000_9b00_0000_ffff;
const DATA_16: u64 = 0x0000_9300_0000_ffff;
const USER_DATA: u64 = 0x00cf_f300_0000_ffff;
const USER_CODE_64: u64 = 0x00af_fb00_0000_ffff;
const ABSENT_DATA: u64 = 0x00cf_1300_0000_ffff;
/// Selectors of what lies behind the task state segment: privilege level 3, and a segment that is not present.
pub(crate) const USER_DATA_SELECTOR: u64 = 8 << 3 | 3;
pub(crate) const USER_CODE_SELECTOR: u64 = 9 << 3 | 3;
pub(crate) const ABSENT_SELECTOR: u16 = 10 << 3;
/// Kernel code and stack, where handlers go back to.
pub(crate) const CODE_SELECTOR: u64 = 1 << 3;
pub(crate) const STACK_SELECTOR: u64 = 2 << 3;
/// A data segment from 0 to 64 KiB.
pub(crate) const SMALL_DATA_SELECTOR: u16 = 5 << 3;

/// A gate in the 64-bit interrupt descriptor table (APM vol. 2, figure 4-24).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    low: u64,
    high: u64,
}

const GATE_PRESENT: u64 = 1 << 47;

const STACK_BYTES: usize = 16 << 10;
const OTHER_STACK_BYTES: usize = 8 << 10;
/// Stacks by use, so that a fault inside a handler of another kind finds its own: compiled code uses the red zone, so no
/// gate may stay on the interrupted stack.
static STACKS: [Single<[u8; STACK_BYTES]>; 6] = [const { Single::new([0; STACK_BYTES]) }; 6];
/// Where gates without a stack of their own lead from privilege level 3.
static RING_STACK: Single<[u8; STACK_BYTES]> = Single::new([0; STACK_BYTES]);

static GATES: Single<[Gate; 256]> = Single::new([Gate { low: 0, high: 0 }; 256]);
static TSS: Once<TaskStateSegment> = Once::new();
static GDT: Once<GlobalDescriptorTable<16>> = Once::new();

/// Tables and stacks of each CPU but the first.
static OTHERS: [Single<Tables>; MOST - 1] = [const { Single::new(Tables::EMPTY) }; MOST - 1];

/// A CPU's own tables, and stacks by use.
#[repr(C)]
struct Tables {
    stacks: [[u8; OTHER_STACK_BYTES]; 6],
    task: TaskStateSegment,
    gdt: [u64; 11],
}

impl Tables {
    const EMPTY: Self =
        Self { stacks: [[0; OTHER_STACK_BYTES]; 6], task: TaskStateSegment::new(), gdt: [0; 11] };
}

/// How often each vector came to each CPU.
static HITS: [[AtomicU64; 256]; MOST] = [const { [const { AtomicU64::new(0) }; 256] }; MOST];
/// Who wants to hear that an interrupt ended.
static CONTROLLER: AtomicU8 = AtomicU8::new(Controller::None as u8);

/// Looks at each interrupt.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// What is done in the handler of an interrupt.
pub(crate) type Handler = fn(&mut Frame);

/// Who delivers interrupts.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Controller {
    None,
    Pic,
    Apic,
    /// By its register in x2APIC mode.
    X2Apic,
}

/// Registers at the moment of an interrupt, as the entries push them.
#[repr(C)]
pub(crate) struct Frame {
    /// RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8 to R15, from the end.
    pub(crate) general: [u64; 15],
    pub(crate) vector: u64,
    pub(crate) error_code: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

// SAFETY: the assembly below defines the label; only its address is used.
unsafe extern "C" {
    static interrupt_stubs: u8;
}

global_asm!(
    r#"
    .section .text.interrupt_stubs, "ax", @progbits
    .balign 16
    .global interrupt_stubs
interrupt_stubs:
    .set micro_vector, 0
    .rept 256
    .balign 16
    .if (micro_vector == 8) || ((micro_vector >= 10) && (micro_vector <= 14)) || (micro_vector == 17) || (micro_vector == 21)
    .else
    pushq $0
    .endif
    pushq $micro_vector
    jmp interrupt_common
    .set micro_vector, micro_vector + 1
    .endr

    .balign 16
interrupt_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    movq %rsp, %rbx
    subq $512, %rsp
    andq $-16, %rsp
    clts                            # a trial sets CR0.TS to see it fault
    fxsave64 (%rsp)
    callq micro_interrupt
    fxrstor64 (%rsp)
    movq %rbx, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq
    "#,
    options(att_syntax)
);

/// Loads descriptor tables with a gate for every vector. Interrupts stay off.
pub(crate) fn start() {
    let tss = TSS.call_once(|| {
        let mut tss = TaskStateSegment::new();
        let mut tops = tss.interrupt_stack_table;
        for (slot, stack) in tops.iter_mut().zip(&STACKS) {
            *slot = VirtAddr::new(stack.address() + STACK_BYTES as u64);
        }
        tss.interrupt_stack_table = tops;
        tss.privilege_stack_table[0] = VirtAddr::new(ring_stack().1);
        tss
    });
    let gdt = GDT.call_once(|| {
        let mut gdt = GlobalDescriptorTable::empty();
        for raw in [CODE_64, FLAT_DATA, CODE_32, CODE_16, DATA_16] {
            gdt.append(Descriptor::UserSegment(raw));
        }
        gdt.append(Descriptor::tss_segment(tss));
        for raw in [USER_DATA, USER_CODE_64, ABSENT_DATA] {
            gdt.append(Descriptor::UserSegment(raw));
        }
        gdt
    });
    gdt.load();
    let selector = |index| SegmentSelector::new(index, x86_64::PrivilegeLevel::Ring0);
    // SAFETY: 1 is 64-bit code and 6 is the task state segment, which lives for ever.
    unsafe {
        CS::set_reg(selector(1));
        load_tss(selector(6));
    }
    for vector in 0..=255 {
        set_gate(vector, true);
    }
    load_idt(256 * 16 - 1);
}

/// Lays out the tables of another CPU, which must not be running.
pub(crate) fn prepare(cpu: usize) {
    let Some(tables) = cpu.checked_sub(1).and_then(|other| OTHERS.get(other)) else { return };
    let mut task = TaskStateSegment::new();
    let mut tops = task.interrupt_stack_table;
    for (number, slot) in tops.iter_mut().enumerate().take(6) {
        *slot = VirtAddr::new(tables.address() + ((number + 1) * OTHER_STACK_BYTES) as u64);
    }
    task.interrupt_stack_table = tops;
    let at = tables.get();
    // SAFETY: the tables are for a CPU that does not run, and only the CPU that booted calls this. A new descriptor each time:
    // loading it marks it as busy.
    unsafe {
        (&raw mut (*at).task).write(task);
        let Descriptor::SystemSegment(low, high) = Descriptor::tss_segment_unchecked(&raw const (*at).task)
        else {
            return;
        };
        (&raw mut (*at).gdt).write([
            0,
            CODE_64,
            FLAT_DATA,
            CODE_32,
            CODE_16,
            DATA_16,
            low,
            high,
            USER_DATA,
            USER_CODE_64,
            ABSENT_DATA,
        ]);
    }
}

/// Loads what [`prepare`] laid out, on that CPU.
pub(crate) fn load(cpu: usize) {
    let Some(tables) = cpu.checked_sub(1).and_then(|other| OTHERS.get(other)) else { return };
    let selector = |index| SegmentSelector::new(index, x86_64::PrivilegeLevel::Ring0);
    // SAFETY: the table is whole and lives for ever: 1 is 64-bit code and 6 the task state segment.
    unsafe {
        let base = VirtAddr::new((&raw const (*tables.get()).gdt).addr() as u64);
        let limit = (size_of::<[u64; 11]>() - 1) as u16;
        x86_64::instructions::tables::lgdt(&x86_64::structures::DescriptorTablePointer { limit, base });
        CS::set_reg(selector(1));
        load_tss(selector(6));
    }
    load_idt(256 * 16 - 1);
}

/// The CPU whose stack for interrupts an address is on; the first has all that is not another's.
pub(crate) fn whose_stack(address: u64) -> usize {
    let first = OTHERS[0].address();
    let other = address.checked_sub(first).map(|offset| offset as usize / size_of::<Single<Tables>>());
    other.filter(|other| *other < MOST - 1).map_or(0, |other| other + 1)
}

/// Loads the interrupt descriptor table with this limit.
pub(crate) fn load_idt(limit: u16) {
    let table = x86_64::structures::DescriptorTablePointer { limit, base: VirtAddr::new(GATES.address()) };
    // SAFETY: every gate leads to an entry below and to a stack of its own kind; a smaller limit is a trial that means to
    // triple-fault.
    unsafe { x86_64::instructions::tables::lidt(&table) };
}

/// First and last address of the stack for privilege level 0 in the task state segment.
pub(crate) fn ring_stack() -> (u64, u64) {
    (RING_STACK.address(), RING_STACK.address() + STACK_BYTES as u64)
}

/// First and last address of the stack that a vector's gate names.
pub(crate) fn gate_stack(vector: u8) -> (u64, u64) {
    let first = STACKS.get(stack_of(vector) as usize - 1).map_or(0, Single::address);
    (first, first + STACK_BYTES as u64)
}

/// The stack by use, counted from 1.
const fn stack_of(vector: u8) -> u64 {
    match vector {
        14 => 2,
        2 => 3,
        8 => 4,
        1 | 3 => 5,
        32.. => 6,
        _ => 1,
    }
}

/// Writes the gate of a vector, present or not.
pub(crate) fn set_gate(vector: u8, present: bool) {
    write_gate(vector, stack_of(vector), if present { GATE_PRESENT } else { 0 });
}

/// Lets privilege level 3 use the gate of a vector, by INT n; it stays on the stack of privilege level 0.
pub(crate) fn open_gate(vector: u8) {
    const LEVEL_3: u64 = 3 << 45;
    write_gate(vector, 0, GATE_PRESENT | LEVEL_3);
}

/// Lets the gate of a vector stay on whatever stack is in use.
pub(crate) fn on_bare_stack(vector: u8) {
    write_gate(vector, 0, GATE_PRESENT);
}

fn write_gate(vector: u8, stack: u64, flags: u64) {
    let entry = (&raw const interrupt_stubs).addr() as u64 + u64::from(vector) * 16;
    // Offset, selector of 64-bit code, stack, type 14 (interrupt gate).
    let low = (entry & 0xffff) | 8 << 16 | stack << 32 | 0xe << 40 | (entry >> 16 & 0xffff) << 48;
    let gate = Gate { low: low | flags, high: entry >> 32 };
    // SAFETY: inside the table; one CPU, and the processor reads a gate only when its vector comes.
    unsafe { GATES.get().cast::<Gate>().add(vector.into()).write_volatile(gate) };
}

/// The name that the entries call. Exceptions go to whoever expects them; all else is counted.
#[unsafe(no_mangle)]
extern "C" fn micro_interrupt(frame: &mut Frame) {
    let vector = frame.vector as u8;
    let cpu = whose_stack(core::ptr::from_ref(frame).addr() as u64);
    HITS[cpu][usize::from(vector)].fetch_add(1, Ordering::SeqCst);
    if vector < 32 && vector != 2 {
        faults::arrived(frame, Cr2::read_raw());
        return;
    }
    let handler = HANDLER.load(Ordering::Relaxed);
    if !handler.is_null() {
        // SAFETY: the pointer was made from a `Handler` in `handle_with`.
        let handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
        handler(frame);
    }
    if vector != 2 {
        match CONTROLLER.load(Ordering::Relaxed) {
            controller if controller == Controller::Pic as u8 => pic::end_of_interrupt(vector),
            controller if controller == Controller::Apic as u8 => apic::end_of_interrupt(),
            controller if controller == Controller::X2Apic as u8 => {
                // SAFETY: whoever chose this has entered the mode that has the register.
                unsafe { Msr::new(0x80b).write(0) };
            }
            _ => {}
        }
    }
}

/// Lets `handler` see each interrupt and NMI before the controllers hear of its end, or nobody.
pub(crate) fn handle_with(handler: Option<Handler>) {
    let pointer = handler.map_or(core::ptr::null_mut(), |handler| handler as *mut ());
    HANDLER.store(pointer, Ordering::Relaxed);
}

/// Says who hears of the end of interrupts from now on, and forgets what came.
pub(crate) fn expect_from(controller: Controller) {
    CONTROLLER.store(controller as u8, Ordering::Relaxed);
    for hits in HITS.iter().flatten() {
        hits.store(0, Ordering::Relaxed);
    }
}

/// How often a vector came to the first CPU since [`expect_from`].
pub(crate) fn hits(vector: u8) -> u64 {
    hits_on(0, vector)
}

/// As [`hits`], of any CPU.
pub(crate) fn hits_on(cpu: usize, vector: u8) -> u64 {
    HITS[cpu][usize::from(vector)].load(Ordering::SeqCst)
}

/// The counter behind [`hits`], for assembly.
pub(crate) fn counter(vector: u8) -> *const u64 {
    HITS[0][usize::from(vector)].as_ptr()
}
