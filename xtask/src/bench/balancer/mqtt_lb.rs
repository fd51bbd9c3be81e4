//! mqtt-lb's configuration.

use std::fmt::Write as _;

use super::{HTTP, STICK, Sides};
use crate::bench::candidate::Path;
use crate::bench::pins::Pins;

/// Connections beyond those measured.
const SPARE: usize = 1000;

/// One path and no other, so that nothing else is measured; pins where it has some.
pub fn config(path: Path, pins: Option<&Pins>, sides: &Sides) -> String {
    let flows = sides.connections.max(1000);
    let mut text = format!("datapath = [\"{}\"]\n", path.name());
    text += "[admin]\nsocket = \"off\"\n[log]\nlevel = \"warn\"\nsessions = false\n";
    let _ = writeln!(
        text,
        "[limits]\nmax_connections = {}",
        sides.connections + SPARE
    );
    let _ = writeln!(text, "max_pending = {}", sides.connections + SPARE);
    text += "[timeouts]\nshutdown_grace = \"1s\"\n";
    let _ = writeln!(text, "[http]\nlisten = \"{HTTP}\"");
    match (path, pins) {
        (Path::Splice, Some(pins)) => {
            let _ = writeln!(text, "[splice]\nmax_flows = {flows}\ndrop_flows = true");
            let _ = writeln!(text, "pin = \"{}\"", pins.dir().display());
        }
        (Path::Sockmap, _) => {
            let _ = writeln!(text, "[sockmap]\npolicy = \"always\"\nmax_flows = {flows}");
        }
        _ => {}
    }
    for (n, front) in sides.fronts.iter().enumerate() {
        let _ = writeln!(
            text,
            "[listener.mqtt{n}]\nbind = \"{front}\"\npool = \"brokers\""
        );
    }
    let size = sides.connections.max(STICK);
    text += "[pool.brokers]\n";
    if sides.proxy {
        text += "proxy_protocol = \"v2\"\n";
    }
    let _ = writeln!(
        text,
        "[pool.brokers.stick]\nsize = {size}\nexpire = \"30m\""
    );
    text += "[pool.brokers.health]\ntype = \"off\"\n";
    for (n, backend) in sides.backends.iter().enumerate() {
        text += "[[pool.brokers.backend]]\n";
        let _ = writeln!(text, "name = \"b{n}\"\naddress = \"{backend}\"");
    }
    text
}
