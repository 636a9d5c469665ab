//! The last words of a host, read back: what it said when an exception or a panic stopped it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, ensure};

/// How the line starts that begins a report.
const STARTS: [&str; 2] = ["godwit fault: ", "godwit panic on "];
/// The line that ends it.
const END: &str = "godwit halted";

/// A fault report, read from a transcript.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FaultReport {
    /// `page fault`, or `panic`.
    pub name: String,
    /// The exception's vector; a panic has none.
    pub vector: Option<u8>,
    /// The processor that reports, such as `cpu0`.
    pub cpu: String,
    /// A panic's message, with the place in the source.
    pub message: Option<String>,
    /// The error code, where the exception has one.
    pub error_code: Option<u64>,
    /// What the error code means, such as `not present, write`.
    pub error_meaning: String,
    /// Registers by name, such as `rip`.
    pub registers: BTreeMap<String, u64>,
    /// Other lines between the registers and the backtrace.
    pub remarks: Vec<String>,
    /// The functions under way, innermost first.
    pub backtrace: Vec<CodeAddress>,
    /// The other processors, and where they were stopped; `None` for one that did not answer.
    pub stopped: Vec<(String, Option<CodeAddress>)>,
}

/// An address in the image's code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeAddress {
    /// The address.
    pub address: u64,
    /// `function+0xoffset`, where the image knows it.
    pub name: Option<String>,
}

impl FaultReport {
    /// Whether `line` ends a report.
    pub fn is_end(line: &str) -> bool {
        line == END
    }

    /// Reads the first report in `transcript`.
    ///
    /// # Errors
    /// There is none, or it is not whole, or a line of it is not understood.
    pub fn parse(transcript: &str) -> Result<Self> {
        let mut lines =
            transcript.lines().skip_while(|line| !STARTS.iter().any(|start| line.starts_with(start)));
        let head = lines.next().context("no fault report")?;
        let mut report =
            Self::parse_head(head).with_context(|| format!("head of a fault report: `{head}`"))?;
        let mut in_backtrace = false;
        for line in lines {
            let words = line.trim();
            if Self::is_end(line) {
                return Ok(report);
            } else if words.is_empty() {
                continue;
            } else if line == "backtrace:" {
                in_backtrace = true;
            } else if let Some(stopped) = line.strip_prefix("stopped: ") {
                report.stopped.push(parse_stopped(stopped).with_context(|| format!("`{line}`"))?);
            } else if in_backtrace {
                let (number, code) = words.split_once(' ').with_context(|| format!("backtrace: `{line}`"))?;
                let expected = format!("#{}", report.backtrace.len());
                ensure!(number == expected, "backtrace: `{line}` where {expected} was due");
                report.backtrace.push(CodeAddress::parse(code).with_context(|| format!("`{line}`"))?);
            } else if let Some(error) = words.strip_prefix("error code ") {
                let (code, meaning) = error.split_once(' ').unwrap_or((error, ""));
                report.error_code = Some(hex(code).with_context(|| format!("`{line}`"))?);
                report.error_meaning = meaning.trim_matches(['(', ')']).to_owned();
            } else if let Some(registers) = parse_registers(words) {
                report.registers.extend(registers);
            } else {
                report.remarks.push(words.to_owned());
            }
        }
        Err(anyhow!("the fault report `{head}` does not end with `{END}`"))
    }

    /// Whether a function whose name contains `part` was under way.
    pub fn was_in(&self, part: &str) -> bool {
        self.backtrace.iter().any(|code| code.name.as_ref().is_some_and(|name| name.contains(part)))
    }

    fn parse_head(head: &str) -> Result<Self> {
        if let Some(fault) = head.strip_prefix(STARTS[0]) {
            let (name, rest) = fault.split_once(" (vector ").context("no vector")?;
            let (vector, cpu) = rest.split_once(") on ").context("no processor")?;
            let vector = Some(vector.parse().context("no vector")?);
            return Ok(Self { name: name.to_owned(), vector, cpu: cpu.to_owned(), ..Self::default() });
        }
        let panic = head.strip_prefix(STARTS[1]).context("unknown kind")?;
        let (cpu, message) = panic.split_once(": ").context("no message")?;
        let message = Some(message.to_owned());
        Ok(Self { name: "panic".to_owned(), cpu: cpu.to_owned(), message, ..Self::default() })
    }
}

impl CodeAddress {
    fn parse(text: &str) -> Result<Self> {
        let (address, name) = match text.split_once(' ') {
            Some((address, name)) => (address, Some(name.to_owned())),
            None => (text, None),
        };
        Ok(Self { address: hex(address)?, name })
    }
}

/// `cpu1 at 0x… name+0x…`, or `cpu1 did not answer`.
fn parse_stopped(text: &str) -> Result<(String, Option<CodeAddress>)> {
    let (cpu, rest) = text.split_once(' ').context("no processor")?;
    let code = rest.strip_prefix("at ").map(CodeAddress::parse).transpose()?;
    Ok((cpu.to_owned(), code))
}

/// Pairs of a name and a number, and nothing else.
fn parse_registers(line: &str) -> Option<Vec<(String, u64)>> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (pairs, rest) = words.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[name, number]| Some(((*name).to_owned(), hex(number).ok()?))).collect()
}

fn hex(text: &str) -> Result<u64> {
    let digits = text.strip_prefix("0x").with_context(|| format!("`{text}` is no number such as 0x12"))?;
    u64::from_str_radix(digits, 16).with_context(|| format!("`{text}` is no number such as 0x12"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_FAULT: &str = "a> selftest page-fault\n\
        \n\
        godwit fault: page fault (vector 14) on cpu0\n\
        \x20 error code 0x0000000000000002 (not present, write)\n\
        \x20 rip 0xffffffff80201234 rsp 0xffff900000001000 rflags 0x0000000000010002 cr2 0x0000123456789000\n\
        \x20 rax 0x0000000000000001 r8  0x00000000000000ff\n\
        \x20 0xffff900000000ff8 lies in the guard under a stack of cpu0: stack overflow\n\
        backtrace:\n\
        \x20 #0 0xffffffff80201234 godwit_machine::provoke::page_fault+0x12\n\
        \x20 #1 0xffffffff80201300 <A as B>::run+0x3\n\
        \x20 #2 0xffffffff80201400\n\
        stopped: cpu1 at 0xffffffff80201500 idle+0x40\n\
        stopped: cpu2 did not answer\n\
        godwit halted\n";

    #[test]
    fn reads_every_part() {
        let report = FaultReport::parse(PAGE_FAULT).unwrap();
        assert_eq!(
            (report.name.as_str(), report.vector, report.cpu.as_str()),
            ("page fault", Some(14), "cpu0")
        );
        assert_eq!((report.error_code, report.error_meaning.as_str()), (Some(2), "not present, write"));
        assert_eq!(report.registers["rip"], 0xffff_ffff_8020_1234);
        assert_eq!(report.registers["cr2"], 0x1234_5678_9000);
        assert_eq!((report.registers["r8"], report.registers.len()), (255, 6));
        assert_eq!(report.remarks.len(), 1);
        assert!(
            report.was_in("provoke::page_fault") && report.was_in("<A as B>::run") && !report.was_in("idle")
        );
        assert_eq!(report.backtrace[2], CodeAddress { address: 0xffff_ffff_8020_1400, name: None });
        assert_eq!(report.stopped[0].1.as_ref().unwrap().name.as_deref(), Some("idle+0x40"));
        assert_eq!(report.stopped[1], ("cpu2".to_owned(), None));
    }

    #[test]
    fn reads_a_panic() {
        let text = "godwit panic on cpu3: index out of range: 4 at src/x.rs:12\nbacktrace:\n  #0 0x10 f+0x1\ngodwit halted\n";
        let report = FaultReport::parse(text).unwrap();
        assert_eq!((report.name.as_str(), report.vector, report.cpu.as_str()), ("panic", None, "cpu3"));
        assert_eq!(report.message.as_deref(), Some("index out of range: 4 at src/x.rs:12"));
    }

    #[test]
    fn refuses_what_is_not_whole() {
        for (from, to, word) in [
            ("godwit fault", "godwit fine", "no fault report"),
            ("godwit halted", "", "does not end"),
            ("(vector 14)", "(vector 999)", "no vector"),
            ("#1", "#2", "where #1 was due"),
            ("code 0x0000000000000002", "code none", "`none`"),
        ] {
            let error = format!("{:#}", FaultReport::parse(&PAGE_FAULT.replace(from, to)).unwrap_err());
            assert!(error.contains(word), "{from}: `{word}` is not in: {error}");
        }
    }
}
