//! The functions of an ELF file, by address.

use std::ops::Range;

use anyhow::{Context, Result};
use object::{
    Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf::SHF_EXECINSTR, read::elf::ElfFile64,
};

/// A function's first address and its readable name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Function {
    pub(crate) address: u64,
    pub(crate) name: String,
}

/// Every function of an image.
#[derive(Debug)]
pub(crate) struct Functions {
    /// By address, one for each.
    sorted: Vec<Function>,
    /// Where there is code.
    code: Vec<Range<u64>>,
}

impl Functions {
    /// Reads the symbol table of a 64-bit little-endian ELF file.
    ///
    /// Labels in hand-written assembly count as functions where no function has their address: they have no type.
    ///
    /// # Errors
    /// This is no such file, or it is damaged.
    pub(crate) fn read(elf: &[u8]) -> Result<Self> {
        let file: ElfFile64 = ElfFile64::parse(elf).context("no 64-bit ELF file")?;
        let mut code = Vec::new();
        let mut code_sections = Vec::new();
        for section in file.sections() {
            if let SectionFlags::Elf { sh_flags, .. } = section.flags()
                && sh_flags.contains(SHF_EXECINSTR)
            {
                code.push(section.address()..section.address().saturating_add(section.size()));
                code_sections.push(section.index());
            }
        }
        let mut candidates = Vec::new();
        for symbol in file.symbols() {
            let in_code = symbol.section_index().is_some_and(|index| code_sections.contains(&index));
            let is_label = symbol.kind() != SymbolKind::Text;
            if !in_code
                || !matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown)
            {
                continue;
            }
            // A name that is damaged is a name less, no reason to have none.
            let name = symbol.name().unwrap_or_default();
            if !name.is_empty() {
                candidates.push((symbol.address(), is_label, readable(name)));
            }
        }
        // Functions that the linker folded share an address: the shortest name stands for all.
        candidates.sort_by(|a, b| (a.0, a.1, a.2.len(), &a.2).cmp(&(b.0, b.1, b.2.len(), &b.2)));
        candidates.dedup_by_key(|candidate| candidate.0);
        let sorted = candidates.into_iter().map(|(address, _, name)| Function { address, name }).collect();
        Ok(Self { sorted, code })
    }

    /// The functions by address.
    pub(crate) fn sorted(&self) -> &[Function] {
        &self.sorted
    }

    /// `name+0xoffset` for an address in the image's code.
    pub(crate) fn describe(&self, address: u64) -> Option<String> {
        self.code.iter().find(|range| range.contains(&address))?;
        let after = self.sorted.partition_point(|function| function.address <= address);
        let function = self.sorted.get(after.checked_sub(1)?)?;
        Some(format!("{}+{:#x}", function.name, address - function.address))
    }
}

/// The name as the source has it, without the compiler's hash.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
pub(crate) mod tests;
