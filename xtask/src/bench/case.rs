//! The cases: what is done and what is measured.

use std::time::Duration;

use mqtt_lb_tests::load::{Direction, Work};

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
    /// Memory of that many idle connections; a quick run has fewer.
    Idle {
        /// Connections.
        connections: usize,
        /// Connections in a quick run; none: not in a quick run.
        quick: Option<usize>,
    },
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
    /// What is measured; the first is the one shown while it runs.
    pub metrics: &'static [Metric],
}

const fn more(key: &'static str, title: &'static str, digits: usize) -> Metric {
    Metric {
        key,
        title,
        more_is_better: true,
        digits,
        compared: true,
    }
}

const fn less(key: &'static str, title: &'static str, digits: usize) -> Metric {
    Metric {
        more_is_better: false,
        ..more(key, title, digits)
    }
}

const fn part(key: &'static str, title: &'static str) -> Metric {
    Metric {
        compared: false,
        ..less(key, title, 0)
    }
}

const MEMORY: &[Metric] = &[
    less("total", "bytes", 0),
    part("private", "private memory"),
    part("slab", "kernel slab"),
    part("maps", "BPF maps"),
];

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        name: "request",
        about: "Request and answer: 50 connections, each with one PUBLISH (QoS 1, 128 B) in \
                flight; the next goes out when the PUBACK is in.",
        kind: Kind::Load(&[("rate", Work::Request)]),
        connections: 50,
        metrics: &[
            more("rate", "messages/s", 0),
            less("p50", "p50 µs", 0),
            less("p99", "p99 µs", 0),
        ],
    },
    Case {
        name: "paced",
        about: "30,000 PUBLISH (QoS 1, 128 B) a second over 50 connections: each millisecond 30 \
                of the connections send one. The latency counts from then to the PUBACK. The \
                processor time is that of the whole machine: client, backend, kernel and balancer.",
        kind: Kind::Load(&[("rate", Work::Paced)]),
        connections: 50,
        metrics: &[
            less("cpu", "CPU s per 1M messages", 2),
            less("p50", "p50 µs", 0),
            less("p99", "p99 µs", 0),
            Metric {
                compared: false,
                ..more("rate", "messages/s", 0)
            },
        ],
    },
    Case {
        name: "bulk",
        about: "4 connections filled with 8 KiB PUBLISH packets (QoS 0), client to backend, then \
                backend to client.",
        kind: Kind::Load(&[
            ("up", Work::Bulk(Direction::Up)),
            ("down", Work::Bulk(Direction::Down)),
        ]),
        connections: 4,
        metrics: &[more("up", "Gbit/s up", 2), more("down", "Gbit/s down", 2)],
    },
    Case {
        name: "connect",
        about: "TCP connect, CONNECT, CONNACK, close: 32 at the same time. The latency counts \
                from connect to CONNACK; the processor time is that of the whole machine.",
        kind: Kind::Load(&[("rate", Work::Connect)]),
        connections: 32,
        metrics: &[
            more("rate", "connections/s", 0),
            less("p50", "p50 µs", 0),
            less("p99", "p99 µs", 0),
            less("cpu", "CPU µs each", 0),
        ],
    },
    Case {
        name: "idle",
        about: "Memory of the balancer for each of 9,000 idle connections (2,000 in a quick run): \
                private memory of its process, kernel slab beyond what client and backend need \
                (direct), and BPF maps made for that many.",
        kind: Kind::Idle {
            connections: 9_000,
            quick: Some(2_000),
        },
        connections: 0,
        metrics: MEMORY,
    },
    Case {
        name: "idle-100k",
        about: "The same with 100,000 connections, for what needs no descriptors for them: a \
                process may have 20,000 on the machine this was made for.",
        kind: Kind::Idle {
            connections: 100_000,
            quick: None,
        },
        connections: 0,
        metrics: MEMORY,
    },
];

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Whether the figures are not to be kept.
    pub quick: bool,
    /// Rounds of each candidate in a case.
    pub rounds: usize,
    /// The same, where memory is measured.
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
            rounds: if quick { 3 } else { 7 },
            memory_rounds: 3,
            warm_up: Duration::from_millis(if quick { 300 } else { 500 }),
            measured: Duration::from_millis(if quick { 800 } else { 2000 }),
        }
    }

    /// Rounds of a case; none when it is not for this run.
    pub fn rounds_of(&self, case: &Case) -> usize {
        match case.kind {
            Kind::Load(_) => self.rounds,
            Kind::Idle { quick: None, .. } if self.quick => 0,
            Kind::Idle { .. } => self.memory_rounds,
        }
    }
}
