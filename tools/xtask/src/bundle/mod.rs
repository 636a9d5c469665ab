//! Packs guests and the files they boot from into one boot module.

mod guests;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use godwit_guest::{
    GuestAddress,
    bundle::{Builder, FileId},
    description::GuestDescription,
    file::File,
    layout::LEGACY_HOLE,
    loader::{self, PlacedTables},
};

use crate::workspace;
use guests::{Guest, GuestsFile, Named};

/// Which guests, and where the bundle goes.
#[derive(Args)]
#[command(after_help = FORMAT)]
pub(crate) struct Options {
    /// The guests, in TOML
    pub(crate) file: PathBuf,
    /// Where the bundle goes [default: target/godwit/NAME.bundle, with the name of FILE]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const FORMAT: &str = r#"The file has one [[guest]] for each guest:

  [[guest]]
  name = "web-1"                # 1 to 32 lower-case letters, digits or `-`; each name once
  memory = "256MiB"             # MiB or GiB: 8 MiB to 1023 GiB, a multiple of 2 MiB
  kernel = "vmlinux"            # ELF with a PVH entry, or a Linux bzImage; from the file's directory
  initrd = "initramfs.cpio"     # optional
  cmdline = "console=ttyS0"     # optional, at most 2047 bytes
  pages = "largest"             # or "4k"; default largest
  autostart = true              # default true
  cpus = 2                      # virtual CPUs, 1 to 16; default 1
  weight = 200                  # CPU time of each beside others', 1 to 10000; default 100
  cap = "150%"                  # of one host CPU, for all together; default no limit
  pin = [1, 2]                  # host CPUs that may run it; default any
  domain = "team-a"             # guests of one domain need no wall between them; default a domain of its own
  tsc_hz = 2400000000           # runs only where the time stamp counter counts that; default the host's

Give the bundle to a host as its boot module."#;

/// Packs the bundle and says what is in it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let output = options.output.clone().unwrap_or_else(|| default_output(&options.file));
    let written = write(&options.file, &output)?;
    println!("{}: {}, {} KiB", output.display(), written.guests.join(", "), written.bytes.div_ceil(1024));
    Ok(())
}

/// A bundle that was written: the guests in it by name, and its length.
pub(crate) struct Written {
    pub(crate) guests: Vec<String>,
    pub(crate) bytes: usize,
}

/// Packs the guests that the file `guests` describes into the bundle `output`.
///
/// # Errors
/// Something is not understood or cannot be read or written; the error names the file and, where it can, line and field.
pub(crate) fn write(guests: &Path, output: &Path) -> Result<Written> {
    let packed = pack(guests).with_context(|| guests.display().to_string())?;
    if let Some(directory) = output.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::write(output, &packed.bytes).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(Written { guests: packed.guests, bytes: packed.bytes.len() })
}

fn default_output(file: &Path) -> PathBuf {
    let name = file.file_stem().unwrap_or_default();
    workspace::output().join(name).with_extension("bundle")
}

/// A bundle, and the names of the guests in it.
struct Packed {
    bytes: Vec<u8>,
    guests: Vec<String>,
}

/// Reads the file of guests at `path` and everything that it names.
fn pack(path: &Path) -> Result<Packed> {
    let text = fs::read_to_string(path).context("cannot read the file of guests")?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut packer = Packer { directory, builder: Builder::new(), known: HashMap::new() };
    let mut guests = Vec::new();
    for guest in GuestsFile::parse(&text)?.guests {
        guests.push(guest.description.name.to_string());
        packer.add(guest)?;
    }
    Ok(Packed { bytes: packer.builder.build()?, guests })
}

/// A bundle in the making. A file that several guests name goes in once.
struct Packer<'d> {
    directory: &'d Path,
    builder: Builder,
    known: HashMap<PathBuf, FileId>,
}

impl Packer<'_> {
    fn add(&mut self, guest: Guest) -> Result<()> {
        let label = &guest.label;
        let kernel = self.file(&guest.kernel).with_context(|| guest.kernel.place("kernel", label))?;
        let add_initrd = |initrd: &Named| self.file(initrd).with_context(|| initrd.place("initrd", label));
        let initrd = guest.initrd.as_ref().map(add_initrd).transpose()?;
        // A kernel that no host can load is better known here than there.
        self.check(&guest.description, kernel, initrd).context(guest.label)?;
        self.builder.guest(guest.description, kernel, initrd)?;
        Ok(())
    }

    fn file(&mut self, named: &Named) -> Result<FileId> {
        let path = self.directory.join(&named.text);
        let path = fs::canonicalize(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if let Some(known) = self.known.get(&path) {
            return Ok(*known);
        }
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = self.builder.file(&named.text, content)?;
        self.known.insert(path, id);
        Ok(id)
    }

    /// Plans the guest's start as its host will.
    fn check(&self, guest: &GuestDescription, kernel: FileId, initrd: Option<FileId>) -> Result<()> {
        let packed = |file| self.builder.packed(file).context("a file of another bundle");
        let kernel = packed(kernel)?;
        let initrd = initrd.map(packed).transpose()?;
        let initrd = initrd.as_ref().map(|file| file as &dyn File);
        // Where the host's own tables lie nothing else ever does: one byte stands for them.
        let at = GuestAddress(LEGACY_HOLE.start);
        let acpi = PlacedTables { at, bytes: &[0], rsdp: at };
        loader::plan(guest, &guest.layout()?, &kernel, initrd, acpi)?;
        Ok(())
    }
}
