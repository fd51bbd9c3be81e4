//! What health checks send and expect, beside the parameters of servers.

use super::Reader;
use crate::import::note::Said;

/// What a backend says about its checks.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Sends a CONNECT.
    pub(super) connect: Option<Said>,
    /// Waits for a CONNACK.
    pub(super) connack: bool,
    /// Time a check may take.
    pub(super) timeout: Option<(String, Said)>,
}

/// Takes a line about checks; whether it is one.
pub(super) fn take(
    reader: &mut Reader<'_>,
    checks: &mut Checks,
    words: &[&str],
    said: &Said,
) -> bool {
    match words {
        ["option", "tcp-check"] | ["tcp-check", "connect"] => {}
        ["tcp-check", "comment", ..] => {}
        ["tcp-check", "send-binary", hex, ..] if is_connect(hex) => {
            checks.connect = Some(said.clone());
        }
        ["tcp-check", "expect", "binary", hex, ..] if hex.starts_with("20") => {
            checks.connack = true;
        }
        ["tcp-check", "expect", "rbinary", hex, ..]
            if hex.trim_start_matches('^').starts_with("20") =>
        {
            checks.connack = true;
        }
        ["tcp-check", ..] => {
            let why = "checks connect, and with [pool.NAME.health] type = \"mqtt\" they send a \
                       CONNECT and wait for any CONNACK";
            reader.draft.notes.not_taken(said, why);
        }
        ["option", kind, ..] if kind.ends_with("-check") || kind.ends_with("chk") => {
            let why = "checks are TCP or MQTT: [pool.NAME.health] type; TCP is taken";
            reader.draft.notes.not_taken(said, why);
        }
        ["http-check" | "external-check", ..] => {
            let why = "checks are TCP or MQTT: [pool.NAME.health] type";
            reader.draft.notes.not_taken(said, why);
        }
        _ => return false,
    }
    true
}

/// Whether `hex` is a CONNECT: its first byte and the name of its protocol.
fn is_connect(hex: &str) -> bool {
    let hex = hex.to_ascii_lowercase();
    hex.starts_with("10") && (hex.contains("00044d515454") || hex.contains("00064d514973647"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_are_known() {
        assert!(is_connect("101000044d5154540402003c000463686b31"));
        assert!(is_connect("101200064D51497364700302003c000463686b31"));
        assert!(!is_connect("c000"));
        assert!(!is_connect("1000"));
    }
}
