//! Bytes that no broker takes, and those that break a limit.

use super::Answer::Refused;
use super::{MIN_BUFFER, Refusal, Row, V5, V31, V311, connect, string};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = other_protocols();
    rows.extend(other_packets());
    rows.extend(headers());
    rows.extend(beyond_the_packet());
    rows.extend(limits());
    rows
}

fn row(name: &'static str, bytes: impl Into<Vec<u8>>, refusal: Refusal) -> Row {
    (name, bytes.into(), Refused(refusal))
}

fn other_protocols() -> Vec<Row> {
    vec![
        row(
            "TLS ClientHello",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            Refusal::Tls,
        ),
        row("HTTP GET", "GET / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP HEAD", "HEAD / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP POST", "POST / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP PUT", "PUT / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP DELETE", "DELETE / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP CONNECT", "CONNECT a:1 HTTP/1.1\r\n", Refusal::Http),
        row("HTTP OPTIONS", "OPTIONS * HTTP/1.1\r\n", Refusal::Http),
        row("HTTP TRACE", "TRACE / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP PATCH", "PATCH / HTTP/1.1\r\n", Refusal::Http),
        row("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::Http),
        row(
            "PROXY protocol 1",
            "PROXY TCP4 192.0.2.1 ",
            Refusal::ProxyHeader,
        ),
        row(
            "PROXY protocol 2",
            "\r\n\r\n\0\r\nQUIT\n\x21\x11",
            Refusal::ProxyHeader,
        ),
        row("SSH", "SSH-2.0-client\r\n", Refusal::Ssh),
        row("SMTP", "EHLO client\r\n", Refusal::NotMqtt(b'E')),
        row("Redis", "*1\r\n$4\r\nPING\r\n", Refusal::NotMqtt(b'*')),
        row("zero", b"\0", Refusal::NotMqtt(0)),
        row("all ones", b"\xff", Refusal::NotMqtt(0xff)),
        row("PUBLISH with QoS 3", b"\x36", Refusal::NotMqtt(0x36)),
        row("begins like GET", "GOT", Refusal::NotMqtt(b'G')),
    ]
}

fn other_packets() -> Vec<Row> {
    let packet = |name, first: u8| {
        (
            name,
            vec![first, 0x02, 0, 0],
            Refused(Refusal::OtherPacket(name)),
        )
    };
    vec![
        packet("CONNACK", 0x20),
        packet("PUBLISH", 0x3d),
        packet("PUBACK", 0x40),
        packet("PUBREC", 0x50),
        packet("PUBREL", 0x62),
        packet("PUBCOMP", 0x70),
        packet("SUBSCRIBE", 0x82),
        packet("SUBACK", 0x90),
        packet("UNSUBSCRIBE", 0xa2),
        packet("UNSUBACK", 0xb0),
        packet("PINGREQ", 0xc0),
        packet("PINGRESP", 0xd0),
        packet("DISCONNECT", 0xe0),
        packet("AUTH", 0xf0),
        row(
            "CONNECT with header flags 1",
            b"\x11\x0e",
            Refusal::HeaderFlags(0x11),
        ),
        row(
            "CONNECT with header flags 6",
            b"\x16\x0e",
            Refusal::HeaderFlags(0x16),
        ),
    ]
}

fn headers() -> Vec<Row> {
    let five = Refusal::LongLength;
    vec![
        row(
            "remaining length of five bytes",
            b"\x10\x8e\x80\x80\x80",
            five("remaining length"),
        ),
        row(
            "property length of five bytes",
            connect(&[V5, b"\x80\x80\x80\x80\0\0\x02id"]),
            five("property length"),
        ),
        row(
            "will property length of five bytes",
            connect(&[b"\0\x04MQTT\x05\x06\0\x3c\0\0\x02id\x80\x80\x80\x80\0\0\0\0\0"]),
            five("will property length"),
        ),
        row(
            "name MQTX",
            connect(&[b"\0\x04MQTX\x04\x02\0\x3c\0\x02id"]),
            Refusal::ProtocolName,
        ),
        row(
            "name mqtt",
            connect(&[b"\0\x04mqtt\x04\x02\0\x3c\0\x02id"]),
            Refusal::ProtocolName,
        ),
        row(
            "name MQISDP",
            connect(&[b"\0\x06MQISDP\x03\x02\0\x3c"]),
            Refusal::ProtocolName,
        ),
        row(
            "name MQTT5",
            connect(&[b"\0\x05MQTT5\x05\x02\0\x3c"]),
            Refusal::ProtocolName,
        ),
        row(
            "empty name",
            connect(&[b"\0\0\x04\x02\0\x3c"]),
            Refusal::ProtocolName,
        ),
        row(
            "long name, before it is there",
            b"\x10\x7f\0\x40",
            Refusal::ProtocolName,
        ),
    ]
}

fn beyond_the_packet() -> Vec<Row> {
    let row = |name, parts: &[&[u8]], field| {
        // A packet behind must not be taken for the missing field.
        let bytes = [connect(parts), b"\x82\x06\0\x01\0\x01a\0".to_vec()].concat();
        (name, bytes, Refused(Refusal::BeyondPacket(field)))
    };
    let will = b"\0\x04MQTT\x04\x06\0\x3c\0\x02id";
    let will5 = b"\0\x04MQTT\x05\x06\0\x3c\0\0\x02id";
    vec![
        row("empty packet", &[], "protocol name"),
        row("half a length of the name", &[b"\0"], "protocol name"),
        row("name cut", &[b"\0\x04MQT"], "protocol name"),
        row("only a name", &[b"\0\x06MQIsdp"], "variable header"),
        row(
            "half a keepalive",
            &[b"\0\x04MQTT\x04\x02\0"],
            "variable header",
        ),
        row("no client id", &[V311], "client id"),
        row("half a length of the id", &[V311, b"\0"], "client id"),
        row("id one byte short", &[V311, b"\0\x03id"], "client id"),
        row(
            "id that fills the packet twice",
            &[V31, b"\0\x04id"],
            "client id",
        ),
        row("no property length", &[V5], "property length"),
        row("property length cut", &[V5, b"\x80\x80"], "property length"),
        row("properties and no id", &[V5, b"\0"], "client id"),
        row(
            "properties one byte short",
            &[V5, b"\x05\x11\0\0\0"],
            "property length",
        ),
        row("no will properties", &[will5], "will property length"),
        row(
            "will properties short",
            &[will5, b"\x05\x18\0\0\0"],
            "will property length",
        ),
        row("no will topic", &[will], "will topic"),
        row("will topic short", &[will, b"\0\x03a/"], "will topic"),
        row("no will payload", &[will, b"\0\x01a"], "will payload"),
        row(
            "will payload short",
            &[will, b"\0\x01a\0\x02w"],
            "will payload",
        ),
        row(
            "no username",
            &[b"\0\x04MQTT\x04\x82\0\x3c\0\x02id"],
            "username",
        ),
        row(
            "username short",
            &[b"\0\x04MQTT\x04\x82\0\x3c\0\x02id\0\x05user"],
            "username",
        ),
        row(
            "no password",
            &[b"\0\x04MQTT\x04\x42\0\x3c\0\x02id"],
            "password",
        ),
        row(
            "password short",
            &[b"\0\x04MQTT\x04\x42\0\x3c\0\x02id\0\x05pass"],
            "password",
        ),
    ]
}

fn limits() -> Vec<Row> {
    let id = string(&[b'i'; 65_535]);
    let long = |length| Refusal::LongProperties {
        length,
        limit: 1024,
    };
    vec![
        row(
            "properties one byte longer than the limit",
            connect(&[V5, b"\x81\x08\x16", &string(&[b'd'; 1022]), b"\0\x02id"]),
            long(1025),
        ),
        row(
            "endless properties, before they are there",
            [b"\x10\xff\xff\xff\x7f", V5, b"\xf0\xff\xff\x7f"].concat(),
            long(268_435_440),
        ),
        row(
            "id that ends behind MIN_BUFFER",
            [b"\x10\x92\x80\x84\0", V5, b"\x05\x11\0\0\0\x01", &id].concat(),
            Refusal::BeyondBuffer {
                needed: MIN_BUFFER + 4,
                limit: MIN_BUFFER,
            },
        ),
    ]
}
