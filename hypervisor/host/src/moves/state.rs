//! All of a guest that is not memory, as it travels.

use alloc::{string::String, vec::Vec};
use core::ops::Deref;

use godwit_devices::{GuestTime, Now, SavedDevice};
use godwit_guest::cpu::CpuState;
use serde::{Deserialize, Serialize};

use crate::guests::{Core, Guest, RunState, Scene};

/// The version that this build writes and reads.
const VERSION: u16 = 2;

/// A guest without its memory.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct SavedGuest {
    version: u16,
    /// Its virtual CPUs, in the order of their numbers.
    pub(super) cpus: Vec<CpuState>,
    /// What its clock showed when it was stopped, in ns.
    pub(super) time_ns: u64,
    /// What its time stamp counter showed then.
    pub(super) tsc: u64,
    /// Seconds since 1970 when its clock was at zero.
    pub(super) wall_clock_start_s: i64,
    pub(super) devices: Vec<SavedDevice>,
    /// Whether it is to stay paused where it arrives.
    pub(super) is_paused: bool,
    /// What its console showed last.
    pub(super) console_output: Vec<u8>,
    /// What was typed and not taken yet.
    pub(super) console_input: Vec<u8>,
}

impl SavedGuest {
    /// Takes the state of a guest that stands still.
    pub(super) fn take(
        scene: Scene<'_>,
        guest: &Guest,
        cores: &[impl Deref<Target = Core>],
        before: RunState,
    ) -> Self {
        let now = guest.clock.now(scene.machine);
        let devices = guest.with_board(scene, None, |board| board.save(now));
        let console = guest.console.lock();
        let (output, input) = console.contents();
        Self {
            version: VERSION,
            cpus: cores.iter().map(|core| core.saved(now.tsc)).collect(),
            time_ns: now.time.0,
            tsc: now.tsc,
            wall_clock_start_s: guest.config.wall_clock_start_s,
            devices,
            is_paused: before == RunState::Paused,
            console_output: output.collect(),
            console_input: input.collect(),
        }
    }

    /// As bytes for the wire; empty where it cannot be encoded, which no destination takes.
    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A text for people.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        // The version comes first whatever follows it.
        let (version, _) =
            postcard::take_from_bytes::<u16>(bytes).map_err(|_| "the machine state is empty")?;
        if version != VERSION {
            return Err(alloc::format!(
                "machine state of version {version}, and this host reads version {VERSION}"
            ));
        }
        postcard::from_bytes(bytes).map_err(|_| "the machine state cannot be understood".into())
    }

    /// What its clocks show after it stood still for `paused_ns` more, with a counter of `tsc_hz`.
    pub(super) fn after(&self, paused_ns: u64, tsc_hz: u64) -> Now {
        let ticks = u128::from(paused_ns) * u128::from(tsc_hz) / 1_000_000_000;
        Now {
            time: GuestTime(self.time_ns.saturating_add(paused_ns)),
            tsc: self.tsc.wrapping_add(ticks as u64),
        }
    }
}
