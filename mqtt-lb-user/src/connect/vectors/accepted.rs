//! CONNECTs that a broker gets to see.

use super::Answer::Complete;
use super::{Field, MIN_BUFFER, Row, V5, V31, V311, Values, connect, string};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = versions();
    rows.extend(ids());
    rows.extend(fields());
    rows.extend(properties());
    rows.extend(lengths());
    rows
}

fn versions() -> Vec<Row> {
    let bridge = |level| Values {
        bridge: true,
        ..Values::plain(level, b"id")
    };
    vec![
        (
            "MQTT 3.1",
            connect(&[V31, b"\0\x02id"]),
            Complete(Values::plain(3, b"id"), 0),
        ),
        (
            "MQTT 3.1.1",
            connect(&[V311, b"\0\x02id"]),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "MQTT 5.0",
            connect(&[V5, b"\0\0\x02id"]),
            Complete(Values::plain(5, b"id"), 0),
        ),
        (
            "bridge, MQTT 3.1",
            connect(&[b"\0\x06MQIsdp\x83\x02\0\x3c\0\x02id"]),
            Complete(bridge(3), 0),
        ),
        (
            "bridge, MQTT 3.1.1",
            connect(&[b"\0\x04MQTT\x84\x02\0\x3c\0\x02id"]),
            Complete(bridge(4), 0),
        ),
        (
            "bridge, MQTT 5.0",
            connect(&[b"\0\x04MQTT\x85\x02\0\x3c\0\0\x02id"]),
            Complete(bridge(5), 0),
        ),
        (
            "SUBSCRIBE pipelined behind",
            [
                connect(&[V311, b"\0\x02id"]),
                b"\x82\x06\0\x01\0\x01a\0".to_vec(),
            ]
            .concat(),
            Complete(Values::plain(4, b"id"), 8),
        ),
    ]
}

fn ids() -> Vec<Row> {
    let longest = vec![b'i'; 65_535];
    // Fixed header of five bytes, and the longer protocol name.
    let at_the_limit = [b"\x10\x8d\x80\x84\0", V31, &string(&longest)].concat();
    assert_eq!(at_the_limit.len(), MIN_BUFFER);
    vec![
        (
            "empty id, clean session",
            connect(&[V311, b"\0\0"]),
            Complete(Values::plain(4, b""), 0),
        ),
        (
            "empty id, no clean session",
            connect(&[b"\0\x04MQTT\x04\0\0\x3c\0\0"]),
            Complete(
                Values {
                    clean: false,
                    ..Values::plain(4, b"")
                },
                0,
            ),
        ),
        (
            "empty id, MQTT 5.0",
            connect(&[V5, b"\0\0\0"]),
            Complete(Values::plain(5, b""), 0),
        ),
        (
            "NUL in id",
            connect(&[V311, b"\0\x03a\0b"]),
            Complete(Values::plain(4, b"a\0b"), 0),
        ),
        (
            "id that is not UTF-8",
            connect(&[V311, b"\0\x03\xff\xfe\x80"]),
            Complete(Values::plain(4, b"\xff\xfe\x80"), 0),
        ),
        (
            "id of 65,535 bytes",
            connect(&[V311, &string(&longest)]),
            Complete(Values::plain(4, &longest), 0),
        ),
        (
            "id that ends at MIN_BUFFER",
            at_the_limit,
            Complete(Values::plain(3, &longest), 0),
        ),
    ]
}

fn fields() -> Vec<Row> {
    let (user, topic) = (Field::Present(b"user"), Field::Present(b"a/b"));
    vec![
        (
            "no keepalive",
            connect(&[b"\0\x04MQTT\x04\x02\0\0\0\x02id"]),
            Complete(
                Values {
                    keepalive: 0,
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
        (
            "longest keepalive",
            connect(&[b"\0\x04MQTT\x04\x02\xff\xff\0\x02id"]),
            Complete(
                Values {
                    keepalive: 65_535,
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
        (
            "will, username and password",
            connect(&[b"\0\x04MQTT\x04\xc6\0\x3c\0\x02id\0\x03a/b\0\x01w\0\x04user\0\x01p"]),
            Complete(
                Values {
                    username: user,
                    will_topic: topic,
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
        (
            "will only",
            connect(&[b"\0\x06MQIsdp\x03\x06\0\x3c\0\x02id\0\x03a/b\0\0"]),
            Complete(
                Values {
                    will_topic: topic,
                    ..Values::plain(3, b"id")
                },
                0,
            ),
        ),
        (
            "will payload of 65,535 bytes",
            connect(&[
                b"\0\x04MQTT\x04\x06\0\x3c\0\x02id\0\x03a/b",
                &string(&[b'w'; 65_535]),
            ]),
            Complete(
                Values {
                    will_topic: topic,
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
        (
            "username without password",
            connect(&[b"\0\x04MQTT\x04\x82\0\x3c\0\x02id\0\x04user"]),
            Complete(
                Values {
                    username: user,
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
        (
            "password without username",
            connect(&[b"\0\x04MQTT\x04\x42\0\x3c\0\x02id\0\x04pass"]),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "empty username",
            connect(&[b"\0\x04MQTT\x04\x82\0\x3c\0\x02id\0\0"]),
            Complete(
                Values {
                    username: Field::Present(b""),
                    ..Values::plain(4, b"id")
                },
                0,
            ),
        ),
    ]
}

fn properties() -> Vec<Row> {
    let pairs = vec![
        (b"k".to_vec(), b"v1".to_vec()),
        (b"k".to_vec(), b"v2".to_vec()),
    ];
    vec![
        (
            "user properties among others",
            connect(&[
                V5,
                b"\x15\x26\0\x01k\0\x02v1\x11\0\0\0\x01\x26\0\x01k\0\x02v2\0\x02id",
            ]),
            Complete(
                Values {
                    user_properties: pairs,
                    ..Values::plain(5, b"id")
                },
                0,
            ),
        ),
        (
            "user property of the will",
            connect(&[
                b"\0\x04MQTT\x05\xc6\0\x3c\0\0\x02id",
                b"\x07\x26\0\x01k\0\x01v\0\x03a/b\0\x01w\0\x04user\0\x01p",
            ]),
            Complete(
                Values {
                    username: Field::Present(b"user"),
                    will_topic: Field::Present(b"a/b"),
                    ..Values::plain(5, b"id")
                },
                0,
            ),
        ),
        (
            "properties as long as the limit",
            connect(&[V5, b"\x80\x08\x16", &string(&[b'd'; 1021]), b"\0\x02id"]),
            Complete(Values::plain(5, b"id"), 0),
        ),
    ]
}

fn lengths() -> Vec<Row> {
    let id = [b'i'; 16_372];
    let of = |length: usize| {
        let id = &id[..length - 12];
        (
            connect(&[V311, &string(id)]),
            Complete(Values::plain(4, id), 0),
        )
    };
    let row = |name, (bytes, answer)| (name, bytes, answer);
    vec![
        row("remaining length 127", of(127)),
        row("remaining length 128", of(128)),
        row("remaining length 256", of(256)),
        row("remaining length 16,383", of(16_383)),
        row("remaining length 16,384", of(16_384)),
        (
            "remaining length in more bytes than needed",
            [b"\x10\x8e\x80\x00", V311, b"\0\x02id"].concat(),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "property length in more bytes than needed",
            connect(&[V5, b"\x80\x00\0\x02id"]),
            Complete(Values::plain(5, b"id"), 0),
        ),
    ]
}
