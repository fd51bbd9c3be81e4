//! HAProxy's configuration.

use std::fmt::Write as _;

use super::{STICK, Sides};
use crate::bench::candidate::Haproxy;

/// Connections for which 20,000 descriptors suffice.
const MOST: u32 = 9_900;
/// The same where it keeps pipes for splice(2).
const SPLICED: u32 = 2_000;

/// The published recipe with the two lines that make it stick, and without its log.
pub fn config(how: Haproxy, sides: &Sides) -> String {
    let size = sides.connections.max(STICK);
    let most = if how.splices { SPLICED } else { MOST };
    let mut text = format!("global\n  nbthread {}\n  maxconn {most}\n", how.threads);
    let _ = writeln!(
        text,
        "defaults\n  mode tcp\n  maxconn {most}\n  timeout connect 30s"
    );
    text += "  timeout client 600s\n  timeout server 600s\n";
    if how.splices {
        text += "  option splice-auto\n";
    }
    text += "frontend mqtt\n";
    for front in sides.fronts {
        let _ = writeln!(text, "  bind {front}");
    }
    text += "  tcp-request inspect-delay 10s\n";
    text += "  tcp-request content reject unless { req.payload(0,0),mqtt_is_valid }\n";
    text += "  default_backend brokers\nbackend brokers\n  mode tcp\n";
    let _ = writeln!(
        text,
        "  stick-table type string len 32 size {size} expire 30m"
    );
    text += "  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)\n";
    let proxy = if sides.proxy { " send-proxy-v2" } else { "" };
    for (n, backend) in sides.backends.iter().enumerate() {
        let _ = writeln!(text, "  server b{n} {backend}{proxy}");
    }
    text
}
