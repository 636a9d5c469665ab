//! Any target under libFuzzer: `GODWIT_FUZZ_TARGET` names it.
//!
//! Without cargo-fuzz it is built so, from this crate's directory:
//!
//! ```text
//! RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
//!   -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
//!   cargo +nightly build --release --target x86_64-unknown-linux-gnu
//! GODWIT_FUZZ_TARGET=board target/x86_64-unknown-linux-gnu/release/any CORPUS
//! ```
#![no_main]

use std::sync::LazyLock;

use godwit_fuzz::{Target, targets};
use libfuzzer_sys::fuzz_target;

/// The target that the environment names.
static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("GODWIT_FUZZ_TARGET").unwrap_or_default();
    targets::by_name(&name).unwrap_or_else(|error| panic!("GODWIT_FUZZ_TARGET={name}: {error}"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
