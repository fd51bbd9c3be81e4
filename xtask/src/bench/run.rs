//! Runs a case: the candidates in turn, as often as there are rounds.

use anyhow::{Result, bail};

use super::candidate::Candidate;
use super::case::{Case, Clients, Effort, Kind};
use super::progress::Progress;
use super::round::{self, Round};
use super::stand::{Behind, Setting, Stand};
use crate::sys;

/// Rounds after which a candidate that has always failed is given up.
const TRIES: usize = 2;
/// Descriptors of a balancer that are not for connections.
const SPARE: usize = 200;

/// A candidate and its rounds; those that failed have the reason.
#[derive(Debug, Clone)]
pub struct Row {
    /// The candidate.
    pub candidate: Candidate,
    /// Its rounds, in order.
    pub rounds: Vec<Result<Round, String>>,
}

impl Row {
    /// Whether another round would be a waste of time.
    fn is_hopeless(&self) -> bool {
        self.rounds.len() >= TRIES && self.rounds.iter().all(Result::is_err)
    }
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
    setting: Setting,
    progress: &mut Progress,
) -> Result<Outcome> {
    let mut outcome = Outcome {
        case,
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    let rounds = effort.rounds_of(case);
    match case.kind {
        Kind::Load(works) => {
            let behind = if case.broker {
                Behind::Mosquitto
            } else {
                Behind::Prepared(1)
            };
            let able = case.candidates().collect();
            let start = |candidate| Stand::start(candidate, setting, case.connections, behind);
            let stands = outcome.stands(able, start, rounds, progress)?;
            outcome.alternate(stands, rounds, progress, |stand| {
                round::load::round(stand, case, works, effort)
            })?;
        }
        Kind::Storm(clients) => {
            let (clients, able) = outcome.able(clients, effort, progress)?;
            let behind = Behind::Prepared(round::storm::PROCESSES);
            let start = |candidate| Stand::start(candidate, setting, clients, behind);
            let stands = outcome.stands(able, start, rounds, progress)?;
            outcome.alternate(stands, rounds, progress, |stand| {
                round::storm::round(stand, clients)
            })?;
        }
        Kind::Idle { clients, pings } => {
            let (clients, able) = outcome.able(clients, effort, progress)?;
            outcome.alternate(able, rounds, progress, |candidate| {
                round::memory::round(*candidate, setting, clients, pings)
            })?;
            outcome.share_of_balancer();
        }
        Kind::Start => {
            let able = case.candidates().collect();
            outcome.alternate(able, rounds, progress, |candidate| {
                round::start::round(*candidate, setting)
            })?;
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
    /// The number of clients, and the candidates with enough descriptors for them.
    fn able(
        &mut self,
        clients: Clients,
        effort: &Effort,
        progress: &mut Progress,
    ) -> Result<(usize, Vec<Candidate>)> {
        let clients = effort.of(clients).unwrap_or(0);
        let (limit, _) = sys::open_files_limit()?;
        let mut able = Vec::new();
        for candidate in self.case.candidates() {
            let needed = candidate.descriptors() * clients + SPARE;
            if needed as u64 <= limit {
                able.push(candidate);
                continue;
            }
            let error =
                anyhow::anyhow!("needs {needed} open files, and a process may have {limit} here");
            self.leave_out(candidate, &error, effort.rounds_of(self.case), progress)?;
        }
        Ok((clients, able))
    }

    /// Those of the candidates that start and let a client in.
    fn stands(
        &mut self,
        candidates: Vec<Candidate>,
        start: impl Fn(Candidate) -> Result<Stand>,
        rounds: usize,
        progress: &mut Progress,
    ) -> Result<Vec<Stand>> {
        let mut stands = Vec::new();
        for candidate in candidates {
            let stand = start(candidate);
            match stand.and_then(|mut stand| stand.prove().map(|()| stand)) {
                Ok(stand) => stands.push(stand),
                Err(error) => self.leave_out(candidate, &error, rounds, progress)?,
            }
        }
        Ok(stands)
    }

    /// A B C C B A A B C …: what comes slowly, such as a warmer processor, hits all
    /// alike.
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
        for n in 0..rounds {
            let mut turn: Vec<_> = all.iter_mut().zip(&mut self.rows).collect();
            if n % 2 == 1 {
                turn.reverse();
            }
            for (one, row) in turn {
                if row.is_hopeless() {
                    progress.skip(1);
                    continue;
                }
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
