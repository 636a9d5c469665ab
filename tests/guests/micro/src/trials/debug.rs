//! #DB: single steps, also over instructions that the host carries out, breakpoints, INT1.

use core::{
    arch::asm,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::{
    apic,
    asked::Asked,
    console::COM1,
    faults::{catch, mend_with},
    interrupts::Frame,
    single::Single,
    trial::{Outcome, Trial, check, found},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("single-step-stops-behind-each-instruction", plain),
    Trial::new("single-step-over-cpuid-traps-right-behind", over_cpuid),
    Trial::new("single-step-over-port-io-traps-right-behind", over_port),
    Trial::new("single-step-over-rdmsr-traps-right-behind", over_msr),
    Trial::new("single-step-over-mmio-traps-right-behind", over_mmio),
    Trial::new("single-step-over-repeated-port-io-stops-each-time", over_string),
    Trial::new("single-step-over-repeated-mmio-stops-each-time", over_mmio_string),
    Trial::new("int1-gives-db-behind-itself", int1),
    Trial::new("data-breakpoint-hits", data_breakpoint),
    Trial::new("code-breakpoint-hits-before-its-instruction", code_breakpoint),
];

/// COM1's scratch register keeps what is written.
const SCRATCH: u16 = COM1 + 7;
/// DR6.BS: a single step.
const STEP: u64 = 1 << 14;
/// Stops that are kept.
const MOST: usize = 16;

/// Where each #DB came, and DR6 then.
static STOPS: [(AtomicU64, AtomicU64); MOST] = [const { (AtomicU64::new(0), AtomicU64::new(0)) }; MOST];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Notes a #DB and goes on, with RF so that a breakpoint of code does not hit again.
fn note(frame: &mut Frame, _: u64) -> bool {
    if frame.vector != 1 {
        return false;
    }
    let dr6: u64;
    // SAFETY: DR6 only tells; it is cleared for the next time.
    unsafe { asm!("mov {0}, dr6", "mov dr6, {1}", out(reg) dr6, in(reg) 0xffff_0ff0_u64) };
    let place = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some((rip, told)) = STOPS.get(place) {
        rip.store(frame.rip, Ordering::Relaxed);
        told.store(dr6, Ordering::Relaxed);
    }
    frame.rflags |= 1 << 16;
    true
}

/// What was noted: RIP and DR6 of each stop.
struct Stops {
    count: usize,
    stops: [(u64, u64); MOST],
}

impl Stops {
    fn take() -> Self {
        mend_with(None);
        let stops =
            STOPS.each_ref().map(|(rip, dr6)| (rip.load(Ordering::Relaxed), dr6.load(Ordering::Relaxed)));
        Self { count: COUNT.load(Ordering::Relaxed), stops }
    }

    fn listen() {
        COUNT.store(0, Ordering::Relaxed);
        mend_with(Some(note));
    }

    /// Checks that each stop was a single step, at these places.
    fn check(&self, what: &str, places: &[u64]) -> Outcome {
        let seen = self.stops.get(..self.count).unwrap_or(&self.stops);
        let right = seen.len() == places.len() && seen.iter().zip(places).all(|(stop, at)| stop.0 == *at);
        check!(right, "{what}: stops at {seen:x?}, not at {places:x?}");
        let steps = seen.iter().all(|(_, dr6)| dr6 & (STEP | 0xf) == STEP);
        check!(steps, "{what}: DR6 is not a single step's: {seen:x?}");
        Ok(())
    }
}

/// Executes lines with TF set; the labels 2 to 5 before and behind the instructions are answered. POPFQ that clears TF is the last to
/// trap, at label 6.
macro_rules! step {
    ($($line:literal),+ ; $($operands:tt)*) => {{
        Stops::listen();
        let mut places = [0u64; 5];
        // SAFETY: #DB goes on where it came; nothing but what the operands name changes.
        unsafe {
            asm!(
                "lea r8, [rip + 2f]", "mov [{places}], r8",
                "lea r8, [rip + 3f]", "mov [{places} + 8], r8",
                "lea r8, [rip + 4f]", "mov [{places} + 16], r8",
                "lea r8, [rip + 5f]", "mov [{places} + 24], r8",
                "lea r8, [rip + 6f]", "mov [{places} + 32], r8",
                "pushfq", "push 0x102", "popfq",
                $($line,)+
                "popfq",
                "6:", "nop",
                places = in(reg) &raw mut places, out("r8") _,
                $($operands)*
            );
        }
        (Stops::take(), places)
    }};
}

fn plain(_: &Asked<'_>) -> Outcome {
    let (stops, places) = step!("2:", "nop", "3:", "mov rax, rcx", "4:", "xor eax, eax", "5:"; out("rax") _);
    let [_, first, second, third, end] = places;
    stops.check("single steps", &[first, second, third, end])
}

fn over_cpuid(_: &Asked<'_>) -> Outcome {
    let (stops, places) = step!("mov r9, rbx", "2:", "xor eax, eax", "3:", "cpuid", "4:", "mov rbx, r9", "5:";
        out("rax") _, out("rcx") _, out("rdx") _, out("r9") _);
    stops.check("CPUID", &places)
}

fn over_port(_: &Asked<'_>) -> Outcome {
    let (stops, places) =
        step!("nop", "2:", "in al, dx", "3:", "out dx, al", "4:", "nop", "5:"; in("dx") SCRATCH, out("al") _);
    stops.check("IN and OUT", &places)
}

fn over_msr(_: &Asked<'_>) -> Outcome {
    let (stops, places) = step!("nop", "2:", "rdmsr", "3:", "wrmsr", "4:", "nop", "5:";
        in("ecx") 0x277, out("rax") _, out("rdx") _);
    stops.check("RDMSR and WRMSR of PAT", &places)
}

fn over_mmio(_: &Asked<'_>) -> Outcome {
    let (stops, places) = step!("nop", "2:", "mov eax, [rdi]", "3:", "mov [rdi + 0x50], eax", "4:", "nop", "5:";
        in("rdi") apic::LOCAL + apic::VERSION, out("rax") _);
    stops.check("reading and writing the local APIC", &places)
}

/// A repeated string instruction is as many steps as repetitions (APM vol. 3, REP).
fn over_string(_: &Asked<'_>) -> Outcome {
    static BYTES: [u8; 3] = [1, 2, 3];
    let (stops, [before, behind, ..]) = step!("nop", "2:", "rep outsb", "3:", "4:", "5:";
        in("dx") SCRATCH, inout("rsi") BYTES.as_ptr() => _, inout("rcx") 3u64 => _);
    // Behind NOP, twice at the instruction, behind it, and behind POPFQ.
    let end = stops.stops[4].0;
    stops.check("REP OUTSB", &[before, before, before, behind, end])
}

fn over_mmio_string(_: &Asked<'_>) -> Outcome {
    static WORDS: Single<[u32; 4]> = Single::new([0; 4]);
    let (stops, [before, behind, ..]) = step!("nop", "2:", "rep movsd", "3:", "4:", "5:";
        inout("rsi") apic::LOCAL + apic::VERSION => _, inout("rdi") WORDS.address() => _, inout("rcx") 3u64 => _);
    let end = stops.stops[4].0;
    stops.check("REP MOVSD from the local APIC", &[before, before, before, behind, end])
}

/// QEMU 7.2 was built without it: #UD there, also in guests of its guests.
fn int1(_: &Asked<'_>) -> Outcome {
    let at: u64;
    let caught = catch!("lea {at}, [rip + 66f]", ".byte 0xf1", "66:", "nop"; at = out(reg) at);
    if caught.is_some_and(|caught| caught.vector == 6) {
        found!("INT1 is no instruction here");
        return Ok(());
    }
    super::exceptions::expect("INT1", caught, 1, 0)?;
    let rip = caught.map_or(0, |caught| caught.rip);
    check!(rip == at, "INT1's RIP is {rip:#x}, {at:#x} is behind it");
    Ok(())
}

static WATCHED: Single<[u64; 2]> = Single::new([0; 2]);

/// DR0 on writes of 8 bytes. QEMU 7.2 arms breakpoints only by the guest's own MOV to DR7, which leaves when the guest does.
fn data_breakpoint(_: &Asked<'_>) -> Outcome {
    Stops::listen();
    let at: u64;
    // SAFETY: DR7 enables DR0 for this word alone, and is cleared again.
    unsafe {
        asm!("mov dr0, {word}", "mov dr7, {on}", "mov qword ptr [{word}], 1", "2:", "nop", "mov dr7, {off}", "lea {at}, [rip + 2b]",
            word = in(reg) WATCHED.address(), on = in(reg) 0x400_u64 | 1 | 0b1001 << 16, off = in(reg) 0x400_u64, at = lateout(reg) at);
    }
    let stops = Stops::take();
    if stops.count == 0 {
        found!("a breakpoint on data does not hit");
        return Ok(());
    }
    let (rip, dr6) = stops.stops[0];
    check!(
        stops.count == 1 && rip == at && dr6 & 0xf == 1,
        "a breakpoint on data hit {} times, at {rip:#x} with DR6 {dr6:#x}, not at {at:#x}",
        stops.count
    );
    Ok(())
}

/// DR1 on an instruction.
fn code_breakpoint(_: &Asked<'_>) -> Outcome {
    Stops::listen();
    let (at, counted): (u64, u64);
    // SAFETY: as above.
    unsafe {
        asm!("lea {at}, [rip + 2f]", "mov dr1, {at}", "mov dr7, {on}", "xor {counted:e}, {counted:e}", "2:", "inc {counted}", "mov dr7, {off}",
            at = out(reg) at, counted = out(reg) counted, on = in(reg) 0x400_u64 | 1 << 2, off = in(reg) 0x400_u64);
    }
    let stops = Stops::take();
    check!(counted == 1, "the instruction at a breakpoint was executed {counted} times");
    if stops.count == 0 {
        found!("a breakpoint on code does not hit");
        return Ok(());
    }
    let (rip, dr6) = stops.stops[0];
    check!(
        stops.count == 1 && rip == at && dr6 & 0xf == 2,
        "a breakpoint on code hit {} times, at {rip:#x} with DR6 {dr6:#x}, not at {at:#x}",
        stops.count
    );
    Ok(())
}
