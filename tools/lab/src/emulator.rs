//! Which QEMU runs the hosts, and how.

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::{Context, Result};

/// The emulator program and its accelerator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Emulator {
    /// The QEMU program.
    pub program: PathBuf,
    /// QEMU's `-accel`.
    pub accelerator: String,
}

impl Emulator {
    /// Names another QEMU than the one in `PATH`.
    pub const PROGRAM_VARIABLE: &str = "GODWIT_QEMU";
    /// Names another accelerator than `tcg`.
    pub const ACCELERATOR_VARIABLE: &str = "GODWIT_ACCEL";

    /// What the environment asks for: `qemu-system-x86_64` with `tcg` where it says nothing.
    ///
    /// The accelerator is always named: `/dev/kvm` may exist and yet offer guests neither VMX nor SVM.
    ///
    /// # Errors
    /// A variable that is not Unicode where it must be.
    pub fn from_environment() -> Result<Self> {
        let program =
            env::var_os(Self::PROGRAM_VARIABLE).unwrap_or_else(|| OsString::from("qemu-system-x86_64"));
        let accelerator = match env::var(Self::ACCELERATOR_VARIABLE) {
            Err(env::VarError::NotPresent) => "tcg".to_owned(),
            other => other.context(Self::ACCELERATOR_VARIABLE)?,
        };
        Ok(Self { program: program.into(), accelerator })
    }
}
