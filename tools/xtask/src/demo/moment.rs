//! A host's memory at one moment.

use anyhow::{Context, Result};
use godwit_lab::{RawFrames, RunningHost};

use super::{ANSWER, report::GuestReport};

/// What a host's memory holds, and where the guest lies in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    pub(super) host: String,
    /// `before` or `after`.
    pub(super) when: &'static str,
    pub(super) frames: RawFrames,
    /// What the host knows of the guest, where it has heard of it.
    pub(super) guest: Option<GuestReport>,
}

impl Moment {
    /// Asks `host` about its memory and about `guest`.
    ///
    /// # Errors
    /// It does not answer, or with something else than expected.
    pub(super) fn of(host: &RunningHost, when: &'static str, guest: &str) -> Result<Self> {
        let raw = host.command("frames raw", ANSWER)?;
        let frames = RawFrames::parse(&raw).with_context(|| format!("host {}: `frames raw`", host.name()))?;
        let command = format!("guest {guest} raw");
        let raw = host.command(&command, ANSWER)?;
        let is_known = raw.lines().any(|line| line == format!("guest {guest}"));
        let guest = is_known.then(|| GuestReport::parse(&raw)).transpose();
        let guest = guest.with_context(|| format!("host {}: `{command}`", host.name()))?;
        Ok(Self { host: host.name().to_owned(), when, frames, guest })
    }

    /// What the host knows of the guest while it has memory here.
    pub(super) fn guest_here(&self) -> Option<&GuestReport> {
        self.guest.as_ref().filter(|guest| !guest.places.is_empty())
    }
}
