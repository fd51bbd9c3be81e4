//! Who goes where: stick table, weights, empty client ids, and what the broker
//! learns about the client's address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect, V5};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::solo::{FRONT, Solo};

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip")];
const HEALTH: &str = "[pool.brokers.health]\ntype = \"off\"\n";
const STICK: &str = "[pool.brokers.stick]\nsize = 1000\n";

fn start<'a>(solo: &'a Solo, keys: &str, tables: &str) -> Lb<'a> {
    let pool = format!("{keys}\n{tables}{HEALTH}");
    Lb::start(
        &solo.ns,
        DataPath::Auto,
        &config(FRONT, &pool, &solo.backends()),
    )
}

fn places(solo: &Solo, ids: &[String]) -> BTreeMap<String, usize> {
    ids.iter()
        .map(|id| (id.clone(), solo.place(id).1))
        .collect()
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("client-{n}")).collect()
}

#[test]
fn the_stick_table_brings_clients_back() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let lb = start(&solo, "balance = \"roundrobin\"", STICK);
    let first = places(&solo, &ids(40));
    for n in 1..=3 {
        assert!(
            first.values().any(|place| *place == n),
            "all brokers are used: {first:?}"
        );
    }
    let mut backwards = ids(40);
    backwards.reverse();
    assert_eq!(
        places(&solo, &backwards),
        first,
        "everyone comes back, in any order"
    );
    let metrics = lb.metrics();
    assert_eq!(
        metrics.sum("mqttlb_sticky_total", &[("result", "new")]),
        40.0
    );
    assert_eq!(
        metrics.sum("mqttlb_sticky_total", &[("result", "hit")]),
        40.0
    );
}

#[test]
fn without_a_table_round_robin_moves_clients() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let _lb = start(&solo, "balance = \"roundrobin\"", "");
    let visited: Vec<usize> = (0..9).map(|_| solo.place("wanderer").1).collect();
    for n in 1..=3 {
        assert!(visited.contains(&n), "{visited:?}");
    }
}

#[test]
fn the_hash_brings_clients_back_without_a_table() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let before = {
        let _lb = start(&solo, "balance = \"hash\"", "");
        places(&solo, &ids(30))
    };
    let _lb = start(&solo, "balance = \"hash\"", "");
    assert_eq!(
        places(&solo, &ids(30)),
        before,
        "the same answers after a restart"
    );
    let used: std::collections::BTreeSet<_> = before.values().collect();
    assert_eq!(used.len(), 3, "{before:?}");
}

#[test]
fn leastconn_fills_the_emptiest() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let _lb = start(&solo, "balance = \"leastconn\"", "");
    let held: Vec<(Client, usize)> = (0..6).map(|n| solo.place(&format!("held-{n}"))).collect();
    let on = |n| held.iter().filter(|(_, place)| *place == n).count();
    assert_eq!((on(1), on(2)), (3, 3));
}

/// Brokers visited by clients with an empty id from one source address.
fn empty_ids(solo: &Solo, source: u8, count: usize) -> Vec<usize> {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 7, source));
    let one = |_| {
        let before: Vec<usize> = solo.brokers.iter().map(|b| b.visits("")).collect();
        let stream = solo.ns.connect_from(source, FRONT).expect("connect");
        let connect = Connect {
            level: V5,
            ..Connect::new("")
        };
        Client::connect(stream, &connect)
            .expect("an empty id")
            .ping()
            .expect("ping");
        let now = solo.brokers.iter().map(|b| b.visits(""));
        1 + now.zip(before).position(|(a, b)| a > b).expect("a visit")
    };
    (0..count).map(one).collect()
}

#[test]
fn empty_ids_are_balanced() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(2);
    let lb = start(&solo, "balance = \"roundrobin\"", STICK);
    let places = empty_ids(&solo, 1, 6);
    assert!(places.contains(&1) && places.contains(&2), "{places:?}");
    let table = lb.admin_ok(&["table", "show", "brokers"]);
    assert!(table.contains("used:0"), "none of them is stored: {table}");
}

#[test]
fn empty_ids_stick_by_source() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(3);
    let _lb = start(
        &solo,
        "balance = \"roundrobin\"\nempty_client_id = \"source\"",
        STICK,
    );
    let mut used = std::collections::BTreeSet::new();
    for source in 1..=6 {
        let places = empty_ids(&solo, source, 4);
        assert!(
            places.iter().all(|place| *place == places[0]),
            "{source}: {places:?}"
        );
        used.insert(places[0]);
    }
    assert_eq!(used.len(), 3, "sources are spread");
}

#[test]
fn empty_ids_are_refused() {
    if !met(NEEDS) {
        return;
    }
    let solo = Solo::new(1);
    let lb = start(&solo, "empty_client_id = \"reject\"", STICK);
    assert!(solo.client("").is_err());
    assert_eq!(solo.brokers[0].visits(""), 0);
    let labels = [("reason", "empty_client_id")];
    assert_eq!(lb.metrics().sum("mqttlb_refused_total", &labels), 1.0);
    solo.place("named");
}

#[test]
fn the_broker_learns_the_clients_address() {
    if !met(NEEDS) {
        return;
    }
    for (version, known) in [("v1", true), ("v2", true), ("off", false)] {
        let solo = Solo::new(1);
        let _lb = start(&solo, &format!("proxy_protocol = \"{version}\""), "");
        let stream = solo
            .ns
            .connect_from(IpAddr::from([127, 0, 0, 77]), FRONT)
            .expect("connect");
        let client = stream.local_addr().expect("address");
        Client::connect(stream, &Connect::new("seen"))
            .expect("connect")
            .ping()
            .expect("ping");
        let visitor = solo.brokers[0].visitors().pop().expect("a visitor");
        assert_eq!(visitor.proxied, known.then_some(client), "{version}");
        assert_ne!(
            visitor.peer, client,
            "{version}: the connection is the balancer's own"
        );
    }
}
