//! `cargo xtask bench --micro`: the criterion benchmarks, and a table of what they say.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::machine::Facts;
use super::table::{align, grouped};
use crate::command::{self, cargo};
use crate::step::step;
use crate::{build, paths, sys};

/// What a benchmark prints of its allocations in front of `NAME: COUNT`.
const ALLOCATIONS: &str = "allocations: ";

/// A benchmark's answer.
struct Answer {
    /// Group and name, with a slash between.
    name: String,
    /// Median of one call, in nanoseconds, and the bounds of its 95 % interval.
    median: [f64; 3],
}

/// Runs them all, prints a table, and writes it to `docs/bench/micro.md`.
///
/// # Errors
/// If one of them does not build or fails.
pub fn micro() -> Result<()> {
    if !sys::is_root() {
        println!("not root: the BPF programs are left out");
    }
    let object = build::object()?;
    sys::note_interrupts();
    let begin = SystemTime::now();
    let mut cargo = cargo();
    cargo.args(["bench", "--locked", "--package", "mqtt-lb-user"]);
    for name in benches(&paths::root().join("mqtt-lb-user/benches"))? {
        cargo.args(["--bench", &name]);
    }
    cargo.env(build::OBJECT_VARIABLE, object);
    let said = step("micro benchmarks", || listen(&mut cargo))?;
    let mut answers = Vec::new();
    collect(&paths::target().join("criterion"), begin, &mut answers)?;
    answers.sort_by(|a, b| a.name.cmp(&b.name));
    let table = table(&answers, &allocations(&said));
    println!("{table}");
    let dir = paths::root().join("docs/bench");
    fs::create_dir_all(&dir)?;
    let text = format!(
        "# Micro benchmarks\n\nWritten by `cargo xtask bench --micro`: time of one call, the \
         median and its 95 % interval\n(criterion), and how often the first one allocates. The \
         BPF programs are timed by the kernel\n(`BPF_PROG_TEST_RUN`), in whole nanoseconds a \
         packet.\n\n{}\n{table}",
        Facts::of_machine()?.list()
    );
    let file = dir.join("micro.md");
    fs::write(&file, text)?;
    println!("Written to {}", file.display());
    Ok(())
}

/// The names of the benchmarks in a directory: its files, and directories with a main.
fn benches(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_bench =
            path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").is_file();
        let name = path.file_stem().and_then(|name| name.to_str());
        names.extend(name.filter(|_| is_bench).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Runs a command and passes on what it prints; the lines.
fn listen(command: &mut std::process::Command) -> Result<Vec<String>> {
    let line = command::line(command);
    sys::keep(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let output = child.stdout.take().context("a piped output")?;
    let mut lines = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        lines.push(line);
        if sys::interrupted() {
            sys::terminate(&child);
        }
    }
    let status = child.wait()?;
    if sys::interrupted() {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(lines)
}

/// Reads what criterion has written below `dir` since `begin`.
fn collect(dir: &Path, begin: SystemTime, answers: &mut Vec<Answer>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let estimates = path.join("new/estimates.json");
        match fs::metadata(&estimates) {
            Ok(about) if about.modified()? >= begin => {
                let about = fs::read_to_string(path.join("new/benchmark.json"))?;
                let estimates = fs::read_to_string(&estimates)?;
                let answer = answer(&about, &estimates);
                answers.push(answer.with_context(|| format!("cannot read {}", path.display()))?);
            }
            _ if path.is_dir() => collect(&path, begin, answers)?,
            _ => {}
        }
    }
    Ok(())
}

/// From criterion's two files about a benchmark.
fn answer(about: &str, estimates: &str) -> Option<Answer> {
    let about: Value = serde_json::from_str(about).ok()?;
    let estimates: Value = serde_json::from_str(estimates).ok()?;
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    Some(Answer {
        name: about["full_id"].as_str()?.to_owned(),
        median: [
            median["point_estimate"].as_f64()?,
            interval["lower_bound"].as_f64()?,
            interval["upper_bound"].as_f64()?,
        ],
    })
}

/// Names and counts in the lines that tell allocations.
fn allocations(lines: &[String]) -> Vec<(&str, &str)> {
    let lines = lines.iter().filter_map(|l| l.strip_prefix(ALLOCATIONS));
    lines.filter_map(|line| line.rsplit_once(": ")).collect()
}

fn table(answers: &[Answer], allocations: &[(&str, &str)]) -> String {
    let mut lines = vec![
        ["", "ns", "95 % interval", "allocations"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for answer in answers {
        let count = allocations.iter().find(|(name, _)| *name == answer.name);
        let [median, low, high] = answer.median.map(|ns| grouped(ns, digits(ns)));
        let mut interval = String::new();
        let _ = write!(interval, "{low} to {high}");
        let count = count.map_or("", |(_, count)| count);
        lines.push(vec![
            answer.name.clone(),
            median,
            interval,
            count.to_owned(),
        ]);
    }
    align(&lines)
}

/// Digits behind the point: three that count.
fn digits(ns: f64) -> usize {
    match ns {
        ns if ns < 10.0 => 2,
        ns if ns < 100.0 => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_lines() {
        let about = r#"{ "full_id": "PROXY header/v2", "group_id": "PROXY header" }"#;
        let estimates = r#"{ "median": { "point_estimate": 12.34,
            "confidence_interval": { "lower_bound": 12.0, "upper_bound": 1234.5 } } }"#;
        let answer = answer(about, estimates).expect("an answer");
        let said = [
            "allocations: PROXY header/v2: 3".to_owned(),
            "noise".to_owned(),
        ];
        let table = table(&[answer], &allocations(&said));
        let line = table.lines().last().expect("a line");
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..5],
            ["PROXY header/v2", "12.3", "12.0 to 1,234", "3"]
        );
    }

    #[test]
    fn all_benches_are_found() {
        let names = benches(&paths::root().join("mqtt-lb-user/benches")).expect("benches");
        assert!(names.contains(&"connect".to_owned()));
        assert!(!names.contains(&"common".to_owned()));
    }
}
