//! The state of a virtual CPU that comes from another host, and what a guest asks of its processor.

use godwit_guest::{
    baseline::{Baseline, CpuidContext},
    cpu::{Attributes, CpuState},
    msr_policy::MsrPolicy,
    vcpu::Event,
};
use godwit_machine::{
    features::Processor,
    virtual_cpu::{
        extended_state::{Area, Format},
        limits::{self, Limits},
        reset,
    },
};
use raw_cpuid::CpuIdResult;

use crate::{Input, Kind, Script, Target};

/// States of virtual CPUs, CPUID leaves and model-specific registers, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "cpu-state", kind: Kind::Guest, run, corpus, max_bytes: 1024, executions: 500_000 };

/// A processor with AVX in XSAVE's standard format.
struct Emulated;

impl Processor for Emulated {
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuIdResult {
        let (eax, ebx, ecx, edx) = match (leaf, subleaf) {
            (0, _) => (0xd, 0, 0, 0),
            (1, _) => (0, 0, 1 << 26 | 1 << 17, 0),
            (7, 0) => (0, 1 << 7 | 1 << 20 | 1, 1 << 2, 0),
            (0xd, 0) => (7, 0x340, 0x340, 0),
            (0xd, 2) => (0x100, 0x240, 0, 0),
            (0x8000_0001, _) => (0, 0, 0, 1 << 27 | 1 << 20 | 1 << 11 | 1 << 29),
            _ => (0, 0, 0, 0),
        };
        CpuIdResult { eax, ebx, ecx, edx }
    }

    fn read_msr(&self, _: u32) -> Option<u64> {
        None
    }
}

fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.below(4) {
        0 => ask(&mut input),
        1 => {
            if let Ok(state) = postcard::from_bytes::<CpuState>(input.rest()) {
                check(&state, true);
            }
        }
        _ => {
            let xsave = input.flag();
            let mut state = reset::state(&Format::read(&Emulated, xsave, 0));
            for _ in 0..=input.below(12) {
                change(&mut state, &mut input);
            }
            check(&state, xsave);
        }
    }
}

fn change(state: &mut CpuState, input: &mut Input<'_>) {
    let choice = input.below(16);
    let which = input.below(16);
    let value = input.number();
    match choice {
        0 => state.registers.general[which] = value,
        1 => state.registers.rip = value,
        2 => state.registers.rflags ^= value,
        3 => state.control.cr0 ^= value,
        4 => state.control.cr3 = value,
        5 => state.control.cr4 ^= value,
        6 => state.control.efer ^= value,
        7 => (state.control.cr8, state.control.xcr0) = (which as u8 * 2, value),
        8 => {
            let segment = match which % 4 {
                0 => &mut state.segments.cs,
                1 => &mut state.segments.ss,
                2 => &mut state.segments.tr,
                _ => &mut state.segments.fs,
            };
            segment.base = value;
            segment.attributes = Attributes::from_bits_retain(input.number() as u16);
        }
        9 => match which % 4 {
            0 => state.gdtr.base = value,
            1 => state.idtr.base = value,
            2 => state.debug.dr6 = value,
            _ => state.debug.dr7 = value,
        },
        10 => match which % 8 {
            0 => state.msrs.lstar = value,
            1 => state.msrs.pat = value,
            2 => state.msrs.tsc_aux = value,
            3 => state.msrs.debug_control = value,
            4 => state.msrs.kernel_gs_base = value,
            5 => state.msrs.sysenter_eip = value,
            6 => state.msrs.star = value,
            _ => state.msrs.cstar = value,
        },
        11 => state.fpu.resize(value.min(5000) as usize, 0),
        12 | 13 => {
            let places = [24, 28, 512, 513, 520, 528, 0, 575];
            let at = places.get(which).copied().unwrap_or(value as usize % 1024);
            if let Some(byte) = state.fpu.get_mut(at) {
                *byte ^= value as u8;
            }
        }
        _ => {
            let error_code = (which & 1 != 0).then_some(value as u32);
            state.pending = Some(match which / 2 {
                0 => Event::Interrupt { vector: value as u8 },
                1 => Event::Nmi,
                2 => Event::Software { vector: value as u8 },
                _ => Event::Exception { vector: value as u8, error_code },
            });
        }
    }
}

/// What is taken is what a processor takes, by a reading of its own; its FPU area comes back as it went in.
fn check(state: &CpuState, xsave: bool) {
    let format = Format::read(&Emulated, xsave, 0);
    let limits = Limits::read(&Emulated, 40);
    let _ = limits::check_baseline(Baseline::DEFAULT, state);
    if limits.check(state, &format).is_err() {
        return;
    }
    let control = &state.control;
    let is_canonical = |address: u64| (address as i64) << 16 >> 16 == address as i64;
    let long = control.efer & 1 << 8 != 0 && control.cr0 >> 31 & 1 != 0;
    assert_eq!(control.efer >> 10 & 1 != 0, long, "LMA");
    assert!(control.cr0 >> 32 == 0 && control.cr0 >> 31 <= control.cr0 & 1, "CR0");
    assert!(control.cr3 >> 40 == 0 && control.efer >> 12 & 1 == 0 && control.cr8 < 16);
    assert!(is_canonical(state.registers.rip) && is_canonical(state.msrs.lstar));
    assert!(
        [&state.segments.cs, &state.segments.tr, &state.segments.gs].iter().all(|s| is_canonical(s.base))
    );
    assert!(control.xcr0 & 1 != 0 && control.xcr0 & !format.components() == 0, "XCR0");
    assert!((576..=4096).contains(&state.fpu.len()));
    assert!(state.fpu[520..576].iter().all(|byte| *byte == 0), "XCOMP_BV and what is reserved");
    let mut area = Area::at_reset();
    area.set_bytes(&format, &state.fpu);
    let stored = area.to_bytes(&format, control.xcr0);
    assert_eq!(format.check(&stored), Ok(()), "what was taken can be taken again");
    let mut again = Area::at_reset();
    again.set_bytes(&format, &stored);
    assert_eq!(again.to_bytes(&format, control.xcr0), stored, "and is the same");
    for value in [0, 1 << 8, control.efer, u64::MAX] {
        if let Some(efer) = limits.efer_after_write(control, value) {
            assert_eq!((efer ^ control.efer) >> 10 & 1, 0, "LMA is the processor's to change");
        }
    }
}

/// CPUID and model-specific registers, by a guest.
fn ask(input: &mut Input<'_>) {
    let mut policy = MsrPolicy::new();
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        let number = input.number() as u32;
        match input.below(3) {
            0 => _ = policy.read(number),
            1 => _ = policy.write(number, input.number()),
            _ => {
                let cpu = CpuidContext {
                    apic_id: u32::from(input.byte()),
                    cpus: u32::from(input.byte()),
                    cr4: input.number(),
                    xcr0: input.number(),
                };
                let subleaf = input.number() as u32;
                let answer = Baseline::DEFAULT.answer(number, subleaf, &cpu);
                assert_eq!(answer, Baseline::DEFAULT.answer(number, subleaf, &cpu));
            }
        }
        assert!(policy.counters().len() <= 64, "what a guest can fill is bounded");
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let state = reset::state(&Format::read(&Emulated, true, 0));
    let encoded = postcard::to_allocvec(&state).unwrap_or_default();
    let change =
        |script: Script, choice: u8, which: u8, value: u64| script.byte(choice).byte(which).number(value);
    // Long mode: CR4.PAE, EFER, CR0.
    let long = change(Script::new().byte(2).byte(1).byte(4), 5, 0, 1 << 5);
    let long = change(change(long, 6, 0, 0x500), 3, 0, 1 << 31 | 1);
    let long = change(change(long, 7, 0, 7), 12, 2, 4).end();
    let mut asked = Script::new().byte(0);
    for leaf in [0, 1, 7, 0xb, 0xd, 0x4000_0000, 0x8000_0001, 0x8000_0008] {
        asked = asked.number(leaf).byte(2).byte(1).byte(4).number(1 << 18).number(7).number(1);
    }
    for msr in [0x10, 0x1b, 0x8b, 0x174, 0xc001_0015, 0x277, 0xffff_ffff] {
        asked = asked.number(msr).byte(0).number(msr).byte(1).number(1);
    }
    vec![Script::new().byte(1).bytes(&encoded).end(), long, asked.end()]
}
