//! Each processor's own GDT, TSS and IDT (APM vol. 2 chapters 4 and 8, SDM vol. 3 chapters 3 and 7).

use x86_64::{
    PrivilegeLevel, VirtAddr,
    instructions::tables::load_tss,
    registers::segmentation::{CS, DS, ES, SS, Segment, SegmentSelector},
    structures::{
        gdt::{Descriptor, GlobalDescriptorTable},
        idt::InterruptDescriptorTable,
        tss::TaskStateSegment,
    },
};

use crate::interrupts::{stubs, vectors};

/// The selector of the GDT's data segment.
pub const DATA_SELECTOR: u16 = 0x10;

/// Interrupt stacks (IST slots) that a processor has.
pub const INTERRUPT_STACKS: usize = 6;

/// The interrupt stack table's slots, one-based as the architecture counts them. No handler may fault on its own slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StackSlot {
    /// Exceptions that have no slot of their own.
    Fault = 1,
    /// Non-maskable interrupts.
    Nmi = 2,
    /// Double fault.
    DoubleFault = 3,
    /// Machine check.
    MachineCheck = 4,
    /// Debug exceptions and breakpoints.
    Debug = 5,
    /// Interrupts from devices, timers and other processors.
    Interrupt = 6,
}

impl StackSlot {
    const fn for_vector(vector: u8) -> Self {
        match vector {
            vectors::DEBUG | vectors::BREAKPOINT => Self::Debug,
            vectors::NMI => Self::Nmi,
            vectors::DOUBLE_FAULT => Self::DoubleFault,
            vectors::MACHINE_CHECK => Self::MachineCheck,
            0..=31 => Self::Fault,
            _ => Self::Interrupt,
        }
    }
}

/// The three tables of one processor.
pub struct Tables {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
    idt: InterruptDescriptorTable,
}

impl Tables {
    /// Tables with a gate for every vector that can arrive, and no stacks yet.
    pub fn new() -> Self {
        let mut idt = InterruptDescriptorTable::new();
        macro_rules! gate {
            ($entry:expr, $vector:expr) => {{
                let slot = StackSlot::for_vector($vector) as u16;
                // SAFETY: the stub for this vector follows the architecture's frame for it, error code or not, and the
                // slot is one of the six stacks that `load` puts into the TSS (the crate counts slots from zero).
                unsafe { $entry.set_handler_addr(stubs::address($vector)).set_stack_index(slot - 1) };
            }};
        }
        gate!(idt.divide_error, 0);
        gate!(idt.debug, vectors::DEBUG);
        gate!(idt.non_maskable_interrupt, vectors::NMI);
        gate!(idt.breakpoint, vectors::BREAKPOINT);
        gate!(idt.overflow, 4);
        gate!(idt.bound_range_exceeded, 5);
        gate!(idt.invalid_opcode, 6);
        gate!(idt.device_not_available, 7);
        gate!(idt.double_fault, vectors::DOUBLE_FAULT);
        gate!(idt.invalid_tss, 10);
        gate!(idt.segment_not_present, 11);
        gate!(idt.stack_segment_fault, 12);
        gate!(idt.general_protection_fault, 13);
        gate!(idt.page_fault, vectors::PAGE_FAULT);
        gate!(idt.x87_floating_point, 16);
        gate!(idt.alignment_check, 17);
        gate!(idt.machine_check, vectors::MACHINE_CHECK);
        gate!(idt.simd_floating_point, 19);
        gate!(idt.virtualization, 20);
        gate!(idt.cp_protection_exception, 21);
        gate!(idt.hv_injection_exception, 28);
        gate!(idt.vmm_communication_exception, 29);
        gate!(idt.security_exception, 30);
        for vector in 32..=255 {
            gate!(idt[vector], vector);
        }
        Self { gdt: GlobalDescriptorTable::new(), tss: TaskStateSegment::new(), idt }
    }

    /// Puts the tables into use on the calling processor, with `stacks[slot - 1]` the top of each interrupt stack.
    ///
    /// # Safety
    /// The stacks are mapped, writable, and this processor's own for ever; no interrupt is being handled.
    pub unsafe fn load(&'static mut self, stacks: [VirtAddr; INTERRUPT_STACKS]) {
        for (slot, top) in stacks.into_iter().enumerate() {
            // By index: the TSS is packed, so no reference into it is aligned.
            self.tss.interrupt_stack_table[slot] = top;
        }
        self.gdt = GlobalDescriptorTable::new();
        let code = self.gdt.append(Descriptor::kernel_code_segment());
        let data = self.gdt.append(Descriptor::kernel_data_segment());
        debug_assert_eq!(data.0, DATA_SELECTOR);
        let task = self.gdt.append(Descriptor::tss_segment(&self.tss));
        self.gdt.load();
        // SAFETY: the selectors are those of the table just loaded: 64-bit code, data, and this processor's TSS, which
        // lives for ever (`&'static mut self`). FS and GS stay null: the GS base is set by MSR.
        unsafe {
            CS::set_reg(code);
            SS::set_reg(data);
            DS::set_reg(SegmentSelector::new(0, PrivilegeLevel::Ring0));
            ES::set_reg(SegmentSelector::new(0, PrivilegeLevel::Ring0));
            load_tss(task);
        }
        self.idt.load();
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}
