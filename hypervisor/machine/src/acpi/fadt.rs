//! The fixed ACPI description table: power management registers (ACPI 6.5, 5.2.9, table 5.9).

use alloc::format;

use super::{
    notes::Notes,
    register::Register,
    table::{Table, u8_or_zero, u32_or_zero, u64_or_zero},
};

/// Offsets of the fields that are read.
mod offset {
    pub(super) const DSDT: usize = 40;
    pub(super) const SMI_CMD: usize = 48;
    pub(super) const ACPI_ENABLE: usize = 52;
    pub(super) const PM1A_EVT_BLK: usize = 56;
    pub(super) const PM1B_EVT_BLK: usize = 60;
    pub(super) const PM1A_CNT_BLK: usize = 64;
    pub(super) const PM1B_CNT_BLK: usize = 68;
    pub(super) const PM_TMR_BLK: usize = 76;
    pub(super) const PM_TMR_LEN: usize = 91;
    pub(super) const FLAGS: usize = 112;
    pub(super) const RESET_REG: usize = 116;
    pub(super) const RESET_VALUE: usize = 128;
    pub(super) const X_DSDT: usize = 140;
    pub(super) const X_PM1A_EVT_BLK: usize = 148;
    pub(super) const X_PM1B_EVT_BLK: usize = 160;
    pub(super) const X_PM1A_CNT_BLK: usize = 172;
    pub(super) const X_PM1B_CNT_BLK: usize = 184;
    pub(super) const X_PM_TMR_BLK: usize = 208;
    pub(super) const SLEEP_CONTROL_REG: usize = 244;
}

/// Bits of the flags field (table 5.10).
mod flag {
    pub(super) const TMR_VAL_EXT: u32 = 1 << 8;
    pub(super) const RESET_REG_SUP: u32 = 1 << 10;
    pub(super) const HW_REDUCED_ACPI: u32 = 1 << 20;
}

/// The power management timer: counts up at 3.579545 MHz (4.8.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    /// Its 32-bit register.
    pub register: Register,
    /// How many bits count, 24 or 32; those above read as zero.
    pub bits: u8,
}

impl PmTimer {
    /// Its frequency in Hz, on every machine.
    pub const FREQUENCY_HZ: u64 = 3_579_545;
}

/// How to reset the machine (4.8.3.6): write `value` to the 8-bit register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reset {
    /// Where to write.
    pub register: Register,
    /// What to write.
    pub value: u8,
}

/// How to take the power management registers over from the firmware (4.8.2.5): write `value` to `port`, then
/// wait until bit 0 (SCI_EN) of PM1 control is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcpiEnable {
    /// SMI command port.
    pub port: u16,
    /// What to write there, one byte.
    pub value: u8,
}

/// A register that may exist in two blocks, whose bits are to be taken together (4.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pm1 {
    /// Block a.
    pub a: Register,
    /// Block b.
    pub b: Option<Register>,
}

/// What the table says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fadt {
    /// Address of the DSDT.
    pub(crate) dsdt: Option<u64>,
    /// PM1 status registers, 16 bits each; the event block's first half.
    pub(crate) pm1_status: Option<Pm1>,
    /// PM1 control registers, 16 bits each.
    pub(crate) pm1_control: Option<Pm1>,
    /// What stands in for PM1 control on hardware-reduced machines, 8 bits.
    pub(crate) sleep_control: Option<Register>,
    pub(crate) enable: Option<AcpiEnable>,
    pub(crate) pm_timer: Option<PmTimer>,
    pub(crate) reset: Option<Reset>,
}

/// Reads the whole table. Fields beyond the end of an older, shorter revision count as absent.
pub(crate) fn parse(table: &Table, notes: &mut Notes) -> Fadt {
    let flags = u32_or_zero(table, offset::FLAGS);
    let hardware_reduced = flags & flag::HW_REDUCED_ACPI != 0;
    let mut reader = Reader { table, notes };
    let mut fadt = Fadt {
        dsdt: reader.dsdt(),
        pm1_status: None,
        pm1_control: None,
        sleep_control: None,
        enable: None,
        pm_timer: None,
        reset: None,
    };
    if flags & flag::RESET_REG_SUP != 0 {
        fadt.reset = reader
            .generic("RESET_REG", offset::RESET_REG)
            .map(|register| Reset { register, value: u8_or_zero(table, offset::RESET_VALUE) });
    }
    if hardware_reduced {
        // 4.1: the fields of the fixed hardware are to be ignored.
        fadt.sleep_control = reader.generic("SLEEP_CONTROL_REG", offset::SLEEP_CONTROL_REG);
        return fadt;
    }
    fadt.pm1_status = reader.pm1(
        ["PM1a_EVT_BLK", "PM1b_EVT_BLK"],
        [offset::X_PM1A_EVT_BLK, offset::X_PM1B_EVT_BLK],
        [offset::PM1A_EVT_BLK, offset::PM1B_EVT_BLK],
    );
    fadt.pm1_control = reader.pm1(
        ["PM1a_CNT_BLK", "PM1b_CNT_BLK"],
        [offset::X_PM1A_CNT_BLK, offset::X_PM1B_CNT_BLK],
        [offset::PM1A_CNT_BLK, offset::PM1B_CNT_BLK],
    );
    fadt.enable = reader.enable();
    fadt.pm_timer = reader.pm_timer(if flags & flag::TMR_VAL_EXT != 0 { 32 } else { 24 });
    fadt
}

struct Reader<'a> {
    table: &'a Table,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    /// X_DSDT where it is not zero, else DSDT.
    fn dsdt(&self) -> Option<u64> {
        [u64_or_zero(self.table, offset::X_DSDT), u32_or_zero(self.table, offset::DSDT).into()]
            .into_iter()
            .find(|&address| address != 0)
    }

    /// The register of the generic address structure at `at`.
    fn generic(&mut self, name: &str, at: usize) -> Option<Register> {
        match Register::from_generic(&self.table.bytes, at) {
            Ok(register) => register,
            Err(place) => {
                self.unknown(name, place.space, place.address);
                None
            }
        }
    }

    /// The register of the extended field at `extended_at` where there is one, else of the port field at
    /// `port_at`.
    fn block(&mut self, name: &str, extended_at: usize, port_at: usize) -> Option<Register> {
        let extended = self.generic(name, extended_at);
        extended.or_else(|| match Register::from_port(u32_or_zero(self.table, port_at)) {
            Ok(register) => register,
            Err(place) => {
                self.unknown(name, place.space, place.address);
                None
            }
        })
    }

    fn pm1(&mut self, names: [&str; 2], extended_at: [usize; 2], port_at: [usize; 2]) -> Option<Pm1> {
        let a = self.block(names[0], extended_at[0], port_at[0])?;
        Some(Pm1 { a, b: self.block(names[1], extended_at[1], port_at[1]) })
    }

    /// SMI_CMD is 0 where the machine is always in ACPI mode.
    fn enable(&mut self) -> Option<AcpiEnable> {
        let value = u8_or_zero(self.table, offset::ACPI_ENABLE);
        match Register::from_port(u32_or_zero(self.table, offset::SMI_CMD)) {
            Ok(Some(Register::Port(port))) if value != 0 => Some(AcpiEnable { port, value }),
            Ok(_) => None,
            Err(place) => {
                self.unknown("SMI_CMD", place.space, place.address);
                None
            }
        }
    }

    /// PM_TMR_LEN is 4 where there is a timer.
    fn pm_timer(&mut self, bits: u8) -> Option<PmTimer> {
        if u8_or_zero(self.table, offset::PM_TMR_LEN) != 4 {
            return None;
        }
        let register = self.block("PM_TMR_BLK", offset::X_PM_TMR_BLK, offset::PM_TMR_BLK)?;
        Some(PmTimer { register, bits })
    }

    fn unknown(&mut self, name: &str, space: u8, address: u64) {
        self.notes.add(|| {
            format!("ACPI FADT: {name} lies at {address:#x} of address space {space}, out of reach; left out")
        });
    }
}
