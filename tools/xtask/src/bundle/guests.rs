//! Files of guests, in TOML.

use std::collections::HashSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use godwit_guest::description::{CommandLine, GuestDescription, GuestName, PagePolicy};
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
            name: self.field("name", &raw.name, |text| Ok(GuestName::new(text)?))?,
            memory_bytes: memory.mib().saturating_mul(BYTES_PER_MIB),
            command_line: self
                .optional("cmdline", raw.cmdline.as_ref(), |text| Ok(CommandLine::new(text)?))?,
            pages: self.optional("pages", raw.pages.as_ref(), page_policy)?,
            autostart: raw.autostart.unwrap_or(true),
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

    fn field<T>(&self, field: &str, raw: &Spanned<String>, read: impl Fn(&str) -> Result<T>) -> Result<T> {
        read(raw.get_ref()).with_context(|| self.place(field, raw))
    }

    fn optional<T: Default>(
        &self,
        field: &str,
        raw: Option<&Spanned<String>>,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        raw.map_or_else(|| Ok(T::default()), |raw| self.field(field, raw, read))
    }

    fn place(&self, field: &str, raw: &Spanned<String>) -> String {
        format!("line {}: {}: field `{field}`", self.line(raw), self.label)
    }

    /// The line of a value, counted from 1.
    fn line(&self, raw: &Spanned<String>) -> usize {
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
