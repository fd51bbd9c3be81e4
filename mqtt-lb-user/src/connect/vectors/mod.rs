//! First bytes of clients and what the reader answers, in one piece and in any
//! two, and byte by byte.

mod accepted;
mod lenient;
mod refused;
mod waiting;

use super::{Connect, Field, Limits, MIN_BUFFER, Reader, Refusal, Status};

/// Limits of every row.
const LIMITS: Limits = Limits {
    buffer: MIN_BUFFER,
    properties: 1024,
};

/// Protocol name, level, clean flag and keepalive 60 of each version.
const V31: &[u8] = b"\0\x06MQIsdp\x03\x02\0\x3c";
const V311: &[u8] = b"\0\x04MQTT\x04\x02\0\x3c";
const V5: &[u8] = b"\0\x04MQTT\x05\x02\0\x3c";

/// A row: what it shows, the client's bytes, the answer.
type Row = (&'static str, Vec<u8>, Answer);

#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Refused(Refusal),
    NeedMore,
    Routable(Values),
    /// The values, and how many bytes follow the packet.
    Complete(Values, usize),
}

/// Every value of a CONNECT.
#[derive(Debug, Clone, PartialEq)]
struct Values {
    id: Vec<u8>,
    level: u8,
    bridge: bool,
    clean: bool,
    keepalive: u16,
    username: Field<'static>,
    will_topic: Field<'static>,
    user_properties: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Values {
    /// A client with a clean session, keepalive 60 and nothing else.
    fn plain(level: u8, id: &[u8]) -> Self {
        Self {
            id: id.to_vec(),
            level,
            bridge: false,
            clean: true,
            keepalive: 60,
            username: Field::Absent,
            will_topic: Field::Absent,
            user_properties: Vec::new(),
        }
    }

    fn matches(&self, connect: &Connect<'_>) -> bool {
        let user_properties = connect
            .user_properties()
            .map(|(name, value)| (name.to_vec(), value.to_vec()));
        self.id == connect.client_id()
            && self.level == connect.level()
            && self.bridge == connect.bridge()
            && self.clean == connect.clean()
            && self.keepalive == connect.keepalive()
            && self.username == connect.username()
            && self.will_topic == connect.will_topic()
            && self.user_properties.iter().cloned().eq(user_properties)
    }
}

/// A CONNECT made of `parts` behind a fixed header with the right length.
fn connect(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut packet = vec![0x10];
    let mut rest = body.len();
    while rest >= 128 {
        packet.push(0x80 | (rest % 128) as u8);
        rest /= 128;
    }
    packet.push(rest as u8);
    packet.extend(body);
    packet
}

/// `bytes` behind their two-byte length.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// The first `n` bytes of `bytes`.
fn cut(mut bytes: Vec<u8>, n: usize) -> Vec<u8> {
    assert!(n < bytes.len());
    bytes.truncate(n);
    bytes
}

fn rows() -> Vec<Row> {
    [
        accepted::rows(),
        lenient::rows(),
        waiting::rows(),
        refused::rows(),
    ]
    .concat()
}

/// The answer after `bytes` arrived in pieces that end at `ends`.
fn read(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> (Reader, Result<Status, Refusal>) {
    let mut reader = Reader::new(LIMITS);
    for end in ends {
        if let Err(refusal) = reader.advance(&bytes[..end]) {
            return (reader, Err(refusal));
        }
    }
    let answer = reader.advance(bytes);
    (reader, answer)
}

fn check(name: &str, bytes: &[u8], answer: &Answer, ends: impl IntoIterator<Item = usize>) {
    let (reader, status) = read(bytes, ends);
    let view = reader.view(bytes);
    let (expected, values) = match answer {
        Answer::Refused(refusal) => (Err(*refusal), None),
        Answer::NeedMore => (Ok(Status::NeedMore), None),
        Answer::Routable(values) => (Ok(Status::Routable), Some(values)),
        Answer::Complete(values, behind) => {
            let len = bytes.len() - behind;
            assert_eq!(reader.packet_len(), Some(len), "{name}");
            (Ok(Status::Complete { len }), Some(values))
        }
    };
    assert_eq!(status, expected, "{name}");
    match (values, view) {
        (Some(values), Some(view)) => {
            assert!(values.matches(&view), "{name}: {values:?} is not {view:?}");
        }
        // What was known when a later field was refused is of no interest.
        (None, Some(_)) => assert!(status.is_err(), "{name}"),
        (None, None) => {}
        (Some(_), None) => panic!("{name}: no client id"),
    }
}

#[test]
fn in_one_piece() {
    for (name, bytes, answer) in rows() {
        check(name, &bytes, &answer, []);
    }
}

#[test]
fn in_any_two_pieces() {
    for (name, bytes, answer) in rows() {
        // Long rows are long in one field: the cuts near its ends matter.
        let last = bytes.len().saturating_sub(64);
        for end in (0..bytes.len()).filter(|end| *end < 256 || *end > last) {
            check(name, &bytes, &answer, [end]);
        }
    }
}

#[test]
fn byte_by_byte() {
    for (name, bytes, answer) in rows() {
        check(name, &bytes, &answer, 0..bytes.len());
    }
}

#[test]
fn a_name_stands_for_one_row() {
    let mut names: Vec<_> = rows().into_iter().map(|(name, ..)| name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
