//! Bytes that are not a whole CONNECT yet.

use super::Answer::{NeedMore, Routable};
use super::{Field, Row, V5, V311, Values, connect, cut, string};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = before_the_id();
    rows.extend(behind_the_id());
    rows
}

fn before_the_id() -> Vec<Row> {
    let plain = || connect(&[V311, b"\0\x02id"]);
    let of_128 = || connect(&[V311, &string(&[b'i'; 116])]);
    let of_16384 = || connect(&[V311, &string(&[b'i'; 16_372])]);
    vec![
        ("nothing", Vec::new(), NeedMore),
        ("first byte only", cut(plain(), 1), NeedMore),
        ("remaining length only", cut(plain(), 2), NeedMore),
        (
            "remaining length 128 cut inside",
            cut(of_128(), 2),
            NeedMore,
        ),
        (
            "remaining length 16,384 cut behind the first byte",
            cut(of_16384(), 2),
            NeedMore,
        ),
        (
            "remaining length 16,384 cut behind the second byte",
            cut(of_16384(), 3),
            NeedMore,
        ),
        (
            "cut inside the length of the name",
            cut(plain(), 3),
            NeedMore,
        ),
        ("cut inside the name", cut(plain(), 6), NeedMore),
        ("cut behind the name", cut(plain(), 8), NeedMore),
        ("cut inside the keepalive", cut(plain(), 11), NeedMore),
        (
            "cut inside the length of the id",
            cut(plain(), 13),
            NeedMore,
        ),
        ("cut inside the id", cut(plain(), 15), NeedMore),
        (
            "cut before the length of the properties",
            cut(connect(&[V5, b"\0\0\x02id"]), 12),
            NeedMore,
        ),
        (
            "cut inside the length of the properties",
            cut(connect(&[V5, b"\x80\x01", &[0; 128], b"\0\x02id"]), 13),
            NeedMore,
        ),
        (
            "cut inside the properties",
            cut(connect(&[V5, b"\x05\x11\0\0\0\x01\0\x02id"]), 15),
            NeedMore,
        ),
        ("P: HTTP, PROXY or PUBREC", b"P".to_vec(), NeedMore),
        ("PR: HTTP/2 or PROXY", b"PR".to_vec(), NeedMore),
        (
            "0x16: TLS or CONNECT with flags",
            b"\x16".to_vec(),
            NeedMore,
        ),
    ]
}

fn behind_the_id() -> Vec<Row> {
    let named = || connect(&[b"\0\x04MQTT\x04\x82\0\x3c\0\x02id\0\x04user"]);
    let willed = |will: &[u8]| {
        connect(&[
            b"\0\x04MQTT\x04\x86\0\x3c\0\x02id\0\x03a/b",
            &string(will),
            b"\0\x04user",
        ])
    };
    let pending = Values {
        username: Field::Pending,
        ..Values::plain(4, b"id")
    };
    let all_pending = Values {
        will_topic: Field::Pending,
        ..pending.clone()
    };
    let topic = Values {
        will_topic: Field::Present(b"a/b"),
        ..pending.clone()
    };
    vec![
        (
            "cut behind the id",
            cut(named(), 16),
            Routable(pending.clone()),
        ),
        (
            "cut inside the length of the username",
            cut(named(), 17),
            Routable(pending.clone()),
        ),
        (
            "cut inside the username",
            cut(named(), 20),
            Routable(pending),
        ),
        (
            "cut before the will topic",
            cut(willed(b"w"), 16),
            Routable(all_pending.clone()),
        ),
        (
            "cut inside the will topic",
            cut(willed(b"w"), 20),
            Routable(all_pending),
        ),
        (
            "cut behind the will topic",
            cut(willed(b"w"), 21),
            Routable(topic.clone()),
        ),
        (
            "a big will on its way",
            cut(willed(&[b'w'; 60_000]), 1_000),
            Routable(topic),
        ),
        (
            "cut inside the will properties",
            cut(
                connect(&[
                    b"\0\x04MQTT\x05\x06\0\x3c\0\0\x02id",
                    b"\x05\x18\0\0\0\x01\0\x01a\0\0",
                ]),
                20,
            ),
            Routable(Values {
                will_topic: Field::Pending,
                ..Values::plain(5, b"id")
            }),
        ),
        (
            "cut inside the password",
            cut(
                connect(&[b"\0\x04MQTT\x04\x42\0\x3c\0\x02id\0\x04pass"]),
                19,
            ),
            Routable(Values::plain(4, b"id")),
        ),
        (
            "cut inside what no field explains",
            cut(connect(&[V311, b"\0\x02id...."]), 18),
            Routable(Values::plain(4, b"id")),
        ),
        (
            "level 6 cut behind the keepalive",
            cut(connect(&[b"\0\x04MQTT\x06\x02\0\x3cwhatever comes"]), 12),
            Routable(Values::plain(6, b"")),
        ),
    ]
}
