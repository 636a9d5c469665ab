//! Every kind of fault stops all processors and leaves a report that says what happened and where.

use anyhow::{Context, Result, ensure};
use godwit_lab::{FaultReport, RunningHost};
use godwit_scenarios::{ANSWER, boot, fault_report, sized_spec};

/// Where the image is linked: the top 2 GiB of the address space.
const IMAGE_START: u64 = 0xffff_ffff_8000_0000;
/// Where all RAM is mapped.
const DIRECT_MAP_START: u64 = 0xffff_8000_0000_0000;

/// Boots a host with two CPUs, raises a fault by `selftest name`, and returns the report.
fn raise(name: &str) -> Result<FaultReport> {
    raise_on(2, name, None)
}

/// As [`raise`], with `cpu_count` CPUs, the fault on CPU number `cpu` where that is given, else on the monitor's.
fn raise_on(cpu_count: u32, name: &str, cpu: Option<u32>) -> Result<FaultReport> {
    let (host, _) = boot(&sized_spec("falling", cpu_count, "128MiB")?)?;
    host.type_line(&match cpu {
        Some(cpu) => format!("selftest {name} cpu{cpu}"),
        None => format!("selftest {name}"),
    })?;
    let report = fault_report(&host)?;
    ensure_whole(&report, cpu_count as usize)?;
    let expected = format!("cpu{}", cpu.unwrap_or(0));
    ensure!(report.cpu == expected, "not raised on {expected}: {report:x?}");
    Ok(report)
}

/// What every report has: names in its backtrace, and each of the other CPUs, of at most ten, stopped.
fn ensure_whole(report: &FaultReport, cpu_count: usize) -> Result<()> {
    ensure!(!report.backtrace.is_empty(), "no backtrace: {report:x?}");
    let named = report.backtrace.iter().filter(|code| code.address >= IMAGE_START && code.name.is_some());
    // The function that failed and who called it.
    ensure!(named.count() >= 2, "functions without names: {report:x?}");
    let mut cpus: Vec<_> = report.stopped.iter().map(|(cpu, _)| cpu).chain([&report.cpu]).collect();
    cpus.sort();
    let all: Vec<_> = (0..cpu_count).map(|cpu| format!("cpu{cpu}")).collect();
    ensure!(cpus.into_iter().eq(&all), "not every CPU is accounted for: {report:x?}");
    for (cpu, stopped) in &report.stopped {
        let stopped = stopped.as_ref().with_context(|| format!("{cpu} did not answer"))?;
        ensure!(
            stopped.address >= IMAGE_START && stopped.name.is_some(),
            "{cpu} was stopped at {stopped:x?}"
        );
    }
    Ok(())
}

/// What the report of an exception has: its vector, and registers that agree with the backtrace.
fn ensure_exception(report: &FaultReport, name: &str, vector: u8) -> Result<()> {
    ensure!((report.name.as_str(), report.vector) == (name, Some(vector)), "{report:x?}");
    for register in ["rip", "rsp", "rflags", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r15"] {
        ensure!(report.registers.contains_key(register), "no {register}: {report:x?}");
    }
    ensure!(report.backtrace[0].address == report.registers["rip"], "{report:x?}");
    Ok(())
}

#[test]
fn panic() -> Result<()> {
    ensure_panic(&raise("panic")?)
}

fn ensure_panic(report: &FaultReport) -> Result<()> {
    ensure!((report.name.as_str(), report.vector) == ("panic", None), "{report:x?}");
    let message = report.message.as_deref().unwrap_or_default();
    ensure!(message.contains("on purpose") && message.contains(".rs:"), "{message}");
    ensure!(report.was_in("provoke"), "{report:x?}");
    Ok(())
}

#[test]
fn divide_error() -> Result<()> {
    let report = raise("divide")?;
    ensure_exception(&report, "divide error", 0)?;
    ensure!(report.error_code.is_none() && report.was_in("provoke::divide_error"), "{report:x?}");
    Ok(())
}

#[test]
fn invalid_opcode() -> Result<()> {
    let report = raise("opcode")?;
    ensure_exception(&report, "invalid opcode", 6)?;
    ensure!(report.error_code.is_none() && report.was_in("provoke::invalid_opcode"), "{report:x?}");
    Ok(())
}

#[test]
fn general_protection() -> Result<()> {
    let report = raise("gp")?;
    ensure_exception(&report, "general protection fault", 13)?;
    ensure!(report.error_code == Some(0) && report.was_in("provoke::"), "{report:x?}");
    Ok(())
}

#[test]
fn page_fault() -> Result<()> {
    ensure_page_fault(&raise("page-fault")?)
}

fn ensure_page_fault(report: &FaultReport) -> Result<()> {
    ensure_exception(report, "page fault", 14)?;
    ensure!(report.error_code == Some(0) && report.error_meaning == "not present, read", "{report:x?}");
    ensure!(report.registers["cr2"] == 0x1234_5678_9000 && report.was_in("provoke::"), "{report:x?}");
    Ok(())
}

#[test]
fn write_to_code() -> Result<()> {
    let report = raise("write-code")?;
    ensure_exception(&report, "page fault", 14)?;
    ensure!(report.error_code == Some(0b11) && report.error_meaning == "present, write", "{report:x?}");
    ensure!(report.registers["cr2"] >= IMAGE_START && report.was_in("provoke::write_to_code"), "{report:x?}");
    Ok(())
}

#[test]
fn write_to_an_alias_of_code() -> Result<()> {
    let report = raise("write-alias")?;
    ensure_exception(&report, "page fault", 14)?;
    ensure!(report.error_code == Some(0b11) && report.error_meaning == "present, write", "{report:x?}");
    ensure!(report.was_in("provoke::write_to_code_alias"), "{report:x?}");
    // The address is the code's own in another map: what ran there has the same distance to it as in the image.
    let written = report.registers["cr2"].wrapping_sub(DIRECT_MAP_START).wrapping_add(IMAGE_START);
    let code_before = report.registers["rip"].wrapping_sub(written);
    ensure!(report.registers["cr2"] < IMAGE_START && code_before < 16 << 20, "{report:x?}");
    Ok(())
}

#[test]
fn execute_data() -> Result<()> {
    let report = raise("exec-data")?;
    ensure!((report.name.as_str(), report.vector) == ("page fault", Some(14)), "{report:x?}");
    ensure!(report.error_code == Some(0b1_0001) && report.error_meaning == "present, fetch", "{report:x?}");
    // Data has no frame of its own: what called it is missing too, and the loop that called that is there.
    ensure!(report.registers["cr2"] == report.registers["rip"] && report.was_in("cpu_loop"), "{report:x?}");
    Ok(())
}

#[test]
fn double_fault() -> Result<()> {
    ensure_double_fault(&raise("double-fault")?)
}

fn ensure_double_fault(report: &FaultReport) -> Result<()> {
    ensure_exception(report, "double fault", 8)?;
    ensure!(report.error_code == Some(0) && report.was_in("provoke::divide_error"), "{report:x?}");
    Ok(())
}

#[test]
fn stack_overflow() -> Result<()> {
    ensure_stack_overflow(&raise("stack-overflow")?)
}

fn ensure_stack_overflow(report: &FaultReport) -> Result<()> {
    ensure!(matches!(report.vector, Some(8 | 14)), "{report:x?}");
    let guard = format!("lies in the guard under a stack of {}: stack overflow", report.cpu);
    ensure!(report.remarks.iter().any(|remark| remark.ends_with(&guard)), "{report:x?}");
    ensure!(report.was_in("provoke::stack_overflow"), "{report:x?}");
    Ok(())
}

#[test]
fn nmi_by_interprocessor_interrupt() -> Result<()> {
    ensure_nmi(&raise("nmi")?)
}

fn ensure_nmi(report: &FaultReport) -> Result<()> {
    ensure!(report.vector == Some(2) && report.was_in("provoke::non_maskable"), "{report:x?}");
    Ok(())
}

#[test]
fn panic_on_another_processor() -> Result<()> {
    ensure_panic(&raise_on(2, "panic", Some(1))?)
}

#[test]
fn page_fault_on_another_processor() -> Result<()> {
    ensure_page_fault(&raise_on(2, "page-fault", Some(1))?)
}

#[test]
fn double_fault_on_another_processor() -> Result<()> {
    ensure_double_fault(&raise_on(2, "double-fault", Some(1))?)
}

#[test]
fn stack_overflow_on_another_processor() -> Result<()> {
    ensure_stack_overflow(&raise_on(2, "stack-overflow", Some(1))?)
}

#[test]
fn nmi_on_another_processor() -> Result<()> {
    ensure_nmi(&raise_on(2, "nmi", Some(1))?)
}

#[test]
fn page_fault_on_the_last_of_four_processors() -> Result<()> {
    ensure_page_fault(&raise_on(4, "page-fault", Some(3))?)
}

#[test]
fn a_processor_that_is_not_there_is_refused() -> Result<()> {
    let host = idle_host()?;
    let answer = host.command("selftest page-fault cpu2", ANSWER)?;
    ensure!(answer.contains("there is no cpu2; running: cpu0, cpu1"), "{answer}");
    Ok(())
}

/// A host with two CPUs that waits at its prompt.
fn idle_host() -> Result<RunningHost> {
    Ok(boot(&sized_spec("waiting", 2, "128MiB")?)?.0)
}

#[test]
fn nmi_from_outside() -> Result<()> {
    let host = idle_host()?;
    let said = host.qemu_monitor("nmi")?;
    ensure!(said.trim().is_empty(), "QEMU said: {said}");
    let report = fault_report(&host)?;
    ensure!(report.vector == Some(2), "{report:x?}");
    ensure_whole(&report, 2)
}

/// Injects a machine check on `cpu` of a host with two.
fn machine_check(cpu: usize) -> Result<()> {
    let host = idle_host()?;
    // Bank 1: valid, uncorrected, enabled, processor context corrupt (SDM vol. 3, 17.3.2.2); in progress.
    let said = host.qemu_monitor(&format!("mce {cpu} 1 0xb200000000000000 0x4 0 0"))?;
    ensure!(said.trim().is_empty(), "QEMU said: {said}");
    let report = fault_report(&host)?;
    ensure_exception(&report, "machine check", 18)?;
    ensure!(report.cpu == format!("cpu{cpu}"), "{report:x?}");
    let bank = |remark: &String| remark.contains("bank 1") && remark.contains("0xb200000000000000");
    ensure!(report.remarks.iter().any(bank), "the bank is not named: {report:x?}");
    ensure_whole(&report, 2)
}

#[test]
fn machine_check_on_the_boot_processor() -> Result<()> {
    machine_check(0)
}

#[test]
fn machine_check_on_another_processor() -> Result<()> {
    machine_check(1)
}

#[test]
fn every_one_of_many_processors_is_stopped() -> Result<()> {
    let (host, _) = boot(&sized_spec("falling", 8, "128MiB")?)?;
    host.type_line("selftest page-fault")?;
    ensure_whole(&fault_report(&host)?, 8)
}
