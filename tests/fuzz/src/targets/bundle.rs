//! Bundles of guests, as an operator packs them.

use godwit_guest::{
    bundle::{Builder, Bundle, FileSum},
    description::{CommandLine, GuestDescription, GuestName, PagePolicy},
    file::{Bytes, File},
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Kind, Target};

/// Bundles, whatever they are.
pub(super) const TARGET: Target =
    Target { name: "bundle", kind: Kind::Outside, run, corpus, max_bytes: 16 << 10, executions: 120_000 };

/// Bytes of a file that are summed in one step.
const STEP_BYTES: u64 = 1000;

fn run(bytes: &[u8]) {
    // Behind the bundle, so that its fields stay aligned.
    let Some((mended, bundle)) = bytes.split_last() else { return };
    let mut bundle = bundle.to_vec();
    if mended % 8 != 0 {
        mend(&mut bundle);
    }
    read(&bundle);
}

/// Makes the manifest's sum right, so that what it says is read.
fn mend(bundle: &mut [u8]) {
    let Some((header, rest)) = bundle.split_first_chunk_mut::<32>() else { return };
    let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize;
    let whole = u64::from_le_bytes([
        header[24], header[25], header[26], header[27], header[28], header[29], header[30], header[31],
    ]);
    let manifest = rest.get(..length).unwrap_or(rest);
    header[16..24].copy_from_slice(&xxh3_64_with_seed(manifest, whole).to_le_bytes());
}

fn read(bytes: &[u8]) {
    let source = Bytes { name: "bundle", bytes };
    let Ok(bundle) = Bundle::read(&source) else { return };
    for guest in bundle.guests() {
        assert!(guest.description.layout().is_ok(), "a guest that can be tried has memory");
        for file in [Some(&guest.kernel), guest.initrd.as_ref()].into_iter().flatten() {
            assert!(file.offset.checked_add(file.bytes).is_some_and(|end| end <= bytes.len() as u64));
            let mut sum = FileSum::new(file.clone());
            let mut steps = 0;
            while sum.step(&source, STEP_BYTES) == Ok(false) {
                steps += 1;
                assert!(steps <= bytes.len() as u64 / STEP_BYTES, "each step is as long as it may be");
            }
            let packed = file.within(&source);
            let mut last = [0];
            assert!(packed.read(packed.bytes().saturating_sub(1), &mut last).is_ok() || packed.bytes() == 0);
            assert!(packed.read(packed.bytes(), &mut last).is_err());
        }
    }
    for refused in bundle.refused() {
        assert!(!refused.error.to_string().is_empty());
    }
}

/// A guest of so much memory.
pub(super) fn description(name: &str, memory_bytes: u64) -> GuestDescription {
    GuestDescription {
        name: GuestName::new(name).expect("a name"),
        memory_bytes,
        command_line: CommandLine::new("console=ttyS0").expect("a command line"),
        pages: PagePolicy::Largest,
        autostart: true,
        processors: Default::default(),
        trust_domain: None,
        tsc_hz: None,
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let pack = |guests: usize, kernel: usize| {
        let mut builder = Builder::new();
        let files = (builder.file("vmlinux", vec![7; kernel]), builder.file("initrd", vec![1; 100]));
        let (Ok(kernel), Ok(initrd)) = files else { return Vec::new() };
        for guest in 0..guests {
            let description = description(&format!("web-{guest}"), 64 << 20);
            if builder.guest(description, kernel, (guest % 2 == 0).then_some(initrd)).is_err() {
                return Vec::new();
            }
        }
        [builder.build().unwrap_or_default(), vec![1]].concat()
    };
    vec![pack(1, 10), pack(2, 3000), pack(0, 1)]
}

#[cfg(test)]
mod tests {
    use godwit_guest::bundle::BundleError;

    use super::*;

    #[test]
    fn the_corpus_is_bundles_of_guests() {
        for (input, guests) in corpus().iter().zip([1, 2, 0]) {
            let bundle =
                Bundle::read(&Bytes { name: "", bytes: &input[..input.len() - 1] }).expect("it was built");
            assert_eq!((bundle.guests().len(), bundle.refused().len()), (guests, 0));
        }
    }

    #[test]
    fn sums_are_mended() {
        let mut bytes = corpus()[0].clone();
        bytes[40] ^= 1;
        assert!(Bundle::read(&Bytes { name: "", bytes: &bytes }).is_err());
        mend(&mut bytes);
        let read = Bundle::read(&Bytes { name: "", bytes: &bytes });
        assert!(!matches!(read, Err(BundleError::Sum)), "{read:?}");
    }
}
