//! Power management registers.

use super::{super::fadt::Fadt, *};

/// A table of 276 bytes to be filled in by offset, as the specification numbers them.
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn new() -> Self {
        Self(vec![0; 276 - 36])
    }

    fn put<const N: usize>(mut self, offset: usize, bytes: [u8; N]) -> Self {
        self.0[offset - 36..offset - 36 + N].copy_from_slice(&bytes);
        self
    }

    fn u32(self, offset: usize, value: u32) -> Self {
        self.put(offset, value.to_le_bytes())
    }

    fn generic(self, offset: usize, space: u8, address: u64) -> Self {
        self.put(offset, [space, 8, 0, 1]).put(offset + 4, address.to_le_bytes())
    }

    fn parse(self) -> (Fadt, Vec<String>) {
        with_notes(|notes| crate::acpi::fadt::parse(&parsed(b"FACP", &self.0), notes))
    }
}

fn typical(dsdt: u64) -> Body {
    Body::new()
        .u32(40, dsdt as u32)
        .u32(48, 0xb2)
        .put(52, [2])
        .u32(56, 0x600)
        .u32(64, 0x604)
        .u32(76, 0x608)
        .put(91, [4])
        .u32(112, 1 << 10)
        .generic(116, 1, 0xcf9)
        .put(128, [0x0f])
}

/// What a PC's firmware says.
pub(super) fn pc(dsdt: u64) -> Vec<u8> {
    typical(dsdt).0
}

#[test]
fn the_fields_of_a_pc_are_read() {
    let (fadt, notes) = typical(DSDT).parse();
    assert_eq!(notes, [""; 0]);
    assert_eq!(fadt.dsdt, Some(DSDT));
    assert_eq!(fadt.pm1_status, Some(Pm1 { a: Register::Port(0x600), b: None }));
    assert_eq!(fadt.pm1_control, Some(Pm1 { a: Register::Port(0x604), b: None }));
    assert_eq!(fadt.enable, Some(AcpiEnable { port: 0xb2, value: 2 }));
    assert_eq!(fadt.pm_timer, Some(PmTimer { register: Register::Port(0x608), bits: 24 }));
    assert_eq!(fadt.reset, Some(Reset { register: Register::Port(0xcf9), value: 0x0f }));
}

#[test]
fn extended_fields_count_where_they_are_not_zero() {
    let extended = typical(DSDT)
        .put(140, 0x1_2345_6000_u64.to_le_bytes())
        .generic(172, 1, 0x804)
        .generic(184, 0, 0xfed0_0000)
        .generic(208, 0, 0xfed8_0808)
        .u32(112, 1 << 8);
    let (fadt, notes) = extended.parse();
    assert_eq!(fadt.dsdt, Some(0x1_2345_6000));
    let b = Some(Register::Memory(0xfed0_0000));
    assert_eq!(fadt.pm1_control, Some(Pm1 { a: Register::Port(0x804), b }));
    assert_eq!(fadt.pm1_status, Some(Pm1 { a: Register::Port(0x600), b: None }));
    assert_eq!(fadt.pm_timer, Some(PmTimer { register: Register::Memory(0xfed8_0808), bits: 32 }));
    assert_eq!((fadt.reset, notes), (None, vec![]));
}

#[test]
fn an_extended_field_out_of_reach_leaves_the_plain_one() {
    let (fadt, notes) = typical(DSDT).generic(172, 0x7f, 1).parse();
    assert_eq!(fadt.pm1_control, Some(Pm1 { a: Register::Port(0x604), b: None }));
    assert_eq!(notes, ["ACPI FADT: PM1a_CNT_BLK lies at 0x1 of address space 127, out of reach; left out"]);
}

#[test]
fn addresses_that_cannot_be_are_out_of_reach() {
    let (fadt, notes) = typical(DSDT)
        .generic(116, 1, 0x1_0000)
        .u32(48, 0x1_0000)
        .u32(76, 0x1_0608)
        .generic(148, 0, 1 << 52)
        .u32(56, 0)
        .parse();
    assert_eq!((fadt.reset, fadt.enable, fadt.pm_timer, fadt.pm1_status), (None, None, None, None));
    assert_eq!(notes.len(), 4, "{notes:?}");
}

#[test]
fn a_reset_register_may_lie_in_configuration_space() {
    let at = |address| typical(DSDT).generic(116, 2, address).parse().0.reset.map(|reset| reset.register);
    assert_eq!(at(0x1f_0003_0ac8), Some(Register::PciConfig { device: 31, function: 3, offset: 0xac8 }));
    assert_eq!((at(0x20_0000_0000), at(0x8_0000), at(0x1000), at(1 << 48)), (None, None, None, None));
}

#[test]
fn a_hardware_reduced_machine_has_its_own_register() {
    let (fadt, notes) = typical(DSDT).u32(112, 1 << 20 | 1 << 10).generic(244, 0, 0xfed1_0000).parse();
    assert_eq!((fadt.pm1_control, fadt.pm1_status, fadt.enable, fadt.pm_timer), (None, None, None, None));
    assert_eq!(fadt.sleep_control, Some(Register::Memory(0xfed1_0000)));
    assert!(fadt.reset.is_some() && notes.is_empty());

    let memory =
        machine().with(FADT, table(b"FACP", &typical(DSDT).u32(112, 1 << 20).generic(244, 1, 0x600).0));
    let power_off = PowerOff::SleepControl { register: Register::Port(0x600), sleep_type: 5 };
    assert_eq!(read(&memory).power_off, Some(power_off));
}

#[test]
fn a_table_of_acpi_1_ends_before_the_extended_fields() {
    let short = typical(DSDT).0[..116 - 36].to_vec();
    let (fadt, notes) = with_notes(|notes| crate::acpi::fadt::parse(&parsed(b"FACP", &short), notes));
    assert_eq!(fadt.pm1_control, Some(Pm1 { a: Register::Port(0x604), b: None }));
    assert_eq!((fadt.pm_timer.map(|timer| timer.bits), fadt.reset, notes), (Some(24), None, vec![]));
}

#[test]
fn a_machine_always_in_acpi_mode_needs_no_command() {
    assert_eq!(typical(DSDT).u32(48, 0).parse().0.enable, None);
    assert_eq!(typical(DSDT).put(52, [0]).parse().0.enable, None);
}

#[test]
fn a_timer_needs_its_length() {
    assert_eq!(typical(DSDT).put(91, [0]).parse().0.pm_timer, None);
}

#[test]
fn no_register_to_switch_off_by_is_noted() {
    let memory = machine().with(FADT, table(b"FACP", &typical(DSDT).u32(64, 0).0));
    assert_eq!(the_note(&memory), "ACPI FADT: names no register to switch the machine off by");
    let memory = machine().with(FADT, table(b"FACP", &typical(0).0));
    assert_eq!(the_note(&memory), "ACPI FADT: names no DSDT");
    assert!(read(&memory).power_off.is_some());
}
