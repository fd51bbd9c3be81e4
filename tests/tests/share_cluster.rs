//! Two balancers and a cluster that loses what a client's old node gets once it has moved: a
//! device that reconnects through the other balancer has to reach its node, also while Redis is
//! gone, after it has come back empty, and after a balancer has lost its table.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use mqtt_lb_tests::brokers::ejabberd::{self, Ejabberd};
use mqtt_lb_tests::brokers::redis::Redis;
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

const ROUNDS: usize = 10;
const NODES: [usize; 2] = [1, 2];
const OTHER: SocketAddr = address(2, 1883);
const REDIS: SocketAddr = address(9, 6379);
const SOON: Duration = Duration::from_secs(20);

const fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, host)),
        port,
    )
}

fn login(id: &str, clean: bool) -> Connect<'_> {
    Connect {
        clean,
        login: Some(("user", b"any")),
        ..Connect::new(id)
    }
}

/// A client of one node, past the balancers.
fn publisher(ns: &Netns, node: usize) -> Client {
    let mut stream = ns.connect(backend(node as u8)).expect("connect");
    stream
        .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")
        .expect("PROXY header");
    Client::connect(stream, &login(&format!("publisher-{node}"), true)).expect("publisher")
}

/// The node that has a connection, by the address in its own log.
fn node_of(cluster: &Ejabberd<'_>, client: &Client) -> usize {
    let address = client.stream().local_addr().expect("address");
    let accepted = format!("Accepted proxied connection {address} ");
    wait::until("a node should log the client", SOON, || {
        let logged = |node: &usize| cluster.log(*node).contains(&accepted);
        NODES.into_iter().find(logged)
    })
}

/// Two balancers that share their tables through Redis, or do not.
fn balancers<'a>(ns: &'a Netns, redis: Option<&Redis<'_>>) -> [Lb<'a>; 2] {
    let shared = redis.is_some();
    let pool = format!(
        "balance = \"roundrobin\"\nproxy_protocol = \"v2\"\n\
         [pool.brokers.stick]\nsize = 1000\nshared = {shared}\n\
         [pool.brokers.health]\ntype = \"off\"\n"
    );
    let share = redis.map(|redis| format!("[share]\nredis = \"{}\"\n", redis.url()));
    let text = |bind| {
        let backends = NODES.map(|node| backend(node as u8));
        config(bind, &pool, &backends) + share.as_deref().unwrap_or_default()
    };
    let lbs = [FRONT, OTHER].map(|bind| Lb::start(ns, DataPath::Copy, &text(bind)));
    if shared {
        wait_share(&lbs, "mqttlb_share_synced", 1.0);
    }
    lbs
}

/// Waits until both have or have not a Redis.
fn wait_share(lbs: &[Lb<'_>; 2], metric: &str, value: f64) {
    for lb in lbs {
        lb.wait_metric(metric, &[], SOON, |now| now == value);
    }
}

/// Redis dies and returns empty; a balancer is killed and comes back with an empty table.
fn disturb(round: usize, lbs: &mut [Lb<'_>; 2], redis: &mut Redis<'_>) {
    match round {
        3 => {
            redis.process.kill();
            wait_share(lbs, "mqttlb_share_connected", 0.0);
        }
        6 => {
            redis.start_again();
            wait_share(lbs, "mqttlb_share_synced", 1.0);
        }
        8 => {
            lbs[1].process.kill();
            lbs[1].start_again();
        }
        _ => {}
    }
}

/// A persistent subscriber changes the balancer in each round; each time a message is
/// published on the node where it was before. Returns how many arrive.
fn delivered(
    ns: &Netns,
    cluster: &Ejabberd<'_>,
    lbs: &mut [Lb<'_>; 2],
    mut redis: Option<&mut Redis<'_>>,
) -> usize {
    let shared = redis.is_some();
    let id = format!("device-{shared}");
    let topic = format!("proof/{id}");
    // Round robin, so that the second balancer's first client would not go where this one goes.
    Client::connect(ns.connect(OTHER).expect("connect"), &login("first", true)).expect("first");
    let mut publishers = NODES.map(|node| publisher(ns, node));
    let subscriber = |front| Client::connect(ns.connect(front).ok()?, &login(&id, false)).ok();
    let mut device = subscriber(FRONT).expect("subscriber");
    device.subscribe(&topic, 1).expect("subscribe");
    let mut count = 0;
    for round in 0..ROUNDS {
        let node = node_of(cluster, &device);
        if let Some(redis) = &mut redis {
            disturb(round, lbs, redis);
        }
        let (front, lb) = [(OTHER, &lbs[1]), (FRONT, &lbs[0])][round % 2];
        if shared {
            let key = ["table", "show", "brokers", "--key", &id];
            wait::for_true("the other balancer should hear of it", SOON, || {
                lb.admin(&key).status.success()
            });
        }
        // A node may have closed a session that it had to give away.
        let _ = device.disconnect();
        let Some(again) = subscriber(front) else {
            say(&format!("  {id}, round {round}: refused by the node"));
            return count;
        };
        device = again;
        let payload = format!("message {round}");
        publishers[node - 1]
            .publish(&topic, 1, payload.as_bytes())
            .expect("publish");
        match device.message(Duration::from_secs(2)) {
            Ok(Some(got)) if got == payload.as_bytes() => count += 1,
            other => say(&format!("  {id}, round {round}: {other:?}")),
        }
    }
    count
}

#[test]
fn a_device_reaches_its_node_through_the_other_balancer() {
    let needs = [ejabberd::NEEDS, &[Need::Program("redis-server")]].concat();
    if !met(&needs) {
        return;
    }
    let ns = Netns::new("share");
    let cluster = Ejabberd::start(&ns, &NODES.map(|node| backend(node as u8)));
    let mut redis = Redis::start(&ns, REDIS);
    let mut lbs = balancers(&ns, Some(&redis));
    let together = delivered(&ns, &cluster, &mut lbs, Some(&mut redis));
    drop(lbs);
    let mut lbs = balancers(&ns, None);
    let apart = delivered(&ns, &cluster, &mut lbs, None);
    say(&format!(
        "ejabberd behind two balancers: {together} of {ROUNDS} delivered with shared tables, \
         {apart} of {ROUNDS} with tables apart"
    ));
    assert_eq!(together, ROUNDS);
    assert!(apart < ROUNDS, "the test could not have failed");
}
