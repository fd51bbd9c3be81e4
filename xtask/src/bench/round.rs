//! One round of one candidate.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::load::{Job, Work};
use serde_json::Value;

use super::balancer::Balancer;
use super::candidate::Candidate;
use super::case::{Case, Effort};
use super::loader::Loader;
use super::memory;
use super::stand::{PER_PROCESS, Programs, Stand};

/// Time for a load process to connect, beside a millisecond for each connection, and
/// to report, beside what it measures.
const PATIENCE: Duration = Duration::from_secs(20);
/// Part of the asked rate that must be reached.
const KEPT: f64 = 0.99;

/// What was measured in one round.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Figures by their keys.
    pub values: BTreeMap<&'static str, f64>,
    /// Part of the machine, 0 to 1, that others have used meanwhile.
    pub foreign: f64,
}

/// A round of load: its work, one after the other, each with connections of its own.
///
/// # Errors
/// If a part of it fails, or the connections are not on the path to be measured.
pub fn of_load(
    stand: &mut Stand,
    case: &Case,
    works: &[(&'static str, Work)],
    effort: &Effort,
) -> Result<Round> {
    let mut round = Round::default();
    for (key, work) in works {
        let mut job = Job::new(*work, stand.targets[0]);
        job.connections = case.connections;
        job.warm_up = effort.warm_up;
        job.measured = effort.measured;
        let mut loader = Loader::start(stand.load(), &stand.lab.client, &job, PATIENCE)?;
        if *work != Work::Connect {
            stand.settle(case.connections)?;
        }
        let before = Clock::now();
        loader.go()?;
        let report = loader.report(PATIENCE + job.warm_up + job.measured)?;
        round.foreign = round.foreign.max(Clock::now().foreign_since(before));
        let rate = number(&report, "rate")?;
        if *work == Work::Paced && rate < KEPT * job.rate as f64 {
            bail!("only {rate:.0} of {} messages/s", job.rate);
        }
        for metric in case.metrics {
            let from = if metric.key == *key {
                "rate"
            } else {
                metric.key
            };
            if let Ok(value) = number(&report, from) {
                round.values.insert(metric.key, value);
            }
        }
    }
    Ok(round)
}

/// Memory for each connection, of a stand made for this round: what others have left
/// behind in the kernel goes with their namespaces.
///
/// # Errors
/// As in [`of_load`].
pub fn of_memory(candidate: Candidate, programs: Programs, connections: usize) -> Result<Round> {
    let mut stand = Stand::start(candidate, programs, connections)?;
    stand.prove()?;
    let pid = stand.balancer.as_ref().map(Balancer::pid);
    let private = || pid.map_or(0, memory::private) as f64;
    let clock = Clock::now();
    let before = (memory::settled_slab() as f64, private());
    let mut clients = Vec::new();
    for (n, target) in stand.targets.iter().enumerate() {
        let mut job = Job::new(Work::Idle, *target);
        job.connections = PER_PROCESS.min(connections - n * PER_PROCESS);
        let time = PATIENCE + Duration::from_millis(4 * job.connections as u64);
        clients.push(Loader::start(programs.load, &stand.lab.client, &job, time)?);
    }
    stand.settle(connections)?;
    let after = (memory::settled_slab() as f64, private());
    let maps = pid.map_or(0, memory::maps) as f64;
    for client in &mut clients {
        client.go()?;
        let lost = number(&client.report(PATIENCE)?, "lost")?;
        if lost > 0.0 {
            bail!("{lost} connections did not stay idle");
        }
    }
    let each = |bytes: f64| bytes / connections as f64;
    Ok(Round {
        values: BTreeMap::from([
            ("slab", each(after.0 - before.0)),
            ("private", each(after.1 - before.1)),
            ("maps", each(maps)),
        ]),
        foreign: Clock::now().foreign_since(clock),
    })
}

fn number(report: &Value, key: &str) -> Result<f64> {
    match report[key].as_f64() {
        Some(number) => Ok(number),
        None => bail!("no {key} in {report}"),
    }
}
