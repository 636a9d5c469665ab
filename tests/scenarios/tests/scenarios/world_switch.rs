//! What reaches the host while a guest runs on it.

use anyhow::{Result, ensure};
use godwit_lab::FaultReport;
use godwit_scenarios::{boot, fault_report, sized_spec};

/// The world switch, where an NMI is taken that arrived in a guest or on the way to it and back.
const SWITCH: &str = "__svm_enter";
/// What QEMU shows of a CPU in the guest: protected mode without paging, where no host CPU ever is.
const GUEST_CR0: &str = "CR0=00000011";
/// How often a CPU is looked at until it is seen there.
const LOOKS: usize = 2_000;
/// Guests that run one after the other meanwhile.
const GUESTS: usize = 16;
/// How often the CPU may leave between the look and the NMI.
const MOST_TRIES: usize = 12;

/// Where `cpu0` was, by function.
fn place_of_cpu0(report: &FaultReport) -> Option<&str> {
    let stopped = report.stopped.iter().find(|(cpu, _)| cpu == "cpu0").and_then(|(_, code)| code.as_ref());
    let own = report.backtrace.first().filter(|_| report.cpu == "cpu0");
    stopped.or(own)?.name.as_deref()
}

#[test]
fn an_nmi_stops_a_cpu_that_runs_a_guest() -> Result<()> {
    let mut places = Vec::new();
    for _ in 0..MOST_TRIES {
        let (host, _) = boot(&sized_spec("switching", 2, "128MiB")?)?;
        for _ in 0..GUESTS {
            host.type_line("selftest vcpu")?;
        }
        for _ in 0..LOOKS {
            if host.qemu_monitor("info registers")?.contains(GUEST_CR0) {
                break;
            }
        }
        host.qemu_monitor("nmi")?;
        let report = fault_report(&host)?;
        ensure!(report.vector == Some(2), "{report:x?}");
        ensure!(report.stopped.len() == 1, "the other CPU did not stop: {report:x?}");
        let place = place_of_cpu0(&report).map(str::to_owned);
        ensure!(place.is_some(), "cpu0 did not say where it was: {report:x?}");
        if place.as_ref().is_some_and(|place| place.contains(SWITCH)) {
            return Ok(());
        }
        places.extend(place);
    }
    anyhow::bail!("no NMI out of {MOST_TRIES} arrived while a guest ran, but in {places:?}")
}
