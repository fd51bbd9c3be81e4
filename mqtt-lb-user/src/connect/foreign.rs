//! What first bytes are that are not CONNECT's.

use super::Refusal;

/// How protocols that meet MQTT ports by mistake begin.
///
/// Four bytes at most: enough to tell them apart and from MQTT packets, of
/// which `P` (0x50, PUBREC) is one.
const SIGNATURES: [(&[u8], Refusal); 14] = [
    // Record type handshake, major version 3 (RFC 8446 §5.1).
    (&[0x16, 0x03], Refusal::Tls),
    // HTTP methods (RFC 9110 §9, RFC 5789) and the preface of RFC 9113 §3.4.
    (b"GET ", Refusal::Http),
    (b"HEAD", Refusal::Http),
    (b"POST", Refusal::Http),
    (b"PUT ", Refusal::Http),
    (b"DELE", Refusal::Http),
    (b"CONN", Refusal::Http),
    (b"OPTI", Refusal::Http),
    (b"TRAC", Refusal::Http),
    (b"PATC", Refusal::Http),
    (b"PRI ", Refusal::Http),
    // PROXY protocol §2.1 and §2.2.
    (b"PROX", Refusal::ProxyHeader),
    (b"\r\n\r\n", Refusal::ProxyHeader),
    // RFC 4253 §4.2.
    (b"SSH-", Refusal::Ssh),
];

/// Names what `bytes`, which do not begin with CONNECT's first byte, are.
///
/// `None` as long as they may still become a known protocol: a later byte then
/// decides, the fourth at the latest. So the answer depends on the bytes only,
/// not on how they were cut.
pub(super) fn name(bytes: &[u8]) -> Option<Refusal> {
    let first = *bytes.first()?;
    for (signature, refusal) in SIGNATURES {
        if bytes.starts_with(signature) {
            return Some(refusal);
        }
    }
    if SIGNATURES
        .iter()
        .any(|(signature, _)| signature.starts_with(bytes))
    {
        return None;
    }
    Some(packet(first))
}

/// Names the MQTT packet that begins with `first` (MQTT 5.0 §2.1.2, §2.1.3).
fn packet(first: u8) -> Refusal {
    Refusal::OtherPacket(match first {
        0x10..=0x1f => return Refusal::HeaderFlags(first),
        0x20 => "CONNACK",
        0x30..=0x35 | 0x38..=0x3d => "PUBLISH",
        0x40 => "PUBACK",
        0x50 => "PUBREC",
        0x62 => "PUBREL",
        0x70 => "PUBCOMP",
        0x82 => "SUBSCRIBE",
        0x90 => "SUBACK",
        0xa2 => "UNSUBSCRIBE",
        0xb0 => "UNSUBACK",
        0xc0 => "PINGREQ",
        0xd0 => "PINGRESP",
        0xe0 => "DISCONNECT",
        0xf0 => "AUTH",
        _ => return Refusal::NotMqtt(first),
    })
}
