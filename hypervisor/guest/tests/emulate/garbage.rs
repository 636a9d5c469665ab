//! Whatever the guest's code, registers, segments and tables are: an answer, never a panic, and RIP tells the truth.

use godwit_guest::{
    cpu::Attributes,
    emulate::{self, EmulateError, Emulated},
    vcpu::{Exit, Reason},
};
use proptest::{collection::vec, prelude::*};

use crate::fake::{CODE, DEVICE, Devices, FAULT, FakeCpu, Memory};

/// Any CPU: random registers and segments, with paging through tables that are random themselves or an identity map.
pub(crate) fn any_cpu() -> impl Strategy<Value = FakeCpu> {
    let segment = (any::<u32>(), any::<u16>(), any::<bool>());
    let register = prop_oneof![any::<u64>(), 0..1u64 << 21, DEVICE - 8..DEVICE + 0x1010];
    (vec(register, 16), any::<u64>(), vec(segment, 6), 0..4u8, any::<u64>()).prop_map(
        |(general, rflags, segments, mode, cr4)| {
            let mut cpu = match mode {
                0 => FakeCpu::real(),
                1 => FakeCpu::protected(),
                _ => FakeCpu::long(),
            };
            cpu.registers.general.copy_from_slice(&general);
            cpu.registers.rflags = rflags;
            cpu.system.control.cr4 |= cr4;
            if mode == 3 {
                cpu.system.control.cr3 = cr4 & 0xf_f000;
            }
            let all = &mut cpu.system.segments;
            let changed = [&mut all.es, &mut all.ds, &mut all.ss, &mut all.fs, &mut all.gs];
            for (segment, (limit, attributes, change)) in changed.into_iter().zip(segments) {
                if change {
                    segment.limit = limit;
                    segment.base = u64::from(limit) << 16;
                    segment.attributes = Attributes::from_bits_retain(attributes);
                }
            }
            cpu
        },
    )
}

/// Code that is likely to mean something: a prefix or two, an opcode of interest, anything behind.
fn any_code() -> impl Strategy<Value = Vec<u8>> {
    let prefix =
        proptest::sample::select(&[0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x64, 0x48, 0x4f][..]);
    let opcode = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        any::<u8>().prop_map(|byte| vec![0x0f, byte]),
        any::<u8>().prop_map(|byte| vec![0xa4 | byte & 0xf]),
        any::<u8>().prop_map(|byte| vec![0x6c | byte & 3]),
    ];
    (vec(prefix, 0..3), opcode, vec(any::<u8>(), 0..12))
        .prop_map(|(prefixes, opcode, rest)| [prefixes, opcode, rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_code_ends_in_one_of_the_ways(cpu in any_cpu(), code in any_code(), given: bool, port: bool) {
        let mut cpu = cpu;
        let memory = Memory::identity();
        memory.put(CODE, &code);
        memory.put(0x1_0000, &code.repeat(64));
        let mut devices = Devices::default();
        let string = Reason::Port { port: 0x3f8, bytes: 1, input: true, string: true };
        let exit = Exit {
            reason: if port { string } else { Reason::NestedFault(FAULT) },
            next_rip: None,
            instruction: given.then(|| code.iter().copied().take(15).collect()),
        };
        let before = cpu.registers;
        let ended = if port {
            emulate::string_port(&mut cpu, &memory, &exit, &mut devices)
        } else {
            emulate::mmio(&mut cpu, &memory, &exit, &FAULT, &mut devices)
        };
        match ended {
            Ok(Emulated::Done) => {
                let length = cpu.registers.rip.wrapping_sub(before.rip);
                prop_assert!((1..=15).contains(&length), "{} bytes", length);
                prop_assert_eq!(cpu.pending, None);
            }
            Ok(Emulated::Again) => prop_assert_eq!(cpu.registers.rip, before.rip),
            Ok(Emulated::Faulted(fault)) => {
                prop_assert_eq!(cpu.registers.rip, before.rip);
                prop_assert_eq!((Some(fault.event), fault.cr2), (cpu.pending, cpu.cr2));
            }
            Err(EmulateError::Unsupported { .. } | EmulateError::Undecodable { .. }) => {
                prop_assert_eq!(cpu.registers, before);
                prop_assert_eq!(cpu.pending, None);
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
        prop_assert!(devices.asked.len() <= 64 * 16, "the work is bounded");
    }
}
