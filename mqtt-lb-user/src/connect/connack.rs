//! A look at the broker's first packet: CONNACK (MQTT 3.1.1 §3.2, MQTT 5.0 §3.2).

use super::length::{self, Length};
use super::properties::{Properties, Property};

/// Bytes that always suffice for [`peek`] to answer. Of a CONNACK with more
/// properties only those are read that are whole within these bytes.
pub const ENOUGH: usize = 8 * 1024;

/// First byte of a CONNACK: packet type 2, no flags (MQTT 3.1.1 §3.2.1).
const CONNACK: u8 = 0x20;

/// What a broker's first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnackPeek<'a> {
    /// Not all of the CONNACK is there.
    NeedMore,
    /// A CONNACK.
    Connack(Connack<'a>),
    /// Another packet, such as AUTH (MQTT 5.0 §3.15), or not MQTT.
    NotConnack,
}

/// The broker's answer to CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connack<'a> {
    /// The broker had a session of this client (MQTT 3.1.1 §3.2.2.2).
    pub session_present: bool,
    /// Return code (MQTT 3.1.1 §3.2.2.3) or reason code (MQTT 5.0 §3.2.2.2);
    /// 0 is success in both.
    pub code: u8,
    /// The id a broker gave a client that came with an empty one (MQTT 5.0
    /// §3.2.2.3.7).
    pub assigned_client_id: Option<&'a [u8]>,
}

/// Looks at `buf`, which holds everything the broker has sent so far.
pub fn peek(buf: &[u8]) -> ConnackPeek<'_> {
    match buf.first() {
        None => return ConnackPeek::NeedMore,
        Some(&CONNACK) => {}
        Some(_) => return ConnackPeek::NotConnack,
    }
    let (remaining, start) = match length::read(&buf[1..]) {
        Length::NeedMore => return ConnackPeek::NeedMore,
        Length::Known { value, size } if value >= 2 => (value, 1 + size),
        Length::Known { .. } | Length::TooLong => return ConnackPeek::NotConnack,
    };
    let end = (start + remaining).min(ENOUGH);
    let Some([flags, code, properties @ ..]) = buf.get(start..end) else {
        return ConnackPeek::NeedMore;
    };
    ConnackPeek::Connack(Connack {
        session_present: flags & 0x01 != 0,
        code: *code,
        assigned_client_id: assigned_client_id(properties),
    })
}

/// Finds the Assigned Client Identifier behind the property length; MQTT 3.x
/// has neither.
fn assigned_client_id(bytes: &[u8]) -> Option<&[u8]> {
    let Length::Known { value, size } = length::read(bytes) else {
        return None;
    };
    let properties = &bytes[size..];
    let properties = &properties[..value.min(properties.len())];
    Properties::new(properties).find_map(|property| match property {
        Property::AssignedClientId(id) => Some(id),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connack(session_present: bool, code: u8, id: Option<&[u8]>) -> ConnackPeek<'_> {
        ConnackPeek::Connack(Connack {
            session_present,
            code,
            assigned_client_id: id,
        })
    }

    #[test]
    fn packets() {
        let table: [(&str, &[u8], ConnackPeek<'_>); 14] = [
            ("nothing", b"", ConnackPeek::NeedMore),
            ("3.x accepted", b"\x20\x02\0\0", connack(false, 0, None)),
            (
                "3.x session present",
                b"\x20\x02\x01\0",
                connack(true, 0, None),
            ),
            (
                "3.x not authorized",
                b"\x20\x02\0\x05",
                connack(false, 5, None),
            ),
            (
                "PUBLISH pipelined behind",
                b"\x20\x02\0\0\x30\x03\0\x01a",
                connack(false, 0, None),
            ),
            (
                "5.0 without properties",
                b"\x20\x03\0\0\0",
                connack(false, 0, None),
            ),
            (
                "5.0 server busy",
                b"\x20\x03\0\x89\0",
                connack(false, 0x89, None),
            ),
            (
                "5.0 assigned id",
                b"\x20\x08\0\0\x05\x12\0\x02id",
                connack(false, 0, Some(b"id")),
            ),
            (
                "5.0 assigned id behind others",
                b"\x20\x12\0\0\x0f\x22\0\x0a\x26\0\x01k\0\x01v\x12\0\x02id",
                connack(false, 0, Some(b"id")),
            ),
            (
                "5.0 properties that reach beyond the packet",
                b"\x20\x03\0\0\x05\x12\0\x02id",
                connack(false, 0, None),
            ),
            (
                "reserved header flag",
                b"\x21\x02\0\0",
                ConnackPeek::NotConnack,
            ),
            ("AUTH first", b"\xf0\x00", ConnackPeek::NotConnack),
            ("no room for a code", b"\x20\x01\0", ConnackPeek::NotConnack),
            (
                "five-byte length",
                b"\x20\xff\xff\xff\xff\x01",
                ConnackPeek::NotConnack,
            ),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(peek(bytes), expected, "{name}");
        }
    }

    #[test]
    fn a_cut_connack_is_waited_for() {
        let bytes = b"\x20\x08\0\0\x05\x12\0\x02id";
        for cut in 0..bytes.len() {
            assert_eq!(peek(&bytes[..cut]), ConnackPeek::NeedMore, "cut at {cut}");
        }
    }

    #[test]
    fn a_long_connack_is_answered_from_its_first_bytes() {
        // 16 KiB of packet: the id, then a reason string that fills the rest.
        let mut bytes = b"\x20\x80\x80\x01\x01\x00\xfb\x7f\x12\0\x02id\x1f\x3f\xf3".to_vec();
        bytes.resize(ENOUGH - 1, b'.');
        assert_eq!(peek(&bytes), ConnackPeek::NeedMore);
        bytes.push(b'.');
        assert_eq!(peek(&bytes), connack(true, 0, Some(b"id")));
    }
}
