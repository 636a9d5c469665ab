//! Events as the control block encodes them, both ways: EVENTINJ and EXITINTINFO (APM vol. 2, 15.20 and 15.7.2).

use godwit_guest::vcpu::Event;

use crate::interrupts::vectors;

const VECTOR: u64 = 0xff;
const TYPE_SHIFT: u32 = 8;
const TYPE: u64 = 0b111;
const HAS_ERROR_CODE: u64 = 1 << 11;
const VALID: u64 = 1 << 31;
const ERROR_CODE_SHIFT: u32 = 32;

const EXTERNAL: u64 = 0;
const NON_MASKABLE: u64 = 2;
const EXCEPTION: u64 = 3;
const SOFTWARE: u64 = 4;

/// INT3's and INTO's vectors: exceptions that instructions raise by themselves.
const OVERFLOW: u8 = 4;

/// The word that injects `event`. Error codes are pushed in `protected` mode only (APM vol. 2, 8.4).
pub fn encode(event: Event, protected: bool) -> u64 {
    let word = |kind: u64, vector: u8| VALID | kind << TYPE_SHIFT | u64::from(vector);
    match event {
        Event::Interrupt { vector } => word(EXTERNAL, vector),
        Event::Nmi => word(NON_MASKABLE, vectors::NMI),
        Event::Exception { vector, error_code: Some(code) } if protected => {
            word(EXCEPTION, vector) | HAS_ERROR_CODE | u64::from(code) << ERROR_CODE_SHIFT
        }
        Event::Exception { vector, .. } => word(EXCEPTION, vector),
        Event::Software { vector } => word(SOFTWARE, vector),
    }
}

/// Whether the processor takes `word` as an injection (APM vol. 2, 15.20): only these types, and no exception by the NMI's
/// vector or by one that is none.
pub fn is_legal(word: u64) -> bool {
    let kind = word >> TYPE_SHIFT & TYPE;
    let vector = (word & VECTOR) as u8;
    word & VALID == 0
        || match kind {
            EXTERNAL | NON_MASKABLE | SOFTWARE => true,
            EXCEPTION => vector < 32 && vector != vectors::NMI,
            _ => false,
        }
}

/// What has to be delivered again because an exit cut its delivery off; `injected` is what this entry injected, 0 for nothing.
///
/// What an instruction raised by itself (INT n, INT3, INTO) is not delivered again: the instruction is executed again, for
/// RIP still names it. What the host injected has no such instruction.
pub fn interrupted(info: u64, injected: u64) -> Option<Event> {
    // The rest of the word is left from earlier where the valid bit is clear.
    if info & VALID == 0 {
        return None;
    }
    let vector = (info & VECTOR) as u8;
    let was_injected =
        info & (VALID | TYPE << TYPE_SHIFT | VECTOR) == injected & (VALID | TYPE << TYPE_SHIFT | VECTOR);
    let error_code = (info & HAS_ERROR_CODE != 0).then_some((info >> ERROR_CODE_SHIFT) as u32);
    match info >> TYPE_SHIFT & TYPE {
        EXTERNAL => Some(Event::Interrupt { vector }),
        NON_MASKABLE => Some(Event::Nmi),
        // QEMU calls the delivery of an external interrupt an exception at times; injected as one it is refused.
        EXCEPTION if vector >= 32 => None,
        EXCEPTION if matches!(vector, vectors::BREAKPOINT | OVERFLOW) && !was_injected => None,
        EXCEPTION => Some(Event::Exception { vector, error_code }),
        SOFTWARE if was_injected => Some(Event::Software { vector }),
        _ => None,
    }
}
