//! Starting application processors: a page below 1 MiB carries each from real mode to 64-bit code (SDM vol. 3, 10.4).

use core::{
    arch::global_asm,
    sync::atomic::{AtomicPtr, Ordering},
};

use godwit_host::machine::CpuNumber;
use x86_64::{
    PhysAddr,
    registers::control::{Cr3, Efer},
};

use super::{
    descriptors::Tables,
    local::{self, Cpu},
    stacks::Stacks,
};
use crate::{apic::local as local_apic, memory::direct_map, time::tsc};

/// Where the parameters lie in the start-up page; the assembly below names the same offsets.
const PARAMETERS: usize = 0xf00;
/// How long a processor gets to say that it is alive: an emulated one may wait for its turn.
const ALIVE_WAIT_NS: u64 = 2_000_000_000;
/// How long one gets that has begun to run Rust.
const SLOW_WAIT_NS: u64 = 20_000_000_000;
/// Between INIT and start-up (SDM vol. 3, 10.4.4.1).
const AFTER_INIT_NS: u64 = 10_000_000;
/// Between the first start-up message and the second.
const AFTER_STARTUP_NS: u64 = 200_000;

/// What the start-up page tells a processor. The assembly below reads it at [`PARAMETERS`] by these offsets.
#[repr(C)]
struct Parameters {
    /// 0x00: far pointer to the page's 32-bit code.
    protected_offset: u32,
    protected_selector: u32,
    /// 0x08: far pointer to the page's 64-bit code.
    long_offset: u32,
    long_selector: u32,
    /// 0x10: tables below 4 GiB that map the page at its own address and the image at its place.
    boot_tables: u64,
    /// 0x18: the host's tables.
    tables: u64,
    /// 0x20: EFER, so that no-execute entries are valid when the tables are loaded.
    extended_features: u64,
    /// 0x28: top of the main stack.
    stack: u64,
    /// 0x30: the processor's number.
    number: u64,
    /// 0x38: length and address of the page's descriptor table, as LGDT reads them.
    gdt_limit: u16,
    gdt_base: [u16; 2],
}

const _: () = {
    assert!(core::mem::offset_of!(Parameters, long_offset) == 0x08);
    assert!(core::mem::offset_of!(Parameters, boot_tables) == 0x10);
    assert!(core::mem::offset_of!(Parameters, tables) == 0x18);
    assert!(core::mem::offset_of!(Parameters, extended_features) == 0x20);
    assert!(core::mem::offset_of!(Parameters, stack) == 0x28);
    assert!(core::mem::offset_of!(Parameters, number) == 0x30);
    assert!(core::mem::offset_of!(Parameters, gdt_limit) == 0x38);
    assert!(core::mem::offset_of!(Parameters, gdt_base) == 0x3a);
};

// SAFETY: the assembly at the end of this file defines these labels in read-only data; only their addresses are used.
unsafe extern "C" {
    static __start_page: u8;
    static __start_page_end: u8;
    static __start_page_protected: u8;
    static __start_page_long: u8;
    static __start_page_gdt: u8;
}

/// What a started processor finds when it reaches Rust.
pub struct Handover {
    /// Its descriptor tables, unloaded.
    pub tables: &'static mut Tables,
    /// Its stacks.
    pub stacks: Stacks,
    /// Where it goes on.
    pub enter: fn(&'static mut Tables, Stacks) -> !,
}

/// The one processor that is being started takes its handover from here.
static HANDOVER: AtomicPtr<Handover> = AtomicPtr::new(core::ptr::null_mut());

/// Starts processors, one after the other.
pub struct Starter {
    page: PhysAddr,
    boot_tables: u64,
}

impl Starter {
    /// A starter that uses the frame at `page`.
    ///
    /// # Safety
    /// `page` is a frame of RAM below 1 MiB, in the direct map, used by nobody else; `boot_tables` is the address, below 4 GiB,
    /// of tables that map it at its own address and the image at its place, both executable.
    pub unsafe fn new(page: PhysAddr, boot_tables: u64) -> Self {
        Self { page, boot_tables }
    }

    /// Starts `cpu` and waits until it runs. False where it does not answer.
    pub fn start(&mut self, cpu: &'static Cpu, handover: &'static mut Handover) -> bool {
        self.write_page(cpu.number(), handover.stacks.main.as_u64());
        HANDOVER.store(handover, Ordering::Release);
        let Ok(page) = u8::try_from(self.page.as_u64() >> 12) else { return false };
        local_apic::send_init(cpu.apic_id());
        wait(AFTER_INIT_NS, || false);
        local_apic::send_startup(cpu.apic_id(), page);
        if !wait(AFTER_STARTUP_NS, || cpu.is_alive()) {
            local_apic::send_startup(cpu.apic_id(), page);
        }
        if wait(ALIVE_WAIT_NS, || cpu.is_alive()) {
            return true;
        }
        if HANDOVER.swap(core::ptr::null_mut(), Ordering::AcqRel).is_null() {
            // It took its handover and runs Rust: it must not be reset, it is only slow.
            return wait(SLOW_WAIT_NS, || cpu.is_alive());
        }
        // Whatever it does later, it finds nothing to run with. Back to waiting for a start-up message.
        local_apic::send_init(cpu.apic_id());
        false
    }

    fn write_page(&self, number: CpuNumber, stack: u64) {
        let base = self.page.as_u64();
        let code = &raw const __start_page;
        let length = (&raw const __start_page_end).addr() - code.addr();
        let offset = |label: *const u8| (label.addr() - code.addr()) as u64 + base;
        let gdt = offset(&raw const __start_page_gdt) as u32;
        let parameters = Parameters {
            protected_offset: offset(&raw const __start_page_protected) as u32,
            protected_selector: 0x10,
            long_offset: offset(&raw const __start_page_long) as u32,
            long_selector: 0x08,
            boot_tables: self.boot_tables,
            tables: Cr3::read().0.start_address().as_u64(),
            extended_features: Efer::read_raw(),
            stack,
            number: u64::from(number.0),
            gdt_limit: 4 * 8 - 1,
            gdt_base: [gdt as u16, (gdt >> 16) as u16],
        };
        let page = direct_map::virtual_address(self.page).as_mut_ptr::<u8>();
        // SAFETY: `new`'s caller gave this frame to the starter alone, and no processor runs in it: the one before is alive
        // in its own code or was reset. Code and parameters both fit the frame (the assembly's .org sees to it).
        unsafe {
            core::ptr::copy_nonoverlapping(code, page, length);
            page.add(PARAMETERS).cast::<Parameters>().write(parameters);
        }
    }
}

/// Waits `nanoseconds`, or less once `done` holds; says whether it does. Meanwhile the counters are compared.
fn wait(nanoseconds: u64, done: impl Fn() -> bool) -> bool {
    let start = tsc::now().as_nanoseconds();
    loop {
        if done() {
            return true;
        }
        tsc::observe();
        if tsc::now().as_nanoseconds().saturating_sub(start) >= nanoseconds {
            return false;
        }
        core::hint::spin_loop();
    }
}

global_asm!(
    r#"
    .section .rodata.start_page, "a", @progbits
    .balign 16
    .global __start_page
    .global __start_page_end
    .global __start_page_protected
    .global __start_page_long
    .global __start_page_gdt
    .code16
__start_page:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %ebx
    shll $4, %ebx
    lgdtl 0xf38
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *0xf00

    .code32
__start_page_protected:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x620, %eax               # PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl 0xf10(%ebx), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          # EFER
    movl 0xf20(%ebx), %eax
    andl $0x901, %eax               # SCE, LME, NXE: LMA is the processor's to set
    xorl %edx, %edx
    wrmsr
    movl $0x80010033, %eax          # PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    ljmpl *0xf08(%ebx)

    .code64
__start_page_long:
    movabsq $godwit_started_high, %rax
    jmpq *%rax

    .balign 8
__start_page_gdt:
    .quad 0
    .quad 0x00af9b000000ffff        # 64-bit code
    .quad 0x00cf9b000000ffff        # 32-bit code
    .quad 0x00cf93000000ffff        # data
    .org __start_page + 0xf00       # fails to assemble when the code runs into its parameters
__start_page_end:

    .section .text.started, "ax", @progbits
    .code64
godwit_started_high:
    xorl %eax, %eax
    movw %ax, %ss
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movl %ebx, %ebx
    movq 0xf18(%rbx), %rax
    movq 0xf28(%rbx), %rdx
    movl 0xf30(%rbx), %edi
    movq %rax, %cr3                 # the page at its own address is gone from here on
    movq %rdx, %rsp
    xorl %ebp, %ebp
    callq godwit_started
    ud2
    "#,
    options(att_syntax)
);

/// The first Rust function of an application processor, on its own main stack and the host's tables.
#[unsafe(no_mangle)]
extern "C" fn godwit_started(number: u64) -> ! {
    // SAFETY: the boot processor gave this number to this processor alone, and this is the first code here.
    unsafe { local::adopt(CpuNumber(number as u16)) };
    let handover = HANDOVER.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if handover.is_null() {
        // Too late: the boot processor gave up.
        loop {
            x86_64::instructions::hlt();
        }
    }
    // SAFETY: `start` stored a `&'static mut Handover` for exactly one taker, and the swap made this processor the one.
    let handover = unsafe { &mut *handover };
    (handover.enter)(handover.tables, handover.stacks)
}
