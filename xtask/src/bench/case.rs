//! What a case is: what is done, what is measured, how long and how often.

use std::time::Duration;

use mqtt_lb_tests::load::Work;

use super::candidate::Candidate;

/// A figure of a case.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its key in results.json.
    pub key: &'static str,
    /// Its heading in tables: what and in which unit.
    pub title: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Digits behind the point.
    pub digits: usize,
    /// Whether it is a thing to be judged by, so that ratios are shown.
    pub compared: bool,
}

/// How a case is measured.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// The reports of load processes: key of the report's `rate`, and its work.
    Load(&'static [(&'static str, Work)]),
    /// Memory of so many idle connections.
    Idle {
        /// How many.
        clients: Clients,
        /// Whether each sends a ping afterwards.
        pings: bool,
    },
    /// So many clients at once.
    Storm(Clients),
    /// The balancer starts, and takes up another configuration.
    Start,
}

/// Clients of a case.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    /// Their number.
    pub whole: usize,
    /// Their number in a quick run; none: not in a quick run.
    pub quick: Option<usize>,
}

/// A case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// How.
    pub kind: Kind,
    /// Connections of a load process.
    pub connections: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Whether mosquitto is behind the balancer, and not a prepared backend.
    pub broker: bool,
    /// Whether it is run only when it is named.
    pub opt_in: bool,
    /// What is measured; the first is the one shown while it runs.
    pub metrics: &'static [Metric],
}

impl Case {
    /// Who takes part.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let is_bulk = match self.kind {
            Kind::Load(works) => works.iter().any(|(_, work)| matches!(work, Work::Bulk(_))),
            _ => false,
        };
        let is_start = matches!(self.kind, Kind::Start);
        Candidate::ALL.into_iter().filter(move |candidate| {
            (is_bulk || !candidate.is_for_bulk()) && !(is_start && *candidate == Candidate::Direct)
        })
    }
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Whether the figures are not to be kept.
    pub quick: bool,
    /// Rounds of each candidate in a case.
    pub rounds: usize,
    /// The same, where clients by the thousand come and stay.
    pub memory_rounds: usize,
    /// Time of load before it is measured.
    pub warm_up: Duration,
    /// Time measured.
    pub measured: Duration,
}

impl Effort {
    /// That of a quick run, or of a whole one.
    pub fn new(quick: bool) -> Self {
        Self {
            quick,
            rounds: if quick { 3 } else { 5 },
            memory_rounds: 3,
            warm_up: Duration::from_millis(300),
            measured: Duration::from_millis(if quick { 600 } else { 1200 }),
        }
    }

    /// Clients of a case in this run; none when it is not for this run.
    pub fn of(&self, clients: Clients) -> Option<usize> {
        if self.quick {
            clients.quick
        } else {
            Some(clients.whole)
        }
    }

    /// Rounds of a case; none when it is not for this run.
    pub fn rounds_of(&self, case: &Case) -> usize {
        match case.kind {
            Kind::Load(_) | Kind::Start => self.rounds,
            Kind::Idle { clients, .. } | Kind::Storm(clients) => match self.of(clients) {
                None => 0,
                Some(_) if case.opt_in => 1,
                Some(_) => self.memory_rounds,
            },
        }
    }
}
