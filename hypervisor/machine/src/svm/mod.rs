//! AMD SVM: guests on the real processor (APM vol. 2, chapter 15).
//!
//! What decides is safe code over a [control block](vmcb::Vmcb) in memory, tested on the host with a pretended processor
//! behind [`switch::WorldSwitch`]. Only `stub` (the instructions), `enable` (the registers that turn SVM on) and `place` (frames
//! by address) need the real one.

pub mod asid;
pub mod capabilities;
pub mod event;
pub mod exit;
pub mod intercepts;
pub mod permission_maps;
pub mod refusal;
pub mod state;
pub mod switch;
#[cfg(test)]
mod tests;
pub mod tsc_ratio;
pub mod vcpu;
pub mod vmcb;

#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "model-specific registers and the frames they name")]
pub mod enable;
#[cfg(feature = "kernel")]
pub mod host;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "frames by address")]
mod place;
#[cfg(feature = "kernel")]
#[expect(unsafe_code, reason = "the instructions of the world switch")]
mod stub;
