//! Privilege level 3: what it may not do, and what is told of it.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::control::{Cr0, Cr0Flags};

use super::exceptions::expect;
use crate::{
    asked::Asked,
    console::COM1,
    faults::Caught,
    interrupts::{self, Controller, Frame},
    single::Single,
    trial::{Outcome, Trial, check, found},
    user::{self, State},
    window::{self, PRESENT, USER, WRITABLE},
};

pub(super) const TRIALS: &[Trial] = &[
    Trial::new("privileged-instructions-in-user-code-give-gp", privileged),
    Trial::new("page-fault-of-user-code-says-user", page_fault),
    Trial::new("cpuid-in-user-code-answers", cpuid),
    Trial::new("port-io-in-user-code-needs-iopl", ports),
    Trial::new("string-io-in-user-code-keeps-to-its-pages", string),
    Trial::new("misaligned-access-in-user-code-gives-ac", alignment),
    Trial::new("interrupt-in-user-code-takes-the-ring-stack", ring_stack),
];

const SCRATCH: u16 = COM1 + 7;
/// The second page of the window.
const SECOND: u64 = window::WINDOW + 4096;

static DATA: Single<[u8; 4096]> = Single::new([0; 4096]);

fn run(code: &[u8], state: State) -> Result<(State, Caught), crate::trial::Failed> {
    user::run(code, state).ok_or_else(|| crate::trial::failed(format_args!("user code left nothing")))
}

fn privileged(_: &Asked<'_>) -> Outcome {
    let state = State { rflags: user::FLAGS, ..State::default() };
    for (name, code) in [
        ("CLI", &[0xfa][..]),
        ("STI", &[0xfb]),
        ("HLT", &[0xf4]),
        ("CLTS", &[0x0f, 0x06]),
        ("INVD", &[0x0f, 0x08]),
        ("WBINVD", &[0x0f, 0x09]),
        ("MOV CR0", &[0x0f, 0x22, 0xc0]),
        ("MOV from CR4", &[0x0f, 0x20, 0xe0]),
        ("MOV to CR4", &[0x0f, 0x22, 0xe0]),
        ("MOV to CR8", &[0x44, 0x0f, 0x22, 0xc0]),
        ("MOV from DR7", &[0x0f, 0x21, 0xf8]),
        ("LGDT", &[0x0f, 0x01, 0x10]),
        ("INVLPG", &[0x0f, 0x01, 0x38]),
    ] {
        let (_, caught) = run(code, state)?;
        expect(name, Some(caught), 13, 0)?;
        check!(caught.rip == user::BASE, "{name} in user code: RIP is {:#x}", caught.rip);
    }
    Ok(())
}

fn page_fault(_: &Asked<'_>) -> Outcome {
    // MOV AL, [RDI] and MOV [RDI], AL.
    let (read, write) = (&[0x8a, 0x07][..], &[0x88, 0x07][..]);
    let state = State { rdi: SECOND + 8, rflags: user::FLAGS, ..State::default() };
    for (name, code, rights, error_code) in [
        ("reading a missing page", read, 0, 4),
        ("writing a missing page", write, 0, 6),
        ("reading a supervisor's page", read, PRESENT | WRITABLE, 5),
        ("writing a supervisor's page", write, PRESENT | WRITABLE, 7),
        ("writing a read-only page", write, PRESENT | USER, 7),
    ] {
        window::map_second(DATA.address(), rights);
        let (_, caught) = run(code, state)?;
        window::map_second(0, 0);
        expect(name, Some(caught), 14, error_code)?;
        check!(caught.address == SECOND + 8, "{name}: CR2 is {:#x}", caught.address);
    }
    Ok(())
}

/// CPUID, then UD2.
fn cpuid(_: &Asked<'_>) -> Outcome {
    let vendor = crate::environment::cpuid(0, 0);
    let (state, caught) = run(&[0x0f, 0xa2, 0x0f, 0x0b], State { rflags: user::FLAGS, ..State::default() })?;
    expect("UD2 behind CPUID", Some(caught), 6, 0)?;
    check!(
        (state.rax, state.rcx, state.rdx) == (vendor.eax.into(), vendor.ecx.into(), vendor.edx.into()),
        "CPUID in user code left {state:x?}, {vendor:x?} is what it says otherwise"
    );
    Ok(())
}

/// OUT DX, AL; XOR EAX, EAX; IN AL, DX; UD2. Without an I/O permission map IOPL alone decides.
fn ports(_: &Asked<'_>) -> Outcome {
    let code = [0xee, 0x31, 0xc0, 0xec, 0x0f, 0x0b];
    let state = State { rax: 0x4d, rdx: SCRATCH.into(), rflags: user::FLAGS, ..State::default() };
    let (_, caught) = run(&code, state)?;
    expect("OUT with IOPL 0", Some(caught), 13, 0)?;
    let (left, caught) = run(&code, State { rflags: user::FLAGS | user::PORTS, ..state })?;
    expect("UD2 behind IN with IOPL 3", Some(caught), 6, 0)?;
    check!(left.rax == 0x4d, "user code read {:#x} from the scratch register", left.rax);
    Ok(())
}

/// REP INSB from one page into one that is the supervisor's: the host must not write there for the user.
fn string(_: &Asked<'_>) -> Outcome {
    // SAFETY: this trial's static.
    unsafe { DATA.get().cast::<u8>().write_bytes(0, 4096) };
    let code = [0xf3, 0x6c, 0x0f, 0x0b];
    let state = State {
        rdi: SECOND - 4,
        rcx: 8,
        rdx: SCRATCH.into(),
        rflags: user::FLAGS | user::PORTS,
        ..State::default()
    };
    window::map_second(DATA.address(), PRESENT | WRITABLE);
    let (left, caught) = run(&code, state)?;
    window::map_second(0, 0);
    expect("REP INSB into the supervisor's page", Some(caught), 14, 7)?;
    check!(
        (left.rdi, left.rcx, caught.address) == (SECOND, 4, SECOND),
        "REP INSB stopped with RDI {:#x}, {} left, CR2 {:#x}",
        left.rdi,
        left.rcx,
        caught.address
    );
    // SAFETY: as above.
    let first = unsafe { DATA.get().cast::<u64>().read_volatile() };
    check!(first == 0, "the supervisor's page holds {first:#x}");
    window::map_second(DATA.address(), PRESENT | WRITABLE | USER);
    let (left, caught) = run(&code, state)?;
    window::map_second(0, 0);
    expect("UD2 behind REP INSB", Some(caught), 6, 0)?;
    check!(left.rcx == 0 && left.rdi == SECOND + 4, "REP INSB left {left:x?}");
    Ok(())
}

/// MOV EAX, [RDI + 1] with RFLAGS.AC and CR0.AM. QEMU 7.2 does not check alignment, also not in guests of its guests.
fn alignment(_: &Asked<'_>) -> Outcome {
    // SAFETY: the supervisor's accesses are never checked.
    unsafe { Cr0::update(|flags| flags.insert(Cr0Flags::ALIGNMENT_MASK)) };
    let state = State { rdi: user::BASE + 0x100, rflags: user::FLAGS | 1 << 18, ..State::default() };
    let left = run(&[0x8b, 0x47, 0x01, 0x0f, 0x0b], state);
    let aligned = run(&[0x8b, 0x47, 0x04, 0x0f, 0x0b], state);
    // SAFETY: as it was.
    unsafe { Cr0::update(|flags| flags.remove(Cr0Flags::ALIGNMENT_MASK)) };
    let ((_, caught), (_, aligned)) = (left?, aligned?);
    expect("UD2 behind an aligned access", Some(aligned), 6, 0)?;
    if caught.vector == 6 {
        found!("a misaligned access with RFLAGS.AC and CR0.AM gives no exception");
        return Ok(());
    }
    expect("a misaligned access", Some(caught), 17, 0)
}

/// Where the handler ran, and where its frame says that it came from.
static HANDLED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

fn note(frame: &mut Frame) {
    let at = core::ptr::from_ref(frame).addr() as u64;
    for (place, value) in HANDLED.iter().zip([at, frame.rsp, frame.cs]) {
        place.store(value, Ordering::Relaxed);
    }
}

/// INT 81h through a gate without a stack of its own, then UD2.
fn ring_stack(_: &Asked<'_>) -> Outcome {
    interrupts::expect_from(Controller::None);
    let state = State { rflags: user::FLAGS, ..State::default() };
    let (_, caught) = run(&[0xcd, 0x81, 0x0f, 0x0b], state)?;
    // The gate is the supervisor's: its error code names it (twice the number in QEMU 7.2, which counts 8 bytes a gate).
    check!(
        caught.vector == 13 && matches!(caught.error_code, 0x40a | 0x812),
        "INT of a gate that is the supervisor's gave {caught}"
    );
    interrupts::open_gate(0x81);
    interrupts::handle_with(Some(note));
    let left = run(&[0xcd, 0x81, 0x0f, 0x0b], state);
    interrupts::handle_with(None);
    interrupts::set_gate(0x81, true);
    let (_, caught) = left?;
    expect("UD2 behind INT 81h", Some(caught), 6, 0)?;
    let [at, rsp, cs] = HANDLED.each_ref().map(|place| place.load(Ordering::Relaxed));
    let (first, end) = interrupts::ring_stack();
    check!((first..end).contains(&at), "the handler ran on {at:#x}, outside {first:#x} to {end:#x}");
    check!(rsp == user::BASE + 4096 && cs & 3 == 3, "its frame came from RSP {rsp:#x}, CS {cs:#x}");
    Ok(())
}
