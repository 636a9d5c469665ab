//! The multiple APIC description table: processors and interrupt controllers (ACPI 6.5, 5.2.12).

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    notes::Notes,
    table::{Table, u32_or_zero},
};
use crate::{
    fields::{u8_at, u16_at, u32_at, u64_at},
    physical::PHYSICAL_END,
};

/// Where the local APIC lies unless someone moved it (SDM volume 3, 11.4.1).
pub const DEFAULT_LOCAL_APIC_ADDRESS: u64 = 0xfee0_0000;
/// Offset of the 32-bit local APIC address (table 5.19).
const LOCAL_APIC_ADDRESS: usize = 36;
/// Offset of the flags; bit 0, PCAT_COMPAT, says that there are two 8259s to mask (table 5.20).
const FLAGS: usize = 40;
/// Offset of the first entry.
const ENTRIES: usize = 44;
/// Entries of one kind that are kept; no machine has so many.
const MAX_LISTED: usize = 4096;
/// What the firmware says of a processor (table 5.23).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuStatus {
    /// Ready for use.
    Enabled,
    /// Absent now; could be added while the machine runs.
    OnlineCapable,
    /// Not for use.
    Disabled,
}

/// One processor that the firmware lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedCpu {
    /// Local APIC id (x2APIC id where it is above 254).
    pub apic_id: u32,
    /// ACPI processor UID.
    pub uid: u32,
    /// Whether it may be used.
    pub status: CpuStatus,
}

/// One I/O APIC (table 5.24).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// Its id.
    pub id: u8,
    /// Physical address of its registers.
    pub address: u64,
    /// The first global system interrupt it takes.
    pub gsi_base: u32,
}

/// How an interrupt line signals (MPS INTI flags, table 5.26), "conforms to the bus" already resolved for
/// ISA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signalling {
    /// Active low instead of active high.
    pub active_low: bool,
    /// Level-triggered instead of edge-triggered.
    pub level: bool,
}

/// An ISA interrupt that arrives elsewhere or otherwise than the ISA bus says (table 5.25).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterruptOverride {
    /// ISA interrupt number, 0 to 15.
    pub isa_irq: u8,
    /// The global system interrupt it arrives at.
    pub gsi: u32,
    /// How it signals.
    pub signalling: Signalling,
}

/// An I/O APIC input that is wired to NMI (table 5.27).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NmiSource {
    /// Its global system interrupt.
    pub gsi: u32,
    /// How it signals.
    pub signalling: Signalling,
}

/// A local APIC input that is wired to NMI (tables 5.28 and 5.34).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalNmi {
    /// The processor's ACPI UID, or `None` for all of them.
    pub uid: Option<u32>,
    /// The input, LINT0 or LINT1.
    pub lint: u8,
    /// How it signals.
    pub signalling: Signalling,
}

/// What the table says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Madt {
    pub(crate) cpus: Vec<ListedCpu>,
    pub(crate) io_apics: Vec<IoApic>,
    pub(crate) overrides: Vec<InterruptOverride>,
    pub(crate) nmi_sources: Vec<NmiSource>,
    pub(crate) local_nmis: Vec<LocalNmi>,
    pub(crate) local_apic_address: u64,
    pub(crate) has_8259: bool,
}

/// Reads the whole table; entries that are wrong leave a note and the rest counts.
pub(crate) fn parse(table: &Table, notes: &mut Notes) -> Madt {
    let madt = Madt {
        cpus: Vec::new(),
        io_apics: Vec::new(),
        overrides: Vec::new(),
        nmi_sources: Vec::new(),
        local_nmis: Vec::new(),
        local_apic_address: DEFAULT_LOCAL_APIC_ADDRESS,
        has_8259: u32_or_zero(table, FLAGS) & 1 != 0,
    };
    let mut reader = Reader { madt, index_of: BTreeMap::new(), left_out: 0, notes };
    reader.set_local_apic_address(u32_or_zero(table, LOCAL_APIC_ADDRESS).into());
    let mut rest = table.bytes.get(ENTRIES..).unwrap_or_default();
    // Each turn takes at least the two bytes of an entry's type and length.
    while let (Some(kind), Some(length)) = (u8_at(rest, 0), u8_at(rest, 1)) {
        let (true, Some((entry, after))) = (length >= 2, rest.split_at_checked(length.into())) else {
            let at = table.bytes.len() - rest.len();
            reader.notes.add(|| {
                format!("ACPI MADT: the entry at offset {at} has length {length}; it and what follows are left out")
            });
            break;
        };
        if reader.entry(kind, entry).is_none() {
            reader.notes.add(|| format!("ACPI MADT: an entry of type {kind} makes no sense; left out"));
        }
        rest = after;
    }
    if reader.left_out > 0 {
        let left_out = reader.left_out;
        reader
            .notes
            .add(|| format!("ACPI MADT: {left_out} entries beyond {MAX_LISTED} of a kind were left out"));
    }
    reader.madt
}

struct Reader<'a> {
    madt: Madt,
    /// Place in `madt.cpus` by APIC id.
    index_of: BTreeMap<u32, usize>,
    left_out: usize,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    /// Takes one entry in; `None` where it is too short for its type or holds what cannot be.
    fn entry(&mut self, kind: u8, entry: &[u8]) -> Option<()> {
        match kind {
            // 5.2.12.2: processor local APIC. Id 255 is the broadcast: a placeholder.
            0 => {
                let (uid, id, flags) = (u8_at(entry, 2)?, u8_at(entry, 3)?, u32_at(entry, 4)?);
                if id != u8::MAX {
                    self.cpu(id.into(), uid.into(), flags);
                }
            }
            // 5.2.12.3: I/O APIC.
            1 => {
                let (id, address, gsi_base) = (u8_at(entry, 2)?, u32_at(entry, 4)?.into(), u32_at(entry, 8)?);
                if address == 0 {
                    return None;
                }
                if self.madt.io_apics.iter().all(|known| known.address != address) {
                    push(&mut self.madt.io_apics, IoApic { id, address, gsi_base }, &mut self.left_out);
                }
            }
            // 5.2.12.5: interrupt source override. Bus 0 is ISA, the only one.
            2 => {
                let (bus, isa_irq) = (u8_at(entry, 2)?, u8_at(entry, 3)?);
                let (gsi, signalling) = (u32_at(entry, 4)?, signalling(u16_at(entry, 8)?)?);
                if bus != 0 || isa_irq > 15 {
                    return None;
                }
                let new = InterruptOverride { isa_irq, gsi, signalling };
                push(&mut self.madt.overrides, new, &mut self.left_out);
            }
            // 5.2.12.6: NMI source.
            3 => {
                let (signalling, gsi) = (signalling(u16_at(entry, 2)?)?, u32_at(entry, 4)?);
                push(&mut self.madt.nmi_sources, NmiSource { gsi, signalling }, &mut self.left_out);
            }
            // 5.2.12.7: local APIC NMI.
            4 => {
                let (uid, flags, lint) = (u8_at(entry, 2)?, u16_at(entry, 3)?, u8_at(entry, 5)?);
                self.local_nmi((uid != u8::MAX).then_some(uid.into()), flags, lint)?;
            }
            // 5.2.12.8: local APIC address override.
            5 => self.set_local_apic_address(u64_at(entry, 4)?),
            // 5.2.12.12: processor local x2APIC.
            9 => {
                let (id, flags, uid) = (u32_at(entry, 4)?, u32_at(entry, 8)?, u32_at(entry, 12)?);
                if id != u32::MAX {
                    self.cpu(id, uid, flags);
                }
            }
            // 5.2.12.13: local x2APIC NMI.
            10 => {
                let (flags, uid, lint) = (u16_at(entry, 2)?, u32_at(entry, 4)?, u8_at(entry, 8)?);
                self.local_nmi((uid != u32::MAX).then_some(uid), flags, lint)?;
            }
            // Everything else is for other processors, or newer than this code: 5.2.12 says to skip it.
            _ => (),
        }
        Some(())
    }

    /// Lists a processor once by APIC id: firmware may list it as local APIC and as x2APIC, or leave a
    /// disabled placeholder under the id of a real one.
    fn cpu(&mut self, apic_id: u32, uid: u32, flags: u32) {
        let status = match (flags & 1 != 0, flags & 2 != 0) {
            (true, _) => CpuStatus::Enabled,
            (false, true) => CpuStatus::OnlineCapable,
            (false, false) => CpuStatus::Disabled,
        };
        let new = ListedCpu { apic_id, uid, status };
        match self.index_of.get(&apic_id).and_then(|&index| self.madt.cpus.get_mut(index)) {
            Some(known) => {
                if known.status == CpuStatus::Enabled && status == CpuStatus::Enabled && known.uid != uid {
                    let first = known.uid;
                    self.notes.add(|| {
                        format!("ACPI MADT: APIC id {apic_id} belongs to processors {first} and {uid}; the first counts")
                    });
                } else if known.status != CpuStatus::Enabled && status != CpuStatus::Disabled {
                    *known = new;
                }
            }
            None => {
                let index = self.madt.cpus.len();
                if push(&mut self.madt.cpus, new, &mut self.left_out) {
                    self.index_of.insert(apic_id, index);
                }
            }
        }
    }

    fn local_nmi(&mut self, uid: Option<u32>, flags: u16, lint: u8) -> Option<()> {
        let signalling = signalling(flags)?;
        if lint > 1 {
            return None;
        }
        push(&mut self.madt.local_nmis, LocalNmi { uid, lint, signalling }, &mut self.left_out);
        Some(())
    }

    fn set_local_apic_address(&mut self, address: u64) {
        if address != 0 && address.is_multiple_of(0x1000) && address < PHYSICAL_END {
            self.madt.local_apic_address = address;
        } else {
            let kept = self.madt.local_apic_address;
            self.notes
                .add(|| format!("ACPI MADT: there is no local APIC at {address:#x}; {kept:#x} is used"));
        }
    }
}

/// Appends `item` while there is room, else counts it; says whether it was appended.
fn push<T>(list: &mut Vec<T>, item: T, left_out: &mut usize) -> bool {
    let room = list.len() < MAX_LISTED;
    if room {
        list.push(item);
    } else {
        *left_out += 1;
    }
    room
}

/// MPS INTI flags (table 5.26): polarity in bits 1:0, trigger in bits 3:2, 0 for what the bus says (ISA:
/// active high, edge), 2 reserved.
fn signalling(flags: u16) -> Option<Signalling> {
    let active_low = match flags & 3 {
        0 | 1 => false,
        3 => true,
        _ => return None,
    };
    let level = match flags >> 2 & 3 {
        0 | 1 => false,
        3 => true,
        _ => return None,
    };
    Some(Signalling { active_low, level })
}
