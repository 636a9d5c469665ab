//! Files of guests, in TOML.

use std::collections::HashSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use godwit_guest::description::{
    Cap, CommandLine, GuestDescription, GuestName, HostCpus, PagePolicy, Processors, VcpuCount, Weight,
};
use godwit_lab::MemorySize;
use serde::Deserialize;
use toml::Spanned;

const BYTES_PER_MIB: u64 = 1 << 20;

/// A file of guests that was understood.
#[derive(Debug)]
pub(super) struct GuestsFile {
    pub(super) guests: Vec<Guest>,
}

/// A guest, with the files that it names.
#[derive(Debug)]
pub(super) struct Guest {
    /// Which guest it is, for messages.
    pub(super) label: String,
    pub(super) description: GuestDescription,
    pub(super) kernel: Named,
    pub(super) initrd: Option<Named>,
}

/// A text of the file, and its line.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) text: String,
    line: usize,
}

impl Named {
    /// Where it stands: the line, the guest and the field.
    pub(super) fn place(&self, field: &str, label: &str) -> String {
        format!("line {}: {label}: field `{field}`", self.line)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    guest: Vec<RawGuest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGuest {
    name: Spanned<String>,
    memory: Spanned<String>,
    kernel: Spanned<String>,
    initrd: Option<Spanned<String>>,
    cmdline: Option<Spanned<String>>,
    pages: Option<Spanned<String>>,
    autostart: Option<bool>,
    cpus: Option<Spanned<u64>>,
    weight: Option<Spanned<u64>>,
    cap: Option<Spanned<String>>,
    pin: Option<Spanned<Vec<u64>>>,
    domain: Option<Spanned<String>>,
    tsc_hz: Option<Spanned<u64>>,
}

impl GuestsFile {
    /// Understands the text of a file of guests.
    ///
    /// # Errors
    /// The first thing that is not understood, with its line, the guest and the field.
    pub(super) fn parse(text: &str) -> Result<Self> {
        // The parser's own error shows line, column and the words that were expected.
        let raw: RawFile =
            toml::from_str(text).map_err(|error| anyhow!("{}", error.to_string().trim_end()))?;
        ensure!(!raw.guest.is_empty(), "no [[guest]]: a bundle needs at least one");
        let mut names = HashSet::new();
        let mut guests = Vec::new();
        for (index, raw) in raw.guest.into_iter().enumerate() {
            let label = format!("guest {} (`{}`)", index + 1, raw.name.get_ref());
            let source = Source { text, label: &label };
            if !names.insert(raw.name.get_ref().clone()) {
                bail!("{}: used twice: give each guest its own", source.place("name", &raw.name));
            }
            guests.push(source.guest(raw)?);
        }
        Ok(Self { guests })
    }
}

/// The text, and the guest that is being read.
struct Source<'t> {
    text: &'t str,
    label: &'t str,
}

impl Source<'_> {
    fn guest(&self, raw: RawGuest) -> Result<Guest> {
        let memory: MemorySize = self.field("memory", &raw.memory, |text| text.parse())?;
        let description = GuestDescription {
            name: self.field("name", &raw.name, |text| Ok(GuestName::new(text.as_str())?))?,
            memory_bytes: memory.mib().saturating_mul(BYTES_PER_MIB),
            command_line: self
                .optional("cmdline", raw.cmdline.as_ref(), |text| Ok(CommandLine::new(text.as_str())?))?,
            pages: self.optional("pages", raw.pages.as_ref(), |text| page_policy(text))?,
            autostart: raw.autostart.unwrap_or(true),
            processors: Processors {
                count: self.optional("cpus", raw.cpus.as_ref(), |&count| Ok(VcpuCount::new(count)?))?,
                weight: self.optional("weight", raw.weight.as_ref(), |&weight| Ok(Weight::new(weight)?))?,
                cap: self.optional("cap", raw.cap.as_ref(), |text| cap(text).map(Some))?,
                pins: self
                    .optional("pin", raw.pin.as_ref(), |cpus| Ok(HostCpus::new(cpus.iter().copied())?))?,
            },
            trust_domain: self
                .optional("domain", raw.domain.as_ref(), |text| Ok(Some(GuestName::new(text.as_str())?)))?,
            tsc_hz: self.optional("tsc_hz", raw.tsc_hz.as_ref(), |&hz| tsc_hz(hz).map(Some))?,
        };
        self.field("memory", &raw.memory, |_| Ok(description.layout()?))?;
        let file = |field, raw: &Spanned<String>| {
            self.field(field, raw, |text| {
                ensure!(!text.is_empty(), "empty: expected the path of a file");
                Ok(Named { text: text.to_owned(), line: self.line(raw) })
            })
        };
        Ok(Guest {
            label: self.label.to_owned(),
            description,
            kernel: file("kernel", &raw.kernel)?,
            initrd: raw.initrd.as_ref().map(|raw| file("initrd", raw)).transpose()?,
        })
    }

    fn field<V, T>(&self, field: &str, raw: &Spanned<V>, read: impl Fn(&V) -> Result<T>) -> Result<T> {
        read(raw.get_ref()).with_context(|| self.place(field, raw))
    }

    fn optional<V, T: Default>(
        &self,
        field: &str,
        raw: Option<&Spanned<V>>,
        read: impl Fn(&V) -> Result<T>,
    ) -> Result<T> {
        raw.map_or_else(|| Ok(T::default()), |raw| self.field(field, raw, read))
    }

    fn place<V>(&self, field: &str, raw: &Spanned<V>) -> String {
        format!("line {}: {}: field `{field}`", self.line(raw), self.label)
    }

    /// The line of a value, counted from 1.
    fn line<V>(&self, raw: &Spanned<V>) -> usize {
        let before = self.text.get(..raw.span().start).unwrap_or_default();
        1 + before.bytes().filter(|&byte| byte == b'\n').count()
    }
}

fn page_policy(text: &str) -> Result<PagePolicy> {
    [PagePolicy::Largest, PagePolicy::FourKib]
        .into_iter()
        .find(|policy| policy.to_string() == text)
        .with_context(|| format!("`{text}`: expected `largest` or `4k`"))
}

/// Percent of one host CPU.
fn cap(text: &str) -> Result<Cap> {
    let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
    let percent =
        number.with_context(|| format!("`{text}`: expected percent of one host CPU, such as 150%"))?;
    Ok(Cap::new(percent)?)
}

fn tsc_hz(hz: u64) -> Result<u64> {
    // Slower and faster counters do not exist, but slips of a thousand do.
    ensure!((100_000_000..=100_000_000_000).contains(&hz), "{hz} Hz: expected 100 MHz to 100 GHz");
    Ok(hz)
}
