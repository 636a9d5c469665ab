//! `cargo xtask`: sets up, builds, tests, runs, demonstrates and measures Godwit.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod bundle;
mod demo;
mod fuzz;
mod guests;
mod lints;
mod linux;
mod mutants;
mod process;
mod run;
mod setup;
mod symbolize;
mod symbols;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Godwit's own tools: one command for each thing that one does with the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install the Debian packages that the other commands need, where they are missing
    Setup,
    /// Build the bootable image and link its function names into it
    Build,
    /// Set up, then run every check and every test
    Test(test::Options),
    /// Pack guests and their kernels into one boot module
    Bundle(bundle::Options),
    /// Boot one host in QEMU, with its monitor on this terminal
    Run(run::Options),
    /// Fetch the kernel of the Linux test guest, build its initramfs, and say where they lie
    Linux(linux::command::Options),
    /// Set up, build, and move a Linux guest from one emulated host to another
    Demo(demo::Options),
    /// Measure, beside the baselines
    Bench(bench::Options),
    /// Feed random and broken input to everything that parses or models what a guest or a peer writes
    Fuzz(fuzz::Options),
    /// Make errors on purpose, one after the other, and see that a named test finds each
    Mutants(mutants::Options),
    /// Put function names beside the addresses in a serial log
    Symbolize(symbolize::Options),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Arguments::parse().task {
        Task::Setup => setup::run().map(done),
        Task::Build => build::run().map(done),
        Task::Test(options) => test::run(&options),
        Task::Bundle(options) => bundle::run(&options).map(done),
        Task::Run(options) => run::run(&options).map(done),
        Task::Linux(options) => linux::command::run(&options).map(done),
        Task::Demo(options) => demo::run(&options).map(done),
        Task::Bench(options) => bench::run(&options).map(done),
        Task::Fuzz(options) => fuzz::run(&options).map(done),
        Task::Mutants(options) => mutants::run(&options),
        Task::Symbolize(options) => symbolize::run(&options).map(done),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
