//! The cases.

use mqtt_lb_tests::load::{Direction, Work};

use super::case::{Case, Clients, Kind, Metric};

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

const fn case(
    name: &'static str,
    about: &'static str,
    kind: Kind,
    metrics: &'static [Metric],
) -> Case {
    Case {
        name,
        about,
        kind,
        connections: 50,
        size: 128,
        broker: false,
        opt_in: false,
        metrics,
    }
}

const REQUEST: Kind = Kind::Load(&[("rate", Work::Request)]);

const ANSWERS: &[Metric] = &[
    more("rate", "messages/s", 0),
    less("p50", "p50 µs", 0),
    less("p99", "p99 µs", 0),
    less("p999", "p99.9 µs", 0),
];

const PACED: &[Metric] = &[
    less("cpu", "CPU s per 1M messages", 2),
    less("p50", "p50 µs", 0),
    less("p99", "p99 µs", 0),
    Metric {
        compared: false,
        ..more("rate", "messages/s", 0)
    },
];

const CONNECTS: &[Metric] = &[
    more("rate", "connections/s", 0),
    less("p50", "p50 µs", 0),
    less("p99", "p99 µs", 0),
    less("cpu", "CPU µs each", 0),
];

const STORM: &[Metric] = &[
    less("seconds", "s until all are in", 2),
    less("p99", "p99 ms", 0),
    part("retries", "turned away"),
    Metric {
        digits: 2,
        ..part("skew", "most / mean")
    },
];

const MEMORY: &[Metric] = &[
    less("total", "bytes", 0),
    part("private", "private memory"),
    part("slab", "kernel slab"),
    part("maps", "BPF maps"),
];

const PINGED: &[Metric] = &[
    MEMORY[0],
    MEMORY[1],
    MEMORY[2],
    MEMORY[3],
    Metric {
        more_is_better: true,
        ..part("rate", "pings/s")
    },
    part("p50", "p50 µs"),
    part("p99", "p99 µs"),
];

/// All cases.
pub const CASES: &[Case] = &[
    case(
        "request",
        "Request and answer: 50 connections, each with one PUBLISH (QoS 1, 128 B) \
                in flight; the next goes out when the PUBACK is in.",
        REQUEST,
        ANSWERS,
    ),
    Case {
        connections: 1,
        ..case(
            "request-1",
            "The same with one connection: nothing waits for anything else.",
            REQUEST,
            ANSWERS,
        )
    },
    Case {
        connections: 1_000,
        ..case(
            "request-1000",
            "The same with 1,000 connections.",
            REQUEST,
            ANSWERS,
        )
    },
    Case {
        size: 64,
        ..case(
            "request-64B",
            "50 connections, messages of 64 bytes.",
            REQUEST,
            ANSWERS,
        )
    },
    Case {
        size: 1024,
        ..case(
            "request-1KiB",
            "50 connections, messages of 1 KiB.",
            REQUEST,
            ANSWERS,
        )
    },
    case(
        "paced",
        "30,000 PUBLISH (QoS 1, 128 B) a second over 50 connections: each \
                millisecond 30 of the connections send one. The latency counts from then \
                to the PUBACK. The processor time is that of the whole machine: client, \
                backend, kernel and balancer.",
        Kind::Load(&[("rate", Work::Paced)]),
        PACED,
    ),
    case(
        "small",
        "As many PUBLISH (QoS 0, 64 B) as go through 50 connections, each written \
                by itself: client to backend, as sensors do, then backend to client. The \
                receiver counts. A balancer that waits and merges messages saves the \
                receiver work, and can be ahead of direct.",
        Kind::Load(&[
            ("up", Work::Small(Direction::Up)),
            ("down", Work::Small(Direction::Down)),
        ]),
        &[
            more("up", "messages/s in", 0),
            more("down", "messages/s out", 0),
        ],
    ),
    Case {
        connections: 4,
        ..case(
            "bulk",
            "4 connections filled with 8 KiB PUBLISH packets (QoS 0), client to \
                backend, then backend to client. The receiver counts.",
            Kind::Load(&[
                ("up", Work::Bulk(Direction::Up)),
                ("down", Work::Bulk(Direction::Down)),
            ]),
            &[more("up", "Gbit/s up", 2), more("down", "Gbit/s down", 2)],
        )
    },
    Case {
        connections: 20,
        size: 64,
        broker: true,
        ..case(
            "pubsub",
            "Real clients and a real broker: 10 publishers and 10 subscribers \
                (rumqttc, one thread) through mosquitto, messages of 64 B and 20 under \
                way from each publisher to its subscriber. Without PROXY header, which \
                this mosquitto does not take.",
            Kind::Load(&[("qos0", Work::PubSub(0)), ("qos1", Work::PubSub(1))]),
            &[
                more("qos0", "messages/s QoS 0", 0),
                more("qos1", "messages/s QoS 1", 0),
            ],
        )
    },
    Case {
        connections: 32,
        ..case(
            "connect",
            "TCP connect, CONNECT, CONNACK, close: 32 at the same time. The latency \
                counts from connect to CONNACK; the processor time is that of the whole \
                machine.",
            Kind::Load(&[("rate", Work::Connect)]),
            CONNECTS,
        )
    },
    case(
        "storm",
        "9,000 clients at once (2,000 in a quick run), as after an outage: time \
                until the last one has its CONNACK, and how evenly they are spread over \
                three backends (the most of a backend to the mean). A client that is \
                turned away comes again 100 ms later.",
        Kind::Storm(Clients {
            whole: 9_000,
            quick: Some(2_000),
        }),
        STORM,
    ),
    case(
        "storm-20k",
        "The same with 20,000 clients, for what needs no descriptors for them: a \
                process may have 20,000 on the machine this was made for.",
        Kind::Storm(Clients {
            whole: 20_000,
            quick: None,
        }),
        STORM,
    ),
    case(
        "start",
        "From the start of the program to the first CONNACK through it; then, \
                with another backend in its configuration, from the signal to reload to \
                the first client at that backend.",
        Kind::Start,
        &[less("start", "start ms", 0), less("reload", "reload ms", 0)],
    ),
    case(
        "idle",
        "Memory of the balancer for each of 9,000 idle connections (2,000 in a \
                quick run): private memory of its processes, kernel slab beyond what \
                client and backend need (direct), and BPF maps made for that many.",
        Kind::Idle {
            clients: Clients {
                whole: 9_000,
                quick: Some(2_000),
            },
            pings: false,
        },
        MEMORY,
    ),
    case(
        "idle-100k",
        "The same with 100,000 connections, for what needs no descriptors for \
                them.",
        Kind::Idle {
            clients: Clients {
                whole: 100_000,
                quick: None,
            },
            pings: false,
        },
        MEMORY,
    ),
    Case {
        opt_in: true,
        ..case(
            "idle-500k",
            "The same with 500,000 connections; then each client sends PINGREQ, all \
                in 20 seconds, and gets its PINGRESP. One round, and only when it is \
                named.",
            Kind::Idle {
                clients: Clients {
                    whole: 500_000,
                    quick: Some(30_000),
                },
                pings: true,
            },
            PINGED,
        )
    },
];
