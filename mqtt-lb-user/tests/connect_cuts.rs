//! The CONNECT reader gives the same answer however the stream is cut.

use mqtt_lb_user::connect::{Limits, Reader, Refusal, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    buffer: 0,
    properties: 48,
};

/// Everything a caller can learn of `bytes` that arrive in pieces.
fn read(bytes: &[u8], ends: &[usize]) -> (Result<Status, Refusal>, Option<usize>, String) {
    let mut reader = Reader::new(LIMITS);
    let mut answer = Ok(Status::NeedMore);
    for &end in ends.iter().chain([&bytes.len()]) {
        answer = reader.advance(&bytes[..end]);
        if answer.is_err() {
            return (answer, reader.packet_len(), String::new());
        }
    }
    let values = reader.view(bytes).map(|connect| {
        format!(
            "{:02x?} {} {} {} {} {:02x?} {:02x?} {:02x?}",
            connect.client_id(),
            connect.level(),
            connect.bridge(),
            connect.clean(),
            connect.keepalive(),
            connect.username(),
            connect.will_topic(),
            connect.user_properties().collect::<Vec<_>>(),
        )
    });
    (answer, reader.packet_len(), values.unwrap_or_default())
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// A variable byte integer below 16,384.
fn length(value: usize) -> Vec<u8> {
    match value {
        0..128 => vec![value as u8],
        _ => vec![0x80 | (value % 128) as u8, (value / 128) as u8],
    }
}

fn field(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..most)
}

/// Properties with their length in front, most of them user properties.
fn properties() -> impl Strategy<Value = Vec<u8>> {
    let user = (field(8), field(8))
        .prop_map(|(name, value)| [vec![0x26], string(&name), string(&value)].concat());
    let expiry = any::<[u8; 4]>().prop_map(|value| [&[0x11][..], &value].concat());
    let unknown = Just(vec![0x7f]);
    vec(prop_oneof![4 => user, 2 => expiry, 1 => unknown], 0..4).prop_map(|all| {
        let all = all.concat();
        [length(all.len()), all].concat()
    })
}

/// A CONNECT as clients send it, with other bytes behind it.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(&b"\0\x06MQIsdp\x03"[..]),
        Just(&b"\0\x06MQIsdp\x83"[..]),
        Just(&b"\0\x04MQTT\x04"[..]),
        Just(&b"\0\x04MQTT\x84"[..]),
        Just(&b"\0\x04MQTT\x05"[..]),
        Just(&b"\0\x04MQTT\x06"[..]),
    ];
    let start = (head, any::<bool>(), any::<u16>(), properties(), field(40));
    let will = option::of((properties(), field(8), field(200)));
    let names = (option::of(field(8)), option::of(field(8)));
    (start, will, names, field(12)).prop_map(|(start, will, (username, password), behind)| {
        let (head, clean, keepalive, properties, id) = start;
        let five = head.ends_with(&[5]);
        let flags = (u8::from(clean) << 1)
            | (u8::from(will.is_some()) << 2)
            | (u8::from(password.is_some()) << 6)
            | (u8::from(username.is_some()) << 7);
        let mut body = [head, &[flags], &keepalive.to_be_bytes()].concat();
        if five {
            body.extend(properties);
        }
        body.extend(string(&id));
        if let Some((properties, topic, payload)) = will {
            if five {
                body.extend(properties);
            }
            body.extend(string(&topic));
            body.extend(string(&payload));
        }
        for field in [username, password].into_iter().flatten() {
            body.extend(string(&field));
        }
        [vec![0x10], length(body.len()), body, behind].concat()
    })
}

/// A CONNECT with a few bytes changed: lengths and flags that do not fit.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (packet(), changes).prop_map(|(mut bytes, changes)| {
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes
    })
}

/// Anything, more often than by chance with the start of some protocol.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(&b""[..]),
        Just(&b"\x10"[..]),
        Just(&b"\x16"[..]),
        Just(&b"P"[..]),
        Just(&b"PR"[..]),
        Just(&b"\r\n\r"[..]),
        Just(&b"GE"[..]),
        Just(&b"SSH"[..]),
    ];
    (start, field(40)).prop_map(|(start, rest)| [start, &rest].concat())
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => packet(), 4 => damaged(), 1 => noise()]
}

/// Bytes, and where their pieces end: in order, the same place more than once.
fn pieces() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    (bytes(), vec(any::<prop::sample::Index>(), 0..6)).prop_map(|(bytes, ends)| {
        let mut ends: Vec<_> = ends.iter().map(|end| end.index(bytes.len() + 1)).collect();
        ends.sort_unstable();
        (bytes, ends)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_cut_gives_the_answer_of_one_piece((bytes, ends) in pieces()) {
        let whole = read(&bytes, &[]);
        prop_assert_eq!(&read(&bytes, &ends), &whole);
        let every: Vec<_> = (0..bytes.len()).collect();
        prop_assert_eq!(&read(&bytes, &every), &whole);
    }

    #[test]
    fn what_is_known_does_not_change((bytes, ends) in pieces()) {
        let mut reader = Reader::new(LIMITS);
        let (mut id, mut len) = (None, None);
        for end in ends {
            let answer = reader.advance(&bytes[..end]);
            if answer.is_err() {
                prop_assert_eq!(reader.advance(&bytes), answer);
                break;
            }
            let seen = reader.view(&bytes[..end]).map(|connect| connect.client_id().to_vec());
            prop_assert!(id.is_none() || id == seen);
            prop_assert!(len.is_none() || len == reader.packet_len());
            (id, len) = (seen, reader.packet_len());
        }
    }

    #[test]
    fn clients_as_they_should_be_are_not_refused(bytes in packet()) {
        match read(&bytes, &[]).0 {
            Ok(Status::Complete { len }) => prop_assert!(len <= bytes.len()),
            Err(Refusal::LongProperties { length, limit }) => prop_assert!(length > limit),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
