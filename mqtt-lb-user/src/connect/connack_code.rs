//! The codes with which a broker refuses, in words.

/// What a code that is not 0 says: the return codes of MQTT 3.1.1 §3.2.2.3, the reason
/// codes of MQTT 5.0 §3.2.2.2; `unknown` for a code that neither has.
pub fn reason(code: u8) -> &'static str {
    match code {
        0x01 | 0x84 => "unsupported_protocol_version",
        0x02 | 0x85 => "client_id_not_valid",
        0x03 | 0x88 => "server_unavailable",
        0x04 | 0x86 => "bad_user_name_or_password",
        0x05 | 0x87 => "not_authorized",
        0x80 => "unspecified_error",
        0x81 => "malformed_packet",
        0x82 => "protocol_error",
        0x83 => "implementation_specific_error",
        0x89 => "server_busy",
        0x8a => "banned",
        0x8c => "bad_authentication_method",
        0x90 => "topic_name_invalid",
        0x95 => "packet_too_large",
        0x97 => "quota_exceeded",
        0x99 => "payload_format_invalid",
        0x9a => "retain_not_supported",
        0x9b => "qos_not_supported",
        0x9c => "use_another_server",
        0x9d => "server_moved",
        0x9f => "connection_rate_exceeded",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_protocols_have_a_word_for_the_same_thing() {
        assert_eq!(reason(0x05), "not_authorized");
        assert_eq!(reason(0x87), "not_authorized");
        assert_eq!(reason(0x06), "unknown");
    }
}
