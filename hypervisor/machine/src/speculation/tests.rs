//! What is chosen on processors that no emulator makes.

use super::{Mitigations, spec_ctrl};
use crate::virtual_cpu::tests::Leaves;

const AMD: [u32; 3] = [0x6874_7541, 0x444d_4163, 0x6974_6e65];
const INTEL: [u32; 3] = [0x756e_6547, 0x6c65_746e, 0x4965_6e69];

/// An AMD processor by the three words that count: Fn8000_0008_EBX, Fn8000_0021_EAX and ECX.
fn amd(controls: u32, more: u32, immunities: u32) -> Mitigations {
    let [ebx, ecx, edx] = AMD;
    let leaves = Leaves::default()
        .leaf(0, 0, [0x10, ebx, ecx, edx])
        .leaf(0x8000_0000, 0, [0x8000_0028, 0, 0, 0])
        .leaf(0x8000_0008, 0, [0, controls, 0, 0])
        .leaf(0x8000_0021, 0, [more, 0, immunities, 0]);
    Mitigations::choose(&leaves)
}

/// An Intel processor by leaf 7 EDX and IA32_ARCH_CAPABILITIES.
fn intel(controls: u32, capabilities: u64) -> Mitigations {
    let [ebx, ecx, edx] = INTEL;
    let leaves = Leaves::default()
        .leaf(0, 0, [0x16, ebx, ecx, edx])
        .leaf(7, 0, [0, 0, 0, controls])
        .msr(0x10a, capabilities);
    Mitigations::choose(&leaves)
}

#[test]
fn a_processor_that_names_nothing_still_fills_its_return_stack() {
    let nothing = amd(0, 0, 0);
    assert_eq!(nothing, Mitigations { fill_return_stack: true, ..Mitigations::default() });
    assert_eq!(nothing.names(), ["return stack fill at exits"]);
    let unknown = Mitigations::choose(&Leaves::default());
    assert_eq!(unknown, nothing);
}

#[test]
fn automatic_ibrs_empties_the_return_stack_and_needs_no_ibrs() {
    let zen_4 = amd(1 << 12 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 24, 1 << 8, 0);
    assert_eq!(
        zen_4,
        Mitigations {
            automatic_ibrs: true,
            spec_ctrl: Some(spec_ctrl::STIBP),
            branch_barrier: true,
            ..Mitigations::default()
        }
    );
    assert_eq!(zen_4.names(), ["automatic IBRS", "STIBP", "IBPB between guests"]);
}

#[test]
fn ibrs_is_set_once_where_it_may_stay_on_and_not_at_all_elsewhere() {
    assert_eq!(amd(1 << 14 | 1 << 16, 0, 0).spec_ctrl, Some(spec_ctrl::IBRS));
    assert_eq!(amd(1 << 14, 0, 0).spec_ctrl, Some(0), "what firmware left is cleared");
    assert_eq!(amd(1 << 16, 0, 0).spec_ctrl, None, "no bit of the register is there");
    assert_eq!(amd(1 << 24, 0, 0).spec_ctrl, Some(0), "SSBD alone means the register");
    assert_eq!(amd(1 << 15, 0, 0).spec_ctrl, Some(spec_ctrl::STIBP));
}

#[test]
fn each_bit_stands_for_itself() {
    assert!(amd(1 << 12, 0, 0).branch_barrier);
    assert!(!amd(!(1 << 12), 0, 0).branch_barrier);
    assert!(!amd(0, !(1 << 8), 0).automatic_ibrs);
}

#[test]
fn buffers_are_cleared_where_verw_does_it_and_one_of_them_is_open() {
    assert!(amd(0, 1 << 5, 0).clear_buffers);
    assert!(amd(0, 1 << 5, 1 << 1).clear_buffers, "TSA_SQ_NO alone");
    assert!(amd(0, 1 << 5, 1 << 2).clear_buffers, "TSA_L1_NO alone");
    assert!(!amd(0, 1 << 5, 0b110).clear_buffers);
    assert!(!amd(u32::MAX, !(1 << 5), 0).clear_buffers, "old microcode: VERW clears nothing");
    assert_eq!(amd(0, 1 << 5, 0).names(), ["VERW at entries", "return stack fill at exits"]);
}

#[test]
fn leaves_beyond_the_last_do_not_count() {
    let [ebx, ecx, edx] = AMD;
    let leaves = Leaves::default()
        .leaf(0, 0, [0x10, ebx, ecx, edx])
        .leaf(0x8000_0000, 0, [0x8000_0007, 0, 0, 0])
        .leaf(0x8000_0008, 0, [0, u32::MAX, 0, 0])
        .leaf(0x8000_0021, 0, [u32::MAX, 0, 0, 0]);
    assert_eq!(Mitigations::choose(&leaves), amd(0, 0, 0));
}

#[test]
fn intel_flushes_the_first_level_cache_only_where_it_leaks() {
    let l1tf = intel(1 << 10 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 29, 0);
    assert!(l1tf.flush_l1_data && l1tf.clear_buffers && l1tf.branch_barrier && l1tf.fill_return_stack);
    assert_eq!(l1tf.spec_ctrl, Some(spec_ctrl::STIBP), "IBRS there has to be written at each exit");
    assert!(!intel(1 << 28 | 1 << 29, 1 << 0).flush_l1_data, "RDCL_NO");
    assert!(!intel(1 << 28 | 1 << 29, 1 << 3).flush_l1_data, "SKIP_L1DFL_VMENTRY");
    assert!(intel(1 << 28, u64::MAX).flush_l1_data, "without bit 29 there is no register that could say no");
    assert_eq!(intel(1 << 26 | 1 << 29, 1 << 1).spec_ctrl, Some(spec_ctrl::IBRS));
}
