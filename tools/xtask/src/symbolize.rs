//! Names for the addresses in a serial log.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{symbols::Functions, workspace};

/// A log and the image that wrote it.
#[derive(Args)]
pub(crate) struct Options {
    /// The serial log; standard input where there is none
    log: Option<PathBuf>,
    /// The image that wrote it [default: target/godwit/godwit.elf]
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
}

/// Copies the log to standard output, with a name beside each address of the image's code.
pub(crate) fn run(options: &Options) -> Result<()> {
    let elf = options.elf.clone().unwrap_or_else(workspace::image);
    let shown = elf.display();
    let bytes = fs::read(&elf).with_context(|| format!("cannot read {shown}: run `cargo xtask build`"))?;
    let functions = Functions::read(&bytes).with_context(|| shown.to_string())?;
    let mut log: Box<dyn BufRead> = match &options.log {
        Some(path) => Box::new(BufReader::new(
            File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        None => Box::new(io::stdin().lock()),
    };
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? > 0 {
        output.write_all(symbolize(&String::from_utf8_lossy(&line), &functions).as_bytes())?;
        // A log may be live: each line is shown when it comes.
        output.flush()?;
        line.clear();
    }
    Ok(())
}

/// `line` with ` <name+0xoffset>` after each address of the code that has no name yet.
fn symbolize(line: &str, functions: &Functions) -> String {
    let mut output = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("0x") {
        let digits_at = at + 2;
        let after = &rest[digits_at..];
        let digits = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
        let (head, tail) = rest.split_at(digits_at + digits);
        output += head;
        // Offsets such as `name+0x12` are too small to be addresses of the image, which is linked at the top.
        let address = u64::from_str_radix(&after[..digits], 16).ok();
        if let Some(name) = address.and_then(|address| functions.describe(address))
            && !is_named(tail)
        {
            output += &format!(" <{name}>");
        }
        rest = tail;
    }
    output + rest
}

/// Whether the word after an address is a name with an offset already; names may hold spaces, so any `+0x` before the next
/// address counts.
fn is_named(tail: &str) -> bool {
    let until = tail.find(" 0x").unwrap_or(tail.len());
    tail[..until].contains("+0x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::tests::{CODE, TEXT, elf};

    fn shown(line: &str) -> String {
        let image =
            elf(&[("start", 2, CODE, TEXT), ("<T as core::fmt::Debug>::fmt", 2, CODE, TEXT + 0x80)], 0);
        symbolize(line, &Functions::read(&image).unwrap())
    }

    #[test]
    fn names_the_addresses_of_the_code() {
        assert_eq!(shown("  #0 0xffffffff80100012\r\n"), "  #0 0xffffffff80100012 <start+0x12>\r\n");
        assert_eq!(
            shown("rip 0xffffffff80100081 rsp 0xffff800000001000 cr2 0x0"),
            "rip 0xffffffff80100081 <<T as core::fmt::Debug>::fmt+0x1> rsp 0xffff800000001000 cr2 0x0"
        );
    }

    #[test]
    fn leaves_everything_else_as_it_is() {
        for line in [
            "",
            "no address here",
            "0x",
            "0xffffffffffffffffffffffffff",
            "  #0 0xffffffff80100012 start+0x12",
            "  #0 0xffffffff80100083 <T as core::fmt::Debug>::fmt+0x3",
            "0xffffffff80100100 0x1000 0xffffffff7fffffff",
            "gr\u{fc}n 0xz",
        ] {
            assert_eq!(shown(line), line);
        }
    }
}
