//! Faults on purpose, on any CPU; the pretended machine survives them all.

use godwit_host::{description::CpuState, machine::Fault};

use crate::{
    fake::FakeMachine,
    world::{Setup, World},
};

fn ready(cpus: u16) -> World {
    Setup { machine: FakeMachine::new(cpus), ..Setup::default() }.ready()
}

/// What `selftest name` says where the fault on `cpu` comes to nothing.
fn survived(name: &str, cpu: &str) -> String {
    format!(
        "selftest {name}: the fault report of {cpu} follows\n\
         selftest {name}: failed: {cpu} went on as if nothing had happened\n"
    )
}

#[test]
fn every_fault_is_announced_and_raised() {
    let mut world = ready(2);
    for (name, fault) in [
        ("panic", Fault::Panic),
        ("divide", Fault::DivideError),
        ("opcode", Fault::InvalidOpcode),
        ("gp", Fault::GeneralProtection),
        ("page-fault", Fault::PageFault),
        ("write-code", Fault::WriteToCode),
        ("write-alias", Fault::WriteToCodeAlias),
        ("exec-data", Fault::ExecuteData),
        ("double-fault", Fault::DoubleFault),
        ("stack-overflow", Fault::StackOverflow),
        ("nmi", Fault::Nmi),
    ] {
        assert_eq!(world.command(&format!("selftest {name}")), survived(name, "cpu0"));
        assert_eq!(world.machine.state().provoked, [(0, fault)]);
        assert_eq!(world.command(&format!("selftest {name} cpu1")), survived(name, "cpu1"));
        assert_eq!(world.machine.state().provoked, [(0, fault), (1, fault)]);
        world.machine.state().provoked.clear();
    }
}

#[test]
fn a_cpu_is_named_by_its_number_with_or_without_cpu() {
    let mut world = ready(4);
    for (word, number) in [("cpu0", 0), ("3", 3), ("cpu2", 2)] {
        world.command(&format!("selftest nmi {word}"));
        assert_eq!(world.machine.state().provoked.pop(), Some((number, Fault::Nmi)));
    }
}

#[test]
fn a_cpu_that_cannot_raise_a_fault_is_refused_and_the_others_are_named() {
    let mut machine = FakeMachine::new(5);
    machine.description.cpus[3].state = CpuState::Silent;
    let mut world = Setup { machine, ..Setup::default() }.ready();
    let running = "running: cpu0 to cpu2, cpu4\n";
    for (command, why) in [
        ("panic cpu3", "cpu3 does not run; "),
        ("panic 5", "there is no cpu5; "),
        ("panic cpu65535", "there is no cpu65535; "),
        ("panic cpu65536", "expected a CPU such as cpu0, not \"cpu65536\"; "),
        ("panic cpu", "expected a CPU such as cpu0, not \"cpu\"; "),
        ("panic +1", "expected a CPU such as cpu0, not \"+1\"; "),
        ("panic CPU1", "expected a CPU such as cpu0, not \"CPU1\"; "),
    ] {
        assert_eq!(world.command(&format!("selftest {command}")), format!("selftest panic: {why}{running}"));
    }
    for name in ["clock", "all"] {
        let why = "takes no CPU: only a fault is raised on a CPU of choice";
        assert_eq!(world.command(&format!("selftest {name} cpu1")), format!("selftest {name}: {why}\n"));
    }
    assert_eq!(world.command("selftest pnic cpu9"), "unknown selftest \"pnic\": did you mean \"panic\"?\n");
    assert!(world.machine.state().provoked.is_empty());
}

#[test]
fn a_cpu_that_neither_faults_nor_answers_is_noticed() {
    let mut world = Setup { machine: FakeMachine::new(3), ..Setup::default() }.build();
    world.lose_cpu(2);
    world.run();
    world.output();
    world.feed(b"selftest panic cpu2\r");
    for _ in 0..20 {
        world.turn();
        // Nobody reads it; what lies there keeps the clock of the pretended machine from moving on.
        world.machine.state().mailboxes[2].clear();
    }
    let output = world.output();
    assert!(output.contains("selftest panic: failed: no answer within 5 s from cpu2\n"), "{output}");
    assert!(output.ends_with("lab-a> "), "{output}");
}

#[test]
fn a_fault_waits_for_room_in_a_full_mailbox() {
    let mut world = ready(2);
    world.machine.state().mailbox_size = 0;
    world.feed(b"selftest gp cpu1\r");
    for _ in 0..20 {
        world.turn();
    }
    assert!(world.machine.state().provoked.is_empty());
    world.machine.state().mailbox_size = 1;
    world.run();
    assert_eq!(world.machine.state().provoked, [(1, Fault::GeneralProtection)]);
}
