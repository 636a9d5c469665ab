//! The states that a processor begins in: after reset, after INIT, after a start-up message (APM vol. 2, 14.1.3;
//! SDM vol. 3, 9.4 and table 10-1).

use super::{
    Activity, Attributes, Control, CpuState, Debug, General, Msrs, Registers, Segment, Segments, Table,
};

/// The processor signature that EDX holds: family 6 and nothing more, until CPUID says better.
const SIGNATURE: u64 = 0x600;
/// RFLAGS: the bit that is always set.
const RFLAGS_ONE: u64 = 1 << 1;
/// CR0: cache disable and not write-through. INIT leaves them alone.
const CR0_CACHING: u64 = 1 << 30 | 1 << 29;
/// CR0: extension type, always set.
const CR0_EXTENSION_TYPE: u64 = 1 << 4;
/// The offset at which execution begins, in a code segment whose base is 64 KiB below 4 GiB.
const FIRST_RIP: u64 = 0xfff0;
/// XCR0: x87.
const X87: u64 = 1 << 0;
/// The page attribute table: write-back, write-through, uncached minus, uncached, twice.
const PAT: u64 = 0x0007_0406_0007_0406;

const DATA: Segment = Segment { selector: 0, attributes: Attributes(0x93), limit: 0xffff, base: 0 };
const CODE: Segment =
    Segment { selector: 0xf000, attributes: Attributes(0x9b), limit: 0xffff, base: 0xffff_0000 };
const SEGMENTS: Segments = Segments {
    es: DATA,
    cs: CODE,
    ss: DATA,
    ds: DATA,
    fs: DATA,
    gs: DATA,
    ldtr: Segment { attributes: Attributes(0x82), ..DATA },
    tr: Segment { attributes: Attributes(0x8b), ..DATA },
};
const DESCRIPTOR_TABLE: Table = Table { limit: 0xffff, base: 0 };
const DEBUG: Debug = Debug { addresses: [0; 4], dr6: 0xffff_0ff0, dr7: 0x400 };

const fn registers() -> Registers {
    let mut registers = Registers { general: [0; 16], rip: FIRST_RIP, rflags: RFLAGS_ONE };
    registers.set(General::Rdx, SIGNATURE);
    registers
}

impl CpuState {
    /// The state after reset, but for the FPU's area, which is empty: its format is the processor's.
    pub fn at_reset() -> Self {
        Self {
            registers: registers(),
            segments: SEGMENTS,
            gdtr: DESCRIPTOR_TABLE,
            idtr: DESCRIPTOR_TABLE,
            control: Control { cr0: CR0_CACHING | CR0_EXTENSION_TYPE, xcr0: X87, ..Control::default() },
            debug: DEBUG,
            msrs: Msrs { pat: PAT, ..Msrs::default() },
            ..Self::default()
        }
    }

    /// What an INIT message does: as reset, but the FPU's state with XCR0, the time stamp counter, CR0's caching bits and the
    /// model-specific registers stay (EFER does not). The CPU then waits for a start-up message.
    pub fn init(&mut self) {
        let control = Control {
            cr0: self.control.cr0 & CR0_CACHING | CR0_EXTENSION_TYPE,
            xcr0: self.control.xcr0,
            ..Control::default()
        };
        *self = Self {
            control,
            msrs: self.msrs,
            fpu: core::mem::take(&mut self.fpu),
            tsc: self.tsc,
            activity: Activity::WaitingForStartUp,
            ..Self::at_reset()
        };
    }

    /// What a start-up message does to a CPU that waits for it: execution begins in real mode at the start of page `vector`.
    pub fn start_up(&mut self, vector: u8) {
        self.segments.cs =
            Segment { selector: u16::from(vector) << 8, base: u64::from(vector) << 12, ..self.segments.cs };
        self.registers.rip = 0;
        self.activity = Activity::Running;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::vcpu::Event;

    /// A CPU in 64-bit mode with something in every register.
    fn busy() -> CpuState {
        let segment =
            Segment { selector: 0x10, attributes: Attributes(0xa9b), limit: u32::MAX, base: 0x1000 };
        CpuState {
            registers: Registers { general: [0x55; 16], rip: 0x1234, rflags: 0x246 },
            segments: Segments { cs: segment, ss: segment, gs: segment, tr: segment, ..SEGMENTS },
            gdtr: Table { limit: 0x7f, base: 0x1_0000 },
            idtr: Table { limit: 0xfff, base: 0x2_0000 },
            control: Control {
                cr0: 0x8005_0033,
                cr2: 7,
                cr3: 0x3000,
                cr4: 0x6f0,
                cr8: 5,
                efer: 0xd01,
                xcr0: 7,
            },
            debug: Debug { addresses: [1, 2, 3, 4], dr6: 0xffff_0ff1, dr7: 0x401 },
            msrs: Msrs { star: 1, lstar: 2, kernel_gs_base: 3, pat: 6, tsc_aux: 9, ..Msrs::default() },
            fpu: vec![0xa5; 832],
            tsc: 1 << 40,
            activity: Activity::Halted,
            interrupt_shadow: true,
            nmi_blocked: true,
            pending: Some(Event::Nmi),
        }
    }

    #[test]
    fn init_keeps_what_it_must_and_resets_the_rest() {
        let before = busy();
        let mut after = before.clone();
        after.init();
        assert_eq!((&after.fpu, after.tsc, after.msrs), (&before.fpu, before.tsc, before.msrs));
        assert_eq!(after.control, Control { cr0: 0x10, xcr0: 7, ..Control::default() }, "EFER and CR8 are 0");
        assert_eq!(after.activity, Activity::WaitingForStartUp);
        let reset = CpuState::at_reset();
        assert_eq!(
            (after.registers, after.segments, after.gdtr, after.idtr, after.debug),
            (reset.registers, reset.segments, reset.gdtr, reset.idtr, reset.debug)
        );
        assert_eq!((after.interrupt_shadow, after.nmi_blocked, after.pending), (false, false, None));
        let again = {
            let mut again = after.clone();
            again.init();
            again
        };
        assert_eq!(again, after, "a second INIT changes nothing");
    }

    #[test]
    fn init_leaves_the_caching_bits_alone() {
        for caching in [0, 1 << 30, 1 << 30 | 1 << 29] {
            let mut cpu = busy();
            cpu.control.cr0 = cpu.control.cr0 & !CR0_CACHING | caching;
            cpu.init();
            assert_eq!(cpu.control.cr0, caching | 0x10);
        }
    }

    #[test]
    fn a_start_up_message_begins_at_its_page_in_real_mode() {
        for vector in [0, 0x08, 0x9f, 0xff] {
            let mut cpu = busy();
            cpu.init();
            let waiting = cpu.clone();
            cpu.start_up(vector);
            let cs = cpu.segments.cs;
            assert_eq!(
                (cs.selector, cs.base, cs.limit),
                (u16::from(vector) << 8, u64::from(vector) << 12, 0xffff)
            );
            assert_eq!((cpu.registers.rip, cpu.activity), (0, Activity::Running));
            assert_eq!(cs.attributes, Attributes(0x9b));
            cpu.segments.cs = waiting.segments.cs;
            cpu.registers.rip = waiting.registers.rip;
            cpu.activity = waiting.activity;
            assert_eq!(cpu, waiting, "nothing else changes");
        }
    }

    #[test]
    fn reset_begins_below_4_gib() {
        let cpu = CpuState::at_reset();
        assert_eq!(cpu.segments.cs.base + cpu.registers.rip, 0xffff_fff0);
        assert_eq!((cpu.control.cr0, cpu.control.xcr0, cpu.registers.rflags), (0x6000_0010, 1, 2));
        assert_eq!((cpu.activity, cpu.tsc), (Activity::Running, 0));
    }
}
