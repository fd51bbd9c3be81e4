//! The CONNECT reader against first packets that public suites publish.
//!
//! The file is not part of this repository: it stands in `../shared/vectors`
//! beside the checkout, or where `MQTT_LB_VECTORS` points.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mqtt_lb_user::connect::{Limits, MIN_BUFFER, Reader, Refusal, Status};
use serde_json::Value;

const LIMITS: Limits = Limits {
    buffer: MIN_BUFFER,
    properties: 4096,
};

/// What was refused wherever it was measured and is left to the broker all the
/// same, with the reason.
const LEFT_TO_THE_BROKER: [(&str, &str); 8] = [
    (
        "angie-t-001",
        "unknown property of the will; Angie routes it",
    ),
    (
        "angie-t-010",
        "reserved connect flag; older brokers ignore it",
    ),
    ("emqx-frame-008", "bytes behind the last field"),
    ("emqx-frame-023", "will QoS 3 without a will"),
    (
        "emqx-frame-025",
        "a property twice; EMQX takes the last if lenient",
    ),
    (
        "emqx-frame-026",
        "a property twice; EMQX takes the last if lenient",
    ),
    (
        "emqx-frame-027",
        "a property twice; EMQX takes the last if lenient",
    ),
    (
        "haproxy-vtc-012",
        "id that is not UTF-8, and bytes behind the last field",
    ),
];

/// What is refused although the measured ones differ: HTTP/2 and PROXY, which
/// one of them still waits for.
const REFUSED_THOUGH_SPLIT: [&str; 2] = ["emqx-nonmqtt-002", "emqx-nonmqtt-003"];

struct Vector {
    id: String,
    chunks: Vec<Vec<u8>>,
    consensus: String,
    /// The client id where it was measured.
    client_id: Option<Vec<u8>>,
}

impl Vector {
    fn parse(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).expect("one JSON object a line");
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let chunks = value["chunks"].as_array().expect("a list of chunks");
        Self {
            id: text("id").expect("an id"),
            chunks: chunks
                .iter()
                .map(|chunk| hex(chunk.as_str().expect("hex")))
                .collect(),
            consensus: text("consensus").expect("a consensus"),
            // An empty id was written down as a dash.
            client_id: text("client_id_hex").map(|id| hex(if id == "-" { "" } else { &id })),
        }
    }

    /// The answer after the last chunk, and the client id.
    fn read(&self) -> (Result<Status, Refusal>, Option<Vec<u8>>) {
        let mut reader = Reader::new(LIMITS);
        let mut buf = Vec::new();
        let mut answer = Ok(Status::NeedMore);
        for chunk in &self.chunks {
            buf.extend(chunk);
            answer = reader.advance(&buf);
            if answer.is_err() {
                return (answer, None);
            }
        }
        (
            answer,
            reader
                .view(&buf)
                .map(|connect| connect.client_id().to_vec()),
        )
    }
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let digits = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    digits
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex digits"))
        .collect()
}

/// The vectors, or `None` and a line that says why there are none.
fn vectors() -> Option<Vec<Vector>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let file = env::var_os("MQTT_LB_VECTORS")
        .map_or_else(beside, PathBuf::from)
        .join("connect.jsonl");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let vectors: Vec<_> = text.lines().map(Vector::parse).collect();
            assert_eq!(vectors.len(), 69, "{}", file.display());
            Some(vectors)
        }
        Err(error) => {
            // Past the capture of the test harness: a skip must be seen.
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: cannot read {}: {error}",
                file.display()
            );
            None
        }
    }
}

fn of<'a>(vectors: &'a [Vector], consensus: &str) -> Vec<&'a Vector> {
    let found: Vec<_> = vectors
        .iter()
        .filter(|vector| vector.consensus == consensus)
        .collect();
    assert!(!found.is_empty(), "no vector is {consensus}");
    found
}

#[test]
fn what_brokers_accept_is_accepted_with_the_same_client_id() {
    let Some(vectors) = vectors() else { return };
    for vector in of(&vectors, "valid") {
        let (answer, id) = vector.read();
        assert!(
            matches!(answer, Ok(Status::Complete { .. })),
            "{}: {answer:?}",
            vector.id
        );
        assert!(
            vector.client_id.is_some(),
            "{}: no measured client id",
            vector.id
        );
        assert_eq!(id, vector.client_id, "{}", vector.id);
    }
}

#[test]
fn what_brokers_refuse_is_refused_but_for_what_is_left_to_them() {
    let Some(vectors) = vectors() else { return };
    let mut left = of(&vectors, "invalid");
    left.retain(|vector| vector.read().0.is_ok());
    let mut left: Vec<_> = left.iter().map(|vector| vector.id.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, LEFT_TO_THE_BROKER.map(|(id, _)| id));
}

#[test]
fn what_brokers_wait_for_is_waited_for() {
    let Some(vectors) = vectors() else { return };
    for vector in of(&vectors, "need_more") {
        assert_eq!(vector.read(), (Ok(Status::NeedMore), None), "{}", vector.id);
    }
}

#[test]
fn what_brokers_differ_on_is_routed_unless_it_is_not_mqtt() {
    let Some(vectors) = vectors() else { return };
    let mut refused = of(&vectors, "split");
    refused.retain(|vector| !matches!(vector.read().0, Ok(Status::Complete { .. })));
    let refused: Vec<_> = refused.iter().map(|vector| vector.id.as_str()).collect();
    assert_eq!(refused, REFUSED_THOUGH_SPLIT);
}
