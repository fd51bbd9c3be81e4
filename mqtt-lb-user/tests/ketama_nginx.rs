//! `balance = "hash"` gives the answers that nginx gave (`testdata/ketama`).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use mqtt_lb_user::affinity::{Affinity, BackendId, Candidate, Client, RAMPED, Server};
use mqtt_lb_user::config::Balance;
use serde::Deserialize;

fn client(key: Option<&[u8]>) -> Client<'_> {
    Client {
        key,
        source: Ipv4Addr::LOCALHOST.into(),
    }
}

#[derive(Deserialize)]
struct Upstream {
    addr: String,
    weight: u32,
    state: String,
}

/// A set of servers as nginx had it.
struct Set {
    servers: Vec<Server>,
    candidates: Vec<Candidate>,
    affinity: Affinity,
}

impl Set {
    fn named(name: &str) -> Self {
        let mut sets: BTreeMap<String, Vec<Upstream>> =
            serde_json::from_str(include_str!("../testdata/ketama/sets.json")).unwrap();
        let upstreams = sets.remove(name).unwrap();
        let servers: Vec<_> = (0..)
            .zip(&upstreams)
            .map(|(id, upstream)| Server {
                id: BackendId(id),
                address: upstream.addr.parse().unwrap(),
                weight: upstream.weight,
            })
            .collect();
        let candidates = servers
            .iter()
            .zip(&upstreams)
            .map(|(server, upstream)| {
                let up = upstream.state == "up";
                let weight = server.weight;
                Candidate {
                    id: server.id,
                    weight,
                    ramp: RAMPED,
                    connections: 0,
                    full: false,
                    backup: false,
                    usable: up,
                    sticky_ok: up,
                }
            })
            .collect();
        let affinity = Affinity::new(Balance::Hash, None, &servers);
        Self {
            servers,
            candidates,
            affinity,
        }
    }

    /// Addresses in order of preference.
    fn rank(&mut self, client_id: &str) -> Vec<String> {
        let mut out = Vec::new();
        let key = Some(client_id.as_bytes());
        self.affinity
            .route(Instant::now(), client(key), &self.candidates, &mut out);
        out.iter()
            .map(|id| self.servers[id.0 as usize].address.to_string())
            .collect()
    }
}

/// Rows of a file: the client id, and set name to server.
fn answers(csv: &'static str) -> Vec<(&'static str, BTreeMap<&'static str, &'static str>)> {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    lines
        .map(|row| {
            (
                row[0],
                header[1..]
                    .iter()
                    .copied()
                    .zip(row[1..].iter().copied())
                    .collect(),
            )
        })
        .collect()
}

/// Compares every answer for one set, and returns how many there were.
fn compare(csv: &'static str, name: &str) -> usize {
    let mut set = Set::named(name);
    let rows = answers(csv);
    for (client_id, row) in &rows {
        assert_eq!(set.rank(client_id)[0], row[name], "{client_id} in {name}");
    }
    rows.len()
}

const IPV4: &str = include_str!("../testdata/ketama/nginx-1.22.csv");
const IPV6: &str = include_str!("../testdata/ketama/nginx-1.22-ipv6.csv");

#[test]
fn a_thousand_ids_over_five_sets_go_where_nginx_sends_them() {
    for set in ["equal4", "weights123", "equal4_down3", "removed3", "added5"] {
        assert_eq!(compare(IPV4, set), 1_000);
    }
}

#[test]
fn ipv6_servers_with_weights_and_one_down_too() {
    assert_eq!(compare(IPV6, "ipv6"), 300);
}

#[test]
fn the_second_choice_is_where_nginx_sends_clients_of_a_server_that_is_down() {
    let mut set = Set::named("equal4");
    let mut compared = 0;
    for (client_id, row) in answers(IPV4) {
        if row["equal4"] == "127.0.0.1:18833" {
            assert_eq!(set.rank(client_id)[1], row["equal4_down3"], "{client_id}");
            compared += 1;
        }
    }
    assert!(
        compared > 150,
        "only {compared} clients of the third server"
    );
}
