//! Features of SVM that the host leaves unused, so that the way without them can be tried on processors that have them.

/// Those that the world switch can do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SvmWithout {
    /// The address of the next instruction, saved at exits.
    pub next_rip: bool,
    /// The bytes of instructions that fault on nested tables.
    pub decode_assists: bool,
    /// Flushing one address space alone.
    pub flush_by_asid: bool,
    /// Clean bits of control blocks.
    pub clean_bits: bool,
}

impl SvmWithout {
    /// What [`parse`](Self::parse) takes, in words.
    pub const EXPECTED: &'static str =
        "nrip, decode-assists, flush-by-asid and clean-bits, each once at most, with commas between";

    /// A list such as `nrip,clean-bits`; `None` where a word is unknown or repeated.
    pub fn parse(list: &str) -> Option<Self> {
        let mut without = Self::default();
        for word in list.split(',') {
            let named = match word {
                "nrip" => &mut without.next_rip,
                "decode-assists" => &mut without.decode_assists,
                "flush-by-asid" => &mut without.flush_by_asid,
                "clean-bits" => &mut without.clean_bits,
                _ => return None,
            };
            if core::mem::replace(named, true) {
                return None;
            }
        }
        Some(without)
    }
}
