//! Which broker saw which client, by the brokers' own logs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;

use super::broker::Broker;

/// The broker of each visit, by client id.
pub type Seen = BTreeMap<String, Vec<String>>;

/// Reads the brokers' logs.
///
/// # Errors
/// If one cannot be read.
pub fn by_client(brokers: &[Broker]) -> Result<Seen> {
    let mut seen = Seen::new();
    for broker in brokers {
        for id in broker.log()?.lines().filter_map(visitor) {
            seen.entry(id.to_owned())
                .or_default()
                .push(broker.name.clone());
        }
    }
    Ok(seen)
}

/// The client id in mosquitto's
/// `1795278000: New client connected from 127.0.0.1:40000 as sensor-1 (p2, c1, k60).`
/// Those of the health checks have other names and are left out.
fn visitor(line: &str) -> Option<&str> {
    let (_, who) = line.split_once(": New client connected from ")?;
    let (_, id) = who.split_once(" as ")?;
    let id = id.split(' ').next()?;
    ["display-", "sensor-"]
        .iter()
        .any(|kind| id.starts_with(kind))
        .then_some(id)
}

/// One line per client.
pub fn report(seen: &Seen) -> String {
    let mut text = String::new();
    for (id, visits) in seen {
        let brokers: BTreeSet<&str> = visits.iter().map(String::as_str).collect();
        let brokers = brokers.into_iter().collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {id:<12} {} connections to {brokers}", visits.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_samples_connections_are_counted() {
        let line =
            "1795278000: New client connected from 127.0.0.1:40000 as sensor-1 (p2, c1, k60).";
        assert_eq!(visitor(line), Some("sensor-1"));
        assert_eq!(
            visitor("1795278000: New connection from 127.0.0.1:40000 on port 1."),
            None
        );
        assert_eq!(visitor(&line.replace("sensor-1", "auto-7F3A")), None);
    }

    #[test]
    fn a_client_that_moved_shows() {
        let visits = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let seen = Seen::from([
            ("display-1".to_owned(), visits(&["b2", "b2", "b2"])),
            ("sensor-1".to_owned(), visits(&["b1", "b3"])),
        ]);
        assert_eq!(
            report(&seen),
            "  display-1    3 connections to b2\n  sensor-1     2 connections to b1, b3\n"
        );
    }
}
