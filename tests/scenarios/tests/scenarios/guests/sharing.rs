//! Virtual CPUs that share the host's CPUs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use godwit_guest::description::{Cap, GuestDescription, HostCpus, Processors, VcpuCount, Weight};
use godwit_lab::GuestLine;
use godwit_scenarios::{
    ANSWER,
    guests::{Bundle, GuestHost, description, micro},
    linux::guest_line,
    sized_spec,
};

/// How long busy guests are watched.
const WATCHED: Duration = Duration::from_secs(4);

/// A guest that never stops by itself.
fn busy(name: &str, processors: Processors) -> Result<GuestDescription> {
    Ok(GuestDescription { processors, ..micro(name, "test=spin")? })
}

fn host(guests: impl IntoIterator<Item = GuestDescription>) -> Result<GuestHost> {
    let mut bundle = Bundle::new();
    for guest in guests {
        bundle.micro(guest)?;
    }
    bundle.boot(&sized_spec("north", 2, "256MiB")?)
}

/// CPU time that the first virtual CPU of each guest has had.
fn ran_ns(host: &GuestHost, names: &[&str]) -> Result<Vec<u64>> {
    let of = |name: &&str| -> Result<u64> {
        Ok(host.guest(name)?.vcpus.first().context("it has no virtual CPU")?.ran_ns)
    };
    names.iter().map(of).collect()
}

/// Lets guests run side by side; each one's share of all CPU time that they got.
fn shares(host: &GuestHost, names: &[&str]) -> Result<Vec<f64>> {
    for name in names {
        host.start(name)?;
    }
    let before = ran_ns(host, names)?;
    let end = Instant::now() + WATCHED;
    // The host is left alone meanwhile, but for its clock.
    while Instant::now() < end {
        host.command("selftest clock", ANSWER)?;
    }
    let used: Vec<_> =
        ran_ns(host, names)?.iter().zip(before).map(|(after, before)| after - before).collect();
    let all: u64 = used.iter().sum();
    Ok(used.iter().map(|used| *used as f64 / all as f64).collect())
}

#[test]
fn more_guests_than_cpus_all_go_on() -> Result<()> {
    let names = ["web-1", "web-2", "web-3", "web-4", "web-5"];
    let beating =
        |name| Ok(GuestDescription { autostart: true, ..micro(name, "test=heartbeat ms=20 count=0")? });
    let host = host(names.into_iter().map(beating).collect::<Result<Vec<_>>>()?)?;
    for name in names {
        host.ensure_state(name, "running")?;
        host.enter_console(name)?;
        host.expect_line("a beat", |line| line.starts_with("beat 20 "), ANSWER)?;
        host.leave_console(name)?;
    }
    Ok(())
}

#[test]
fn busy_guests_share_by_weight() -> Result<()> {
    let names = ["a", "b", "c", "d"];
    let weights = [100, 100, 200, 400];
    let guest = |(name, weight): (&&str, u64)| {
        busy(name, Processors { weight: Weight::new(weight)?, ..Processors::default() })
    };
    let host = host(names.iter().zip(weights).map(guest).collect::<Result<Vec<_>>>()?)?;
    let found = shares(&host, &names)?;
    for (share, weight) in found.iter().zip(weights) {
        let expected = weight as f64 / 800.0;
        ensure!((share - expected).abs() <= 0.15 * expected, "{found:?} by weights of {weights:?}");
    }
    Ok(())
}

#[test]
fn pins_and_caps_hold() -> Result<()> {
    let pins = HostCpus::new([1])?;
    let pinned = Processors { pins, ..Processors::default() };
    let capped = Processors { cap: Some(Cap::new(20)?), ..pinned };
    let nowhere = Processors { pins: HostCpus::new([5, 6])?, ..Processors::default() };
    let host = host([busy("capped", capped)?, busy("pinned", pinned)?, busy("nowhere", nowhere)?])?;
    host.tell("start", "nowhere", "it is pinned to cpu5, cpu6, and this host has cpu0, cpu1")?;
    let found = shares(&host, &["capped", "pinned"])?;
    // All that they get is one CPU.
    ensure!((0.15..=0.23).contains(&found[0]), "{found:?}: a cap of 20 % on one CPU");
    let said = host.command("guest capped", ANSWER)?;
    ensure!(said.contains("together at most 20 % of a CPU, pinned to cpu1"), "{said}");
    for name in ["capped", "pinned"] {
        let vcpus = host.guest(name)?.vcpus;
        ensure!(vcpus.iter().all(|vcpu| vcpu.cpu == 1), "{name} ran elsewhere: {vcpus:?}");
    }
    Ok(())
}

#[test]
fn linux_starts_all_its_cpus() -> Result<()> {
    let processors = Processors { count: VcpuCount::new(4)?, ..Processors::default() };
    let guest = description("web-1", 256, "console=ttyS0 quiet panic=-1 heartbeat=50 write=8 rate=2000")?;
    let mut bundle = Bundle::new();
    bundle.linux(GuestDescription { processors, ..guest }, false)?;
    let host = bundle.boot(&sized_spec("north", 2, "512MiB")?)?;
    host.start("web-1")?;
    host.enter_console("web-1")?;
    host.expect_line("its CPUs", |line| line == "godwit-guest: cpus 4", godwit_scenarios::linux::LINUX)?;
    guest_line(&host, "a round", |line| matches!(line, GuestLine::PagesOk { .. }).then_some(()))?;
    host.leave_console("web-1")?;
    let vcpus = host.guest("web-1")?.vcpus;
    ensure!(vcpus.len() == 4 && vcpus.iter().all(|vcpu| vcpu.ran_ns > 0), "{vcpus:?}");
    host.tell("stop", "web-1", "is stopped")
}
