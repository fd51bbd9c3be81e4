//! Stickiness, shown on a real cluster: ejabberd loses what is published on the
//! node that a persistent session has just left, so nothing may make it leave.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use mqtt_lb_tests::brokers::ejabberd::{Ejabberd, NEEDS};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const ROUNDS: usize = 10;
const NODES: [usize; 2] = [1, 2];
const STICK: &str = "[pool.brokers.stick]\nsize = 1000\n";
/// Checks come often: one that stalled ejabberd's accept loop would be noticed.
const CHECKS: &str =
    "[pool.brokers.health]\ntype = \"tcp\"\ninterval = \"500ms\"\ntimeout = \"500ms\"";

fn login(id: &str, clean: bool) -> Connect<'_> {
    Connect {
        clean,
        login: Some(("user", b"any")),
        ..Connect::new(id)
    }
}

/// A client of one node, past the balancer.
fn publisher(ns: &Netns, node: usize) -> Client {
    let mut stream = ns.connect(backend(node as u8)).expect("connect");
    stream
        .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")
        .expect("PROXY header");
    Client::connect(stream, &login(&format!("publisher-{node}"), true)).expect("publisher")
}

/// The node that has a connection, by the address in its own log.
fn node_of(cluster: &Ejabberd<'_>, client: &TcpStream) -> usize {
    let address = client.local_addr().expect("address");
    let accepted = format!("Accepted proxied connection {address} ");
    wait::until(
        "a node should log the client",
        Duration::from_secs(5),
        || {
            NODES
                .into_iter()
                .find(|node| cluster.log(*node).contains(&accepted))
        },
    )
}

/// A persistent subscriber reconnects `ROUNDS` times; each time a message is
/// published on the node where it was before. Returns how many arrive.
fn delivered(ns: &Netns, cluster: &Ejabberd<'_>, path: DataPath, tables: &str) -> usize {
    let pool = format!("balance = \"roundrobin\"\nproxy_protocol = \"v2\"\n{tables}{CHECKS}");
    let config = config(FRONT, &pool, &NODES.map(|node| backend(node as u8)));
    let lb = Lb::start(ns, path, &config);
    let id = &format!("{path:?}-{}", tables.len());
    for node in NODES {
        let name = format!("b{node}");
        let up = |up: f64| up == 1.0;
        lb.wait_metric(
            "mqttlb_backend_up",
            &[("backend", &name)],
            Duration::from_secs(10),
            up,
        );
    }
    let topic = format!("proof/{id}");
    let subscriber = || Client::connect(ns.connect(FRONT).ok()?, &login(id, false)).ok();
    let mut publishers = NODES.map(|node| publisher(ns, node));
    let mut subscribed = subscriber().expect("subscriber");
    subscribed.subscribe(&topic, 1).expect("subscribe");
    let mut count = 0;
    for round in 0..ROUNDS {
        let node = node_of(cluster, subscribed.stream());
        // A node may have closed a session that it had to give away.
        let _ = subscribed.disconnect();
        let Some(again) = subscriber() else {
            // ejabberd has lost track of the session on its way between nodes.
            say(&format!(
                "  {id}, round {round}: the node refuses the subscriber"
            ));
            return count;
        };
        subscribed = again;
        let payload = format!("message {round}");
        publishers[node - 1]
            .publish(&topic, 1, payload.as_bytes())
            .expect("publish");
        match subscribed.message(Duration::from_secs(2)) {
            Ok(Some(got)) if got == payload.as_bytes() => count += 1,
            other => say(&format!("  {id}, round {round}: {other:?}")),
        }
    }
    count
}

#[test]
fn stickiness_keeps_what_round_robin_loses() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("ejabberd");
    let cluster = Ejabberd::start(&ns, &NODES.map(|node| backend(node as u8)));
    for path in DataPath::PURE {
        let sticky = delivered(&ns, &cluster, path, STICK);
        let moving = delivered(&ns, &cluster, path, "");
        say(&format!(
            "ejabberd ({path:?}): {sticky} of {ROUNDS} delivered with the stick table, {moving} of \
             {ROUNDS} with round robin alone"
        ));
        assert_eq!(sticky, ROUNDS);
        assert!(moving < ROUNDS, "the test could not have failed");
    }
}
