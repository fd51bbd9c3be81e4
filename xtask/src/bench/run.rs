//! Runs a case: the candidates in turn, as often as there are rounds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::load::{Job, Work};
use serde_json::Value;

use super::candidate::Candidate;
use super::case::{Case, Effort, Kind};
use super::loader::Loader;
use super::memory;
use super::progress::Progress;
use super::stand::{PER_PROCESS, Programs, Stand};
use crate::sys;

/// Time for a load process to connect, beside a millisecond for each connection, and
/// to report, beside what it measures.
const PATIENCE: Duration = Duration::from_secs(20);
/// Part of the asked rate that must be reached.
const KEPT: f64 = 0.99;
/// Descriptors of a balancer that are not for connections.
const SPARE: usize = 200;

/// What was measured in one round.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Figures by their keys.
    pub values: BTreeMap<&'static str, f64>,
    /// Part of the machine, 0 to 1, that others have used meanwhile.
    pub foreign: f64,
}

/// A candidate and its rounds; those that failed have the reason.
#[derive(Debug, Clone)]
pub struct Row {
    /// The candidate.
    pub candidate: Candidate,
    /// Its rounds, in order.
    pub rounds: Vec<Result<Round, String>>,
}

/// What a case has yielded.
#[derive(Debug)]
pub struct Outcome {
    /// The case.
    pub case: &'static Case,
    /// Its candidates.
    pub rows: Vec<Row>,
    /// Candidates that could not be measured at all, and why.
    pub left_out: Vec<(Candidate, String)>,
}

/// Runs a case.
///
/// # Errors
/// Only when it is interrupted: a candidate that fails is part of the outcome.
pub fn run(
    case: &'static Case,
    effort: &Effort,
    programs: Programs,
    progress: &mut Progress,
) -> Result<Outcome> {
    let rounds = effort.rounds_of(case);
    let mut outcome = Outcome {
        case,
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    match case.kind {
        Kind::Load(works) => {
            let mut stands = Vec::new();
            for candidate in Candidate::ALL {
                match Stand::start(candidate, programs, case.connections) {
                    Ok(stand) => stands.push(stand),
                    Err(error) => outcome.leave_out(candidate, &error, rounds, progress)?,
                }
            }
            outcome.alternate(stands, rounds, progress, |stand| {
                load_round(stand, case, works, effort)
            })?;
        }
        Kind::Idle { connections, quick } => {
            let connections = if effort.quick {
                quick
            } else {
                Some(connections)
            };
            let connections = connections.unwrap_or(0);
            let (limit, _) = sys::open_files_limit()?;
            let mut able = Vec::new();
            for candidate in Candidate::ALL {
                let needed = candidate.descriptors() * connections + SPARE;
                if needed as u64 <= limit {
                    able.push(candidate);
                    continue;
                }
                let error = anyhow::anyhow!(
                    "needs {needed} open files, and a process may have {limit} here"
                );
                outcome.leave_out(candidate, &error, rounds, progress)?;
            }
            outcome.alternate(able, rounds, progress, |candidate| {
                idle_round(*candidate, programs, connections)
            })?;
            outcome.share_of_balancer();
        }
    }
    outcome.drop_hopeless();
    Ok(outcome)
}

/// Something that is a candidate.
trait Measured {
    fn candidate(&self) -> Candidate;
}

impl Measured for Candidate {
    fn candidate(&self) -> Candidate {
        *self
    }
}

impl Measured for Stand {
    fn candidate(&self) -> Candidate {
        self.candidate
    }
}

impl Outcome {
    /// A B C A B C …
    fn alternate<T: Measured>(
        &mut self,
        mut all: Vec<T>,
        rounds: usize,
        progress: &mut Progress,
        mut measure: impl FnMut(&mut T) -> Result<Round>,
    ) -> Result<()> {
        let rows = all.iter().map(|one| Row {
            candidate: one.candidate(),
            rounds: Vec::new(),
        });
        self.rows = rows.collect();
        for _ in 0..rounds {
            for (one, row) in all.iter_mut().zip(&mut self.rows) {
                let round = measure(one).map_err(|error| format!("{error:#}"));
                if sys::interrupted() {
                    bail!("interrupted");
                }
                progress.done(&line(self.case, row.candidate, &round));
                row.rounds.push(round);
            }
        }
        Ok(())
    }

    fn leave_out(
        &mut self,
        candidate: Candidate,
        error: &anyhow::Error,
        rounds: usize,
        progress: &mut Progress,
    ) -> Result<()> {
        if sys::interrupted() {
            bail!("interrupted");
        }
        progress.skip(rounds);
        self.left_out.push((candidate, format!("{error:#}")));
        Ok(())
    }

    /// A candidate that never worked is left out.
    fn drop_hopeless(&mut self) {
        let left_out = &mut self.left_out;
        self.rows.retain(|row| {
            if let (Some(Err(reason)), true) =
                (row.rounds.first(), row.rounds.iter().all(Result::is_err))
            {
                left_out.push((row.candidate, reason.clone()));
                return false;
            }
            true
        });
    }

    /// Takes from each slab what the same round of plain forwarding needed: client and
    /// backend have sockets of their own. What is left is the balancer's.
    fn share_of_balancer(&mut self) {
        let Some(at) = self
            .rows
            .iter()
            .position(|row| row.candidate == Candidate::Direct)
        else {
            return;
        };
        let direct = self.rows.remove(at);
        for row in &mut self.rows {
            for (round, base) in row.rounds.iter_mut().zip(&direct.rounds) {
                let Ok(own) = round else { continue };
                let Ok(base) = base else {
                    *round = Err("plain forwarding was not measured".into());
                    continue;
                };
                let slab = own.values["slab"] - base.values["slab"];
                own.values.insert("slab", slab);
                own.foreign = own.foreign.max(base.foreign);
                let total = slab + own.values["private"] + own.values["maps"];
                own.values.insert("total", total);
            }
        }
    }
}

fn load_round(
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
fn idle_round(candidate: Candidate, programs: Programs, connections: usize) -> Result<Round> {
    let mut stand = Stand::start(candidate, programs, connections)?;
    let pid = stand.balancer.as_ref().map(super::balancer::Balancer::pid);
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

/// A round as a line of progress.
fn line(case: &Case, candidate: Candidate, round: &Result<Round, String>) -> String {
    let shown = match round {
        Err(reason) => format!("FAILED: {reason}"),
        Ok(round) => {
            let known = case.metrics.iter().filter_map(|m| {
                Some(format!(
                    "{:.*} {}",
                    m.digits,
                    round.values.get(m.key)?,
                    m.title
                ))
            });
            known.collect::<Vec<_>>().join(", ")
        }
    };
    format!("{}: {}: {shown}", case.name, candidate.name())
}
