//! Local APIC and IO-APIC, by their registers in memory.

/// The local APIC's page (its reset place; `msr` checks that it is there).
pub(crate) const LOCAL: u64 = 0xfee0_0000;
/// The IO-APIC's page.
pub(crate) const IO: u64 = 0xfec0_0000;

pub(crate) const ID: u64 = 0x20;
pub(crate) const VERSION: u64 = 0x30;
pub(crate) const TASK_PRIORITY: u64 = 0x80;
const END: u64 = 0xb0;
pub(crate) const LOGICAL_ID: u64 = 0xd0;
const FORMAT: u64 = 0xe0;
pub(crate) const SPURIOUS: u64 = 0xf0;
/// The first of eight registers of interrupts in service, 16 bytes apart.
const IN_SERVICE: u64 = 0x100;
/// The first of eight registers of interrupts requested.
const REQUESTED: u64 = 0x200;
pub(crate) const ERROR_STATUS: u64 = 0x280;
pub(crate) const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
pub(crate) const LVT_TIMER: u64 = 0x320;
pub(crate) const LVT_ERROR: u64 = 0x370;
pub(crate) const LVT_LINT0: u64 = 0x350;
pub(crate) const INITIAL_COUNT: u64 = 0x380;
pub(crate) const CURRENT_COUNT: u64 = 0x390;
pub(crate) const DIVIDE: u64 = 0x3e0;

/// LVT and redirection entries: masked.
pub(crate) const MASKED: u32 = 1 << 16;
/// LVT timer: periodic.
pub(crate) const PERIODIC: u32 = 1 << 17;
/// LVT timer: at the time stamp counter's deadline.
pub(crate) const TSC_DEADLINE: u32 = 2 << 17;
/// LVT entries and commands: deliver through the external interrupt controller.
const EXTERNAL: u32 = 7 << 8;
/// Commands: an NMI.
pub(crate) const NMI: u32 = 4 << 8;
/// Commands: INIT.
pub(crate) const INIT: u32 = 5 << 8;
/// Commands: start up, with the page's number in place of the vector.
pub(crate) const START_UP: u32 = 6 << 8;
/// Commands and redirection entries: to one of those addressed.
pub(crate) const LOWEST_PRIORITY: u32 = 1 << 8;
/// Commands and redirection entries: the destination is a set.
pub(crate) const LOGICAL: u32 = 1 << 11;
/// Commands: the destination is everybody, or everybody else.
pub(crate) const EVERYBODY: u32 = 2 << 18;
pub(crate) const OTHERS: u32 = 3 << 18;
/// Commands: to this CPU.
pub(crate) const SELF: u32 = 1 << 18;

pub(crate) fn read(register: u64) -> u32 {
    // SAFETY: a register of the local APIC, mapped at its own address.
    unsafe { ((LOCAL + register) as *const u32).read_volatile() }
}

pub(crate) fn write(register: u64, value: u32) {
    // SAFETY: as above; the trials are its only users.
    unsafe { ((LOCAL + register) as *mut u32).write_volatile(value) };
}

/// Enables the local APIC with its timer masked and the PIC passing through LINT0 or not.
pub(crate) fn start(with_pic: bool) {
    write(SPURIOUS, 0x1ff);
    write(TASK_PRIORITY, 0);
    write(LVT_TIMER, MASKED | 0xfe);
    write(INITIAL_COUNT, 0);
    write(LVT_LINT0, if with_pic { EXTERNAL } else { MASKED | EXTERNAL });
    // By 16.
    write(DIVIDE, 0b0011);
}

pub(crate) fn end_of_interrupt() {
    write(END, 0);
}

/// Sends an interrupt to this CPU.
pub(crate) fn send_to_self(what: u32) {
    write(COMMAND_HIGH, 0);
    write(COMMAND_LOW, SELF | 1 << 14 | what);
}

/// Sends a command to where its high half says, in 8 bits.
pub(crate) fn send(to: u32, what: u32) {
    write(COMMAND_HIGH, to << 24);
    write(COMMAND_LOW, 1 << 14 | what);
}

/// Joins the sets that name `bit`, in the flat format.
pub(crate) fn join(bit: usize) {
    write(FORMAT, u32::MAX);
    write(LOGICAL_ID, if bit < 8 { 1 << (24 + bit) } else { 0 });
}

/// Sends an interrupt to the CPU with this APIC ID.
pub(crate) fn send_to(apic_id: u32, what: u32) {
    write(COMMAND_HIGH, apic_id << 24);
    write(COMMAND_LOW, what);
}

/// Whether an interrupt is requested, and whether it is in service.
pub(crate) fn state_of(vector: u8) -> (bool, bool) {
    let word = |first: u64| read(first + u64::from(vector >> 5) * 16) >> (vector & 31) & 1 != 0;
    (word(REQUESTED), word(IN_SERVICE))
}

pub(crate) fn io_read(register: u32) -> u32 {
    // SAFETY: the IO-APIC's select and window registers, mapped at their own addresses.
    unsafe {
        (IO as *mut u32).write_volatile(register);
        ((IO + 0x10) as *const u32).read_volatile()
    }
}

pub(crate) fn io_write(register: u32, value: u32) {
    // SAFETY: as above.
    unsafe {
        (IO as *mut u32).write_volatile(register);
        ((IO + 0x10) as *mut u32).write_volatile(value);
    }
}

/// Leads an IO-APIC pin to a vector of this CPU, edge triggered, or masks it.
pub(crate) fn route(pin: u32, vector: Option<u8>) {
    io_write(0x10 + pin * 2 + 1, read(ID) & 0xff00_0000);
    io_write(0x10 + pin * 2, vector.map_or(MASKED, u32::from));
}

/// Leads a pin by this entry to CPUs by id, or by set where the entry says so.
pub(crate) fn route_to(pin: u32, to: u32, entry: u32) {
    io_write(0x10 + pin * 2 + 1, to << 24);
    io_write(0x10 + pin * 2, entry);
}

/// Redirection entries: level triggered.
pub(crate) const LEVEL: u32 = 1 << 15;
/// Redirection entries: a level interrupt was delivered and has not ended.
pub(crate) const REMOTE_IRR: u32 = 1 << 14;

/// As [`route`], level triggered.
pub(crate) fn route_level(pin: u32, vector: u8) {
    io_write(0x10 + pin * 2 + 1, read(ID) & 0xff00_0000);
    io_write(0x10 + pin * 2, LEVEL | u32::from(vector));
}

/// The low half of a pin's entry.
pub(crate) fn pin(pin: u32) -> u32 {
    io_read(0x10 + pin * 2)
}
