//! Build and test driver: `cargo xtask --help`.

mod bench;
mod build;
mod command;
mod compiler;
mod demo;
mod doctor;
mod ebpf;
mod kept;
mod licences;
mod linker;
mod lint;
mod paths;
mod programs;
mod rustc;
mod setup;
mod step;
mod sys;
mod test;
mod toolchain;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, tests and shows mqtt-lb.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing to build
    Setup {
        /// Also what the demo runs
        #[arg(long)]
        demo: bool,
        /// Also what the tests run
        #[arg(long)]
        test: bool,
    },
    /// Say what this machine has, what it lacks and what mends it
    Doctor,
    /// Build the eBPF half and mqtt-lb with it inside
    Build {
        /// Without optimisation, quicker to build
        #[arg(long)]
        debug: bool,
    },
    /// Build and run mqtt-lb: `cargo xtask run -- run --listen …`
    Run {
        /// Without optimisation, quicker to build
        #[arg(long)]
        debug: bool,
        /// Arguments of mqtt-lb
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Show a balancer at work: three mosquitto brokers, live clients, the stick table
    Demo {
        /// Stop after this many seconds instead of at Ctrl-C
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Run every test, as root: unit, end to end, then lint
    Test {
        /// Arguments of the end-to-end tests, for example a test's name
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Measure mqtt-lb beside plain forwarding, HAProxy and nginx, as root
    Bench {
        /// Fewer and shorter rounds: to see whether it works, not for figures
        #[arg(long)]
        quick: bool,
        /// Only this case; may be given several times
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// All hosts on one switch, the balancer with one interface
        #[arg(long)]
        one_arm: bool,
        /// Instead the parts one by one: CONNECT reader, hash, BPF programs and others
        #[arg(long, conflicts_with_all = ["quick", "only", "one_arm"])]
        micro: bool,
    },
    /// Formatting, clippy on both halves, documentation, licences
    Lint,
}

fn main() -> ExitCode {
    match perform(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup { demo, test } => setup::setup(demo, test),
        Task::Doctor => doctor::doctor(),
        Task::Build { debug } => {
            println!("{}", build::build(debug)?.display());
            Ok(())
        }
        Task::Run { debug, args } => build::run(debug, &args),
        Task::Demo { seconds } => demo::demo(seconds.map(Duration::from_secs)),
        Task::Test { filter } => test::test(&filter),
        Task::Bench {
            quick,
            only,
            one_arm,
            micro,
        } => match micro {
            true => bench::micro(),
            false => bench::bench(quick, one_arm, &only),
        },
        Task::Lint => lint::lint(),
    }
}
