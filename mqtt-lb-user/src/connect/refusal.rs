//! Why a client is turned away before any broker sees it.

use std::fmt;

/// A reason to refuse a client's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A TLS record came to a plain listener.
    Tls,
    /// An HTTP request, or the preface of HTTP/2.
    Http,
    /// A PROXY protocol header, version 1 or 2.
    ProxyHeader,
    /// An SSH banner.
    Ssh,
    /// A CONNECT whose reserved header flags are set (MQTT 3.1.1 §2.2.2).
    HeaderFlags(u8),
    /// Another packet came first (MQTT 3.1.1 §3.1, [MQTT-3.1.0-1]); its name.
    OtherPacket(&'static str),
    /// Nothing that is known; its first byte.
    NotMqtt(u8),
    /// A length is encoded in more than four bytes (MQTT 3.1.1 §2.2.3).
    LongLength(&'static str),
    /// The protocol name is neither `MQTT` nor `MQIsdp` (MQTT 3.1.1 §3.1.2.1).
    ProtocolName,
    /// The named field reaches beyond the end of its packet.
    BeyondPacket(&'static str),
    /// The properties in front of the client id are longer than the limit.
    LongProperties {
        /// Their length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The client id ends behind the bytes that are kept for a CONNECT.
    BeyondBuffer {
        /// Bytes up to the end of the client id.
        needed: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Refusal {
    /// The reason as a metric label: fixed words, no values.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http => "http",
            Self::ProxyHeader => "proxy_header",
            Self::Ssh => "ssh",
            Self::HeaderFlags(_) => "header_flags",
            Self::OtherPacket(_) => "other_packet",
            Self::NotMqtt(_) => "not_mqtt",
            Self::LongLength(_) => "long_length",
            Self::ProtocolName => "protocol_name",
            Self::BeyondPacket(_) => "beyond_packet",
            Self::LongProperties { .. } => "long_properties",
            Self::BeyondBuffer { .. } => "beyond_buffer",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("TLS ClientHello on a plain MQTT listener"),
            Self::Http => f.write_str("HTTP request on an MQTT listener"),
            Self::ProxyHeader => {
                f.write_str("PROXY protocol header on a listener that does not take one")
            }
            Self::Ssh => f.write_str("SSH banner on an MQTT listener"),
            Self::HeaderFlags(byte) => {
                write!(
                    f,
                    "CONNECT with reserved header flags set: first byte 0x{byte:02x}, not 0x10"
                )
            }
            Self::OtherPacket(name) => write!(f, "MQTT {name} sent before CONNECT"),
            Self::NotMqtt(byte) => write!(f, "not MQTT: first byte 0x{byte:02x}, not 0x10"),
            Self::LongLength(field) => write!(f, "CONNECT with a {field} of more than four bytes"),
            Self::ProtocolName => {
                f.write_str("CONNECT with a protocol name that is neither MQTT nor MQIsdp")
            }
            Self::BeyondPacket(field) => {
                write!(f, "CONNECT whose {field} reaches beyond the packet")
            }
            Self::LongProperties { length, limit } => write!(
                f,
                "CONNECT with {length} bytes of properties before the client id, more than \
                 limits.connect_properties = {limit}"
            ),
            Self::BeyondBuffer { needed, limit } => write!(
                f,
                "CONNECT whose client id ends at byte {needed}, more than \
                 limits.connect_buffer = {limit}"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_labels_and_messages_are_one_line() {
        let table = [
            (
                Refusal::Tls,
                "tls",
                "TLS ClientHello on a plain MQTT listener",
            ),
            (Refusal::Http, "http", "HTTP request on an MQTT listener"),
            (
                Refusal::ProxyHeader,
                "proxy_header",
                "PROXY protocol header on a listener that does not take one",
            ),
            (Refusal::Ssh, "ssh", "SSH banner on an MQTT listener"),
            (
                Refusal::HeaderFlags(0x1f),
                "header_flags",
                "CONNECT with reserved header flags set: first byte 0x1f, not 0x10",
            ),
            (
                Refusal::OtherPacket("PUBLISH"),
                "other_packet",
                "MQTT PUBLISH sent before CONNECT",
            ),
            (
                Refusal::NotMqtt(0),
                "not_mqtt",
                "not MQTT: first byte 0x00, not 0x10",
            ),
            (
                Refusal::LongLength("remaining length"),
                "long_length",
                "CONNECT with a remaining length of more than four bytes",
            ),
            (
                Refusal::ProtocolName,
                "protocol_name",
                "CONNECT with a protocol name that is neither MQTT nor MQIsdp",
            ),
            (
                Refusal::BeyondPacket("client id"),
                "beyond_packet",
                "CONNECT whose client id reaches beyond the packet",
            ),
            (
                Refusal::LongProperties {
                    length: 9,
                    limit: 8,
                },
                "long_properties",
                "CONNECT with 9 bytes of properties before the client id, more than \
                 limits.connect_properties = 8",
            ),
            (
                Refusal::BeyondBuffer {
                    needed: 70_000,
                    limit: 65_554,
                },
                "beyond_buffer",
                "CONNECT whose client id ends at byte 70000, more than \
                 limits.connect_buffer = 65554",
            ),
        ];
        for (refusal, reason, message) in table {
            assert_eq!(refusal.reason(), reason);
            assert_eq!(refusal.to_string(), message);
        }
    }
}
