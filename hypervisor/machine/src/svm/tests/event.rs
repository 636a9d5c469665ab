//! Events in the control block's encoding.

use godwit_guest::vcpu::Event;

use crate::svm::event::{encode, interrupted, is_legal};

const PAGE_FAULT: Event = Event::Exception { vector: 14, error_code: Some(6) };

#[test]
fn injections_are_encoded_as_the_manual_has_them() {
    // APM vol. 2, 15.20: vector, type in 10:8, EV in 11, V in 31, error code above.
    for (event, word) in [
        (Event::Interrupt { vector: 0x31 }, 0x8000_0031),
        (Event::Nmi, 0x8000_0202),
        (PAGE_FAULT, 0x6_8000_0b0e),
        (Event::INVALID_OPCODE, 0x8000_0306),
        (Event::Software { vector: 0x80 }, 0x8000_0480),
    ] {
        assert_eq!(encode(event, true), word, "{event:?}");
        assert!(is_legal(word), "{event:?}");
        assert_eq!(interrupted(word, word), Some(event), "delivered again as it was");
    }
}

#[test]
fn real_mode_has_no_error_codes() {
    assert_eq!(encode(PAGE_FAULT, false), 0x8000_030e);
}

#[test]
fn what_is_left_from_earlier_is_no_event() {
    assert_eq!(interrupted(0x6_0000_0b0e, 0), None);
}

#[test]
fn instructions_that_raise_something_are_executed_again() {
    // INT 80h, INT3, INTO.
    for word in [0x8000_0480, 0x8000_0303, 0x8000_0304] {
        assert_eq!(interrupted(word, 0), None, "{word:#x}");
        assert_eq!(interrupted(word, 0x8000_0031), None, "{word:#x} after another injection");
        assert!(interrupted(word, word).is_some(), "{word:#x} by the host");
    }
}

#[test]
fn an_exception_by_an_interrupts_vector_is_dropped() {
    assert_eq!(interrupted(0x8000_0331, 0), None);
    assert!(!is_legal(0x8000_0331));
}

#[test]
fn illegal_injections_are_known() {
    // An NMI as an exception; types 1, 5, 6 and 7.
    for word in [0x8000_0302, 0x8000_0131, 0x8000_0531, 0x8000_0631, 0x8000_0731] {
        assert!(!is_legal(word), "{word:#x}");
        assert!(is_legal(word & !0x8000_0000), "{word:#x} without its valid bit");
    }
}
