//! The two shapes of a session's line: HAProxy's tcplog and JSON.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Session;
use super::termination::termination;
use crate::escape::Escaped;
use crate::metrics::{path_name, sticky_name};

/// HAProxy's tcplog shape, then `key=value` pairs.
pub struct Text<'a>(pub &'a Session);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let backend = s.backend.as_deref().unwrap_or("<NOSRV>");
        let [who, phase] = termination(s);
        write!(
            f,
            "{} [{}] {} {}/{} {}/{}/{} {}/{} {who}{phase}",
            s.client,
            Date(s.accepted),
            s.listener,
            s.pool,
            backend,
            Or(s.waited.map(|d| d.as_millis()), "-1"),
            Or(s.connecting.map(|d| d.as_millis()), "-1"),
            s.total.as_millis(),
            s.bytes_up,
            s.bytes_down,
        )?;
        match &s.client_id {
            Some(id) => write!(f, " id=\"{}\"", Escaped(id))?,
            None => write!(f, " id=-")?,
        }
        write!(
            f,
            " level={} keepalive={} connack={} sticky={} path={} end={}",
            Or(s.level, "-"),
            Or(s.keepalive, "-"),
            Or(s.connack, "-"),
            Or(s.sticky.map(sticky_name), "-"),
            path_name(s.path),
            s.end.name(),
        )?;
        match s.end.reason() {
            Some(reason) => write!(f, " reason={reason}"),
            None => Ok(()),
        }
    }
}

/// A value that may not be known, and what stands for it then.
struct Or<T>(Option<T>, &'static str);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

/// HAProxy's date, in UTC: `06/Feb/2009:12:12:51.443`.
struct Date(SystemTime);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        // Of a fixed form: 2009-02-06T12:12:51.443Z
        let iso = humantime::format_rfc3339_millis(self.0).to_string();
        let month = iso[5..7].parse::<usize>().map_err(|_| fmt::Error)?;
        write!(
            f,
            "{}/{}/{}:{}",
            &iso[8..10],
            MONTHS[month - 1],
            &iso[..4],
            &iso[11..23]
        )
    }
}

#[derive(Serialize)]
struct Json<'a> {
    timestamp: String,
    target: &'static str,
    client: SocketAddr,
    listener: &'a str,
    pool: &'a str,
    backend: Option<&'a str>,
    wait_ms: Option<u64>,
    connect_ms: Option<u64>,
    total_ms: u64,
    bytes_up: u64,
    bytes_down: u64,
    termination: String,
    client_id: Option<String>,
    level: Option<u8>,
    keepalive: Option<u16>,
    connack: Option<u8>,
    sticky: Option<&'static str>,
    path: &'static str,
    end: &'static str,
    reason: Option<&'static str>,
}

/// One JSON object; `timestamp` is the time of accept, unknown values are null.
/// The client id has the escapes of the text line, as JSON cannot hold every byte.
pub fn json(s: &Session) -> String {
    let line = Json {
        timestamp: humantime::format_rfc3339_millis(s.accepted).to_string(),
        target: super::TARGET,
        client: s.client,
        listener: &s.listener,
        pool: &s.pool,
        backend: s.backend.as_deref(),
        wait_ms: s.waited.map(millis),
        connect_ms: s.connecting.map(millis),
        total_ms: millis(s.total),
        bytes_up: s.bytes_up,
        bytes_down: s.bytes_down,
        termination: termination(s).iter().collect(),
        client_id: s.client_id.as_deref().map(|id| Escaped(id).to_string()),
        level: s.level,
        keepalive: s.keepalive,
        connack: s.connack,
        sticky: s.sticky.map(sticky_name),
        path: path_name(s.path),
        end: s.end.name(),
        reason: s.end.reason(),
    };
    serde_json::to_string(&line).expect("strings and numbers always serialize")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
