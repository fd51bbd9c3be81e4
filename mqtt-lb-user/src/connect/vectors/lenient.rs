//! CONNECTs with faults that are the broker's to judge: brokers differ on them,
//! or answer them with a CONNACK that says why.

use super::Answer::Complete;
use super::{Row, V5, V311, Values, connect};

pub(super) fn rows() -> Vec<Row> {
    let pair = vec![(b"a".to_vec(), b"b".to_vec())];
    vec![
        (
            "reserved connect flag",
            connect(&[b"\0\x04MQTT\x04\x03\0\x3c\0\x02id"]),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "will QoS 3 without a will",
            connect(&[b"\0\x04MQTT\x04\x1a\0\x3c\0\x02id"]),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "bytes behind the last field",
            connect(&[V311, b"\0\x02id...."]),
            Complete(Values::plain(4, b"id"), 0),
        ),
        (
            "property twice",
            connect(&[V5, b"\x0a\x11\0\0\0\x01\x11\0\0\0\x02\0\x02id"]),
            Complete(Values::plain(5, b"id"), 0),
        ),
        (
            "unknown property",
            connect(&[V5, b"\x0f\x26\0\x01a\0\x01b\x7f\x26\0\x01c\0\x01d\0\x02id"]),
            Complete(
                Values {
                    user_properties: pair,
                    ..Values::plain(5, b"id")
                },
                0,
            ),
        ),
        (
            "level 3 with the name MQTT",
            connect(&[b"\0\x04MQTT\x03\x02\0\x3c\0\x02id"]),
            Complete(Values::plain(3, b""), 0),
        ),
        (
            "level 4 with the name MQIsdp",
            connect(&[b"\0\x06MQIsdp\x04\x02\0\x3c\0\x02id"]),
            Complete(Values::plain(4, b""), 0),
        ),
        (
            "level 6",
            connect(&[b"\0\x04MQTT\x06\xc6\0\x3cwhatever comes"]),
            Complete(Values::plain(6, b""), 0),
        ),
        (
            "level 0, nothing behind the keepalive",
            connect(&[b"\0\x04MQTT\0\x02\0\x3c"]),
            Complete(Values::plain(0, b""), 0),
        ),
    ]
}
