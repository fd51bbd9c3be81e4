//! Addresses as both languages write them: `HOST`, `HOST:PORT`, `[V6]:PORT`.

use std::net::{IpAddr, SocketAddr};

use super::Resolve;
use super::draft::Draft;
use super::note::Said;

/// Splits a port off; no port when there is none or it is no number.
pub(super) fn split(text: &str) -> (&str, Option<u16>) {
    let bare: Option<IpAddr> = text.parse().ok();
    match text.rsplit_once(':') {
        Some((host, port)) if bare.is_none() => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// The numeric address `host` is, with or without brackets.
pub(super) fn numeric(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

/// The address of a broker, as the configuration writes it, and what is wrong with it
/// when the reader would not take it.
pub(super) fn broker(
    draft: &mut Draft,
    host: &str,
    port: u16,
    said: &Said,
    resolve: Resolve<'_>,
) -> (String, Option<String>) {
    if let Some(ip) = numeric(host) {
        return (SocketAddr::new(ip, port).to_string(), None);
    }
    let name = format!("{host}:{port}");
    if !is_name(host) {
        let why = format!("{host} is not the address of a host: write IP:PORT");
        return (name, Some(why));
    }
    match resolve(host) {
        Some(ip) => {
            let why = format!(
                "taken as {ip}, which the name stands for now; mqtt-lb does not look names up"
            );
            draft.notes.differs(said, why);
            (SocketAddr::new(ip, port).to_string(), None)
        }
        None => {
            let why = format!(
                "mqtt-lb does not look names up: write the address of {host}, or import with --resolve"
            );
            (name, Some(why))
        }
    }
}

/// Whether `host` may be a host name.
fn is_name(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=253).contains(&host.len()) && host.bytes().all(allowed)
}
