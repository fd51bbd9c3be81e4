//! `cargo xtask test`: everything that shows that the project works.

mod silence;
mod tally;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::tally::Tally;
use crate::build::{self, OBJECT_VARIABLE};
use crate::command::{self, cargo};
use crate::step::{human, step};
use crate::{lint, setup, sys};

/// One part of the run and how it went.
struct Stage {
    name: &'static str,
    took: Duration,
    tally: Tally,
    result: Result<()>,
}

/// Installs what the tests need, builds, then runs the unit tests, the
/// end-to-end tests and the lints: all of them, even after a failure.
/// `filter` goes to the end-to-end tests' own command line.
///
/// # Errors
/// If anything failed.
pub fn test(filter: &[String]) -> Result<()> {
    let start = Instant::now();
    if !sys::is_root() {
        bail!(
            "the end-to-end tests make network namespaces and load BPF programs: run \
             `sudo -E env PATH=\"$PATH\" cargo xtask test`, or `cargo test` for the unit tests alone"
        );
    }
    setup::setup(false, true)?;
    let object = build::object()?;
    let binary = step("mqtt-lb", || build::userspace(&object, false))?;
    let stages = [
        stage("unit tests", |tally| unit_tests(&object, tally)),
        stage("end-to-end tests", |tally| {
            end_to_end_tests(&binary, filter, tally)
        }),
        stage("lint", |_| lint::lint()),
    ];
    summarise(&stages, start.elapsed())
}

fn stage(name: &'static str, work: impl FnOnce(&mut Tally) -> Result<()>) -> Stage {
    let start = Instant::now();
    let mut tally = Tally::default();
    let result = step(name, || work(&mut tally));
    if let Err(error) = &result {
        eprintln!("error: {name}: {error:#}");
    }
    Stage {
        name,
        took: start.elapsed(),
        tally,
        result,
    }
}

fn unit_tests(object: &Path, tally: &mut Tally) -> Result<()> {
    let mut cargo = cargo();
    cargo
        .args(["test", "--locked", "--no-fail-fast", "--workspace"])
        .args(["--exclude", "mqtt-lb-tests"])
        .env(OBJECT_VARIABLE, object);
    libtest(&mut cargo, tally)
}

fn end_to_end_tests(binary: &Path, filter: &[String], tally: &mut Tally) -> Result<()> {
    let mut cargo = cargo();
    cargo
        .args([
            "test",
            "--locked",
            "--no-fail-fast",
            "--package",
            "mqtt-lb-tests",
        ])
        // They measure memory and deadlines: one at a time.
        .args(["--", "--test-threads=1"])
        .args(filter)
        .env("MQTT_LB_BIN", binary)
        .env("MQTT_LB_NO_SKIP", "1");
    libtest(&mut cargo, tally)
}

/// Runs a `cargo test`, shows its output as it comes and counts its results.
fn libtest(cargo: &mut Command, tally: &mut Tally) -> Result<()> {
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", command::line(cargo)))?;
    let output = child.stdout.take().context("the output was asked for")?;
    let heard = silence::lines(&mut child, output, |line| {
        println!("{line}");
        tally.read(line);
    });
    let status = child.wait()?;
    heard?;
    if !status.success() || tally.failed > 0 {
        bail!("{} ({status})", command::line(cargo));
    }
    if tally.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

fn summarise(stages: &[Stage], total: Duration) -> Result<()> {
    println!("==> Summary");
    let mut sum = Tally::default();
    for Stage {
        name,
        took,
        tally,
        result,
    } in stages
    {
        let verdict = match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("{name:<18}{:>14}  {verdict}", human(*took));
        for line in &tally.lines {
            println!("    {line}");
        }
        sum.add(tally);
    }
    println!(
        "{:<18}{:>14}  setup and build included",
        "in all",
        human(total)
    );
    println!("{sum}");
    match stages.iter().filter(|stage| stage.result.is_err()).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} stages failed", stages.len()),
    }
}
