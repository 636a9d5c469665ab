//! Events, windows and shadows: what is delivered, when, and how often.

use godwit_guest::vcpu::{Event, Reason, VirtualCpu, Window};

use super::{ALL, fake::Guest};
use crate::svm::{
    exit,
    intercepts::First,
    vmcb::{Clean, VirtualInterrupt},
};

const IF: u64 = 1 << 9;
const TF: u64 = 1 << 8;
const RF: u64 = 1 << 16;
const TIMER: Event = Event::Interrupt { vector: 0xec };
const DEBUG: Event = Event::Exception { vector: 1, error_code: None };

impl Guest {
    fn injected(&self) -> u64 {
        self.entered().vmcb.control().event_injection
    }

    fn intercepts(&self, intercept: First) -> bool {
        self.entered().vmcb.control().intercept_first.contains(intercept)
    }

    fn intercepts_cr8(&self) -> bool {
        self.entered().vmcb.control().intercept_cr & 1 << 24 != 0
    }

    /// Runs it until an exit that cuts the delivery in `info` off.
    fn cut_off(&mut self, info: u64) {
        self.leave(move |vmcb, _| {
            let control = vmcb.control_mut(Clean::empty());
            control.exit_code = exit::NESTED_FAULT;
            control.exit_interrupt_info = info;
        });
    }

    /// Enters protected mode.
    fn protect(&mut self) {
        let mut state = self.vcpu.state();
        state.control.cr0 = 0x11;
        self.vcpu.set_state(&state).expect("protected mode");
    }
}

#[test]
fn an_event_is_injected_once() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(TIMER);
    assert!(guest.vcpu.has_pending());
    guest.run();
    assert_eq!(guest.injected(), 0x8000_00ec);
    assert!(!guest.vcpu.has_pending());
    guest.run();
    assert_eq!(guest.injected(), 0);
}

#[test]
fn error_codes_are_for_protected_mode() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(Event::GENERAL_PROTECTION);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_030d);
    guest.protect();
    guest.vcpu.inject(Event::GENERAL_PROTECTION);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_0b0d);
}

#[test]
fn a_delivery_that_an_exit_cut_off_comes_again() {
    let mut guest = Guest::new(ALL);
    guest.protect();
    guest.vcpu.inject(TIMER);
    guest.cut_off(0x8000_00ec);
    assert!(guest.vcpu.has_pending() && !guest.vcpu.can_take_interrupt());
    assert_eq!(guest.vcpu.state().pending, Some(TIMER));
    guest.run();
    assert_eq!(guest.injected(), 0x8000_00ec);
    // The guest's own page fault, error code 2.
    guest.cut_off(0x2_8000_0b0e);
    guest.run();
    assert_eq!(guest.injected(), 0x2_8000_0b0e);
    // INT 80h is executed again; the host's own is not there to be.
    guest.cut_off(0x8000_0480);
    guest.run();
    assert_eq!(guest.injected(), 0);
}

#[test]
fn a_pending_event_survives_a_move() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(TIMER);
    guest.cut_off(0x8000_00ec);
    let state = guest.vcpu.state();
    let mut other = Guest::new(ALL);
    other.vcpu.set_state(&state).expect("a state just saved");
    other.run();
    assert_eq!(other.injected(), 0x8000_00ec);
}

#[test]
fn what_was_not_delivered_because_the_state_was_refused_is_pending() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(TIMER);
    guest.exit(0xffff_ffff);
    assert!(guest.vcpu.has_pending());
}

#[test]
fn software_interrupts_return_behind_their_instruction() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.registers().rip = 0x1002;
    guest.vcpu.inject(Event::Software { vector: 0x80 });
    guest.run();
    let entered = guest.entered().vmcb;
    assert_eq!((entered.control().event_injection, entered.control().next_rip), (0x8000_0480, 0x1002));
}

#[test]
fn a_software_interrupt_of_the_hosts_comes_again() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(Event::Software { vector: 0x80 });
    guest.cut_off(0x8000_0480);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_0480);
}

#[test]
fn an_illegal_injection_is_named() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(Event::Exception { vector: 2, error_code: None });
    let detail = "the injected event is illegal";
    assert_eq!(guest.exit(u64::MAX).reason, Reason::Refused { detail });
}

#[test]
fn a_window_is_a_virtual_interrupt_that_is_never_delivered() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.request_window(Some(Window::Any));
    guest.run();
    let wanted = guest.entered().vmcb.control().virtual_interrupt;
    assert!(wanted.contains(VirtualInterrupt::PENDING | VirtualInterrupt::IGNORE_TASK_PRIORITY));
    assert!(wanted.contains(VirtualInterrupt::PRIORITY | VirtualInterrupt::MASKING));
    assert!(guest.intercepts(First::VINTR));
    assert!(guest.intercepts_cr8(), "a write of CR8 comes first");
    assert_eq!(guest.exit(exit::VINTR).reason, Reason::InterruptWindow);
    guest.run();
    assert!(!guest.intercepts(First::VINTR), "it opens once");
    assert_eq!(guest.entered().vmcb.control().virtual_interrupt, VirtualInterrupt::MASKING);
}

#[test]
fn a_window_of_a_class_is_a_write_of_cr8() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.request_window(Some(Window::Any));
    guest.vcpu.request_window(Some(Window::Class(5)));
    guest.run();
    let entered = guest.entered().vmcb;
    assert_eq!(entered.control().virtual_interrupt, VirtualInterrupt::MASKING);
    assert!(guest.intercepts_cr8());
    assert!(!guest.intercepts(First::VINTR));
    assert_eq!(guest.exit(exit::WRITE_CR8).reason, Reason::WriteTaskPriority);
    guest.vcpu.request_window(None);
    guest.run();
    assert!(!guest.intercepts_cr8());
}

#[test]
fn a_window_can_be_taken_back() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.request_window(Some(Window::Any));
    guest.vcpu.request_window(None);
    guest.run();
    assert!(!guest.intercepts(First::VINTR));
}

#[test]
fn interrupts_are_taken_by_if_and_without_a_shadow() {
    let mut guest = Guest::new(ALL);
    assert!(!guest.vcpu.can_take_interrupt(), "IF is clear");
    guest.vcpu.registers().rflags |= IF;
    assert!(guest.vcpu.can_take_interrupt());
    guest.leave(|vmcb, _| vmcb.control_mut(Clean::empty()).interrupt_state = 1);
    assert!(!guest.vcpu.can_take_interrupt() && !guest.vcpu.can_take_nmi(), "STI came just before");
    assert!(guest.vcpu.state().interrupt_shadow);
    guest.vcpu.advance_to(0x10);
    assert!(guest.vcpu.can_take_interrupt() && guest.vcpu.can_take_nmi());
    guest.run();
    assert_eq!(guest.entered().vmcb.control().interrupt_state, 0);
    assert_eq!(guest.entered().vmcb.save().rip, 0x10);
}

#[test]
fn nmis_are_held_off_until_iret_is_done() {
    let mut guest = Guest::new(ALL);
    assert!(guest.vcpu.can_take_nmi());
    guest.vcpu.inject(Event::Nmi);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_0202);
    assert!(guest.intercepts(First::IRET));
    assert!(!guest.vcpu.can_take_nmi() && guest.vcpu.state().nmi_blocked);
    // The intercept comes before IRET.
    guest.vcpu.registers().rip = 0x500;
    assert_eq!(guest.exit(exit::IRET).reason, Reason::Host);
    assert!(!guest.vcpu.can_take_nmi());
    // It did not run yet: the host was interrupted first.
    guest.exit(exit::INTR);
    assert!(!guest.intercepts(First::IRET), "it could never run");
    assert!(!guest.vcpu.can_take_nmi());
    guest.leave(|vmcb, _| vmcb.save_mut(Clean::empty()).rip = 0x9000);
    assert!(guest.vcpu.can_take_nmi());
    guest.run();
    assert!(!guest.intercepts(First::IRET));
}

#[test]
fn an_nmi_that_was_cut_off_blocks_none() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(Event::Nmi);
    guest.cut_off(0x8000_0202);
    assert!(guest.vcpu.has_pending() && !guest.vcpu.state().nmi_blocked);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_0202);
    assert!(guest.vcpu.state().nmi_blocked);
}

#[test]
fn blocked_nmis_stay_blocked_after_a_move() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.inject(Event::Nmi);
    guest.run();
    let mut other = Guest::new(ALL);
    other.vcpu.set_state(&guest.vcpu.state()).expect("a state just saved");
    other.run();
    assert!(other.intercepts(First::IRET) && !other.vcpu.can_take_nmi());
}

#[test]
fn exceptions_that_could_wedge_the_processor_are_given_back() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.exit(exit::DEBUG).reason, Reason::Host);
    assert_eq!(guest.vcpu.state().pending, Some(DEBUG));
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.exit(exit::ALIGNMENT_CHECK).reason, Reason::Host);
    assert_eq!(guest.vcpu.state().pending, Some(Event::Exception { vector: 17, error_code: Some(0) }));
}

#[test]
fn what_was_being_delivered_comes_before_the_exception_that_cut_it_off() {
    let mut guest = Guest::new(ALL);
    guest.leave(|vmcb, _| {
        let control = vmcb.control_mut(Clean::empty());
        control.exit_code = exit::ALIGNMENT_CHECK;
        control.exit_interrupt_info = 0x8000_00ec;
    });
    assert_eq!(guest.vcpu.state().pending, Some(TIMER));
}

#[test]
fn a_trap_that_cut_a_delivery_off_comes_behind_it() {
    let mut guest = Guest::new(ALL);
    guest.leave(|vmcb, _| {
        let control = vmcb.control_mut(Clean::empty());
        control.exit_code = exit::DEBUG;
        control.exit_interrupt_info = 0x8000_00ec;
    });
    assert_eq!(guest.vcpu.state().pending, Some(TIMER));
    guest.run();
    assert_eq!(guest.injected(), 0x8000_00ec);
    // What the exit behind it raises comes first.
    guest.vcpu.inject(Event::GENERAL_PROTECTION);
    guest.run();
    assert_eq!(guest.injected(), 0x8000_030d, "real mode has no error codes");
    assert_eq!(guest.vcpu.state().pending, Some(DEBUG));
    guest.run();
    assert_eq!(guest.injected(), 0x8000_0301);
    guest.run();
    assert_eq!(guest.injected(), 0);
}

#[test]
fn a_performance_counter_is_refused_in_the_guest() {
    let mut guest = Guest::new(ALL);
    assert_eq!(guest.exit(exit::RDPMC).reason, Reason::Host);
    assert_eq!(guest.vcpu.state().pending, Some(Event::GENERAL_PROTECTION));
}

#[test]
fn skipped_instructions_trap_when_single_stepped() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.registers().rflags |= RF;
    guest.vcpu.advance_to(2);
    assert_eq!((guest.vcpu.registers().rflags & RF, guest.vcpu.has_pending()), (0, false));
    guest.vcpu.registers().rflags |= TF;
    guest.vcpu.advance_to(4);
    let state = guest.vcpu.state();
    assert_eq!(state.pending, Some(DEBUG));
    assert_eq!(state.debug.dr6 & 1 << 14, 1 << 14);
}

#[test]
fn the_task_priority_is_cr8() {
    let mut guest = Guest::new(ALL);
    guest.vcpu.set_task_priority(0xf5);
    assert_eq!((guest.vcpu.task_priority(), guest.vcpu.system().control.cr8), (5, 5));
    guest.leave(|vmcb, _| {
        let control = vmcb.control_mut(Clean::empty());
        control.virtual_interrupt |= VirtualInterrupt::TASK_PRIORITY;
    });
    assert_eq!(guest.entered().vmcb.control().virtual_interrupt.bits() & 0xff, 5);
    assert_eq!(guest.vcpu.task_priority(), 15);
}
