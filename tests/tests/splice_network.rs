//! What the network does to spliced flows: narrow links behind routers, next hops that
//! change.

use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_tests::lab::{Lab, Layout};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::pairs::{say_byte, spliced_pairs};
use mqtt_lb_tests::require::met;
use mqtt_lb_tests::size::deadline;
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow};
use mqtt_lb_tests::{stream, watchdog};

const STALL: Duration = Duration::from_secs(20);
const TEST: Duration = Duration::from_secs(180);

/// A link behind a router takes less than the client said: ICMP must find the
/// backend, which sends.
fn narrow(path: DataPath, six: bool) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = Lab::build(&Layout {
        narrow: Some(1_300),
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    let mut flow = Flow::new(0, Direction::fast(2, 1_000), Direction::fast(1, 2 << 20));
    flow.up.write.delay = Duration::from_secs(1);
    flow.down.write.delay = Duration::from_secs(1);
    let flows: Arc<[_]> = [flow].into();
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(six),
        &flows,
        STALL,
    )];
    let lb = Lb::start(&lab.lb, path, &splice::config(six));
    let report = stream::run(&lab.client, splice::front(six), &flows, &brokers, STALL);
    let scrape = lb.metrics();
    let told = splice::packets(&scrape, "icmp_translated");
    report.assert_intact(&format!(
        "a narrow link ({path:?}, v6: {six}), {told} ICMP errors"
    ));
    assert_eq!(
        splice::handovers(&scrape),
        1.0,
        "{:?}",
        splice::refusals(&scrape)
    );
    assert!(told > 0.0, "nobody had to be told");
}

#[test]
fn a_narrow_link_behind_a_router_tcx() {
    narrow(DataPath::Splice, false);
    narrow(DataPath::Splice, true);
}

#[test]
fn a_narrow_link_behind_a_router_xdp() {
    narrow(DataPath::Xdp, false);
    narrow(DataPath::Xdp, true);
}

/// The next hop gets another MAC address: one that speaks, and one that is only
/// spoken to.
fn next_hops(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(TEST));
    let lab = splice::lab(path);
    let (listener, lb) = splice::setup(&lab, path);
    let pairs = spliced_pairs(&lab, &listener, &lb, 1);
    let (client, broker) = &pairs[0];
    say_byte(client, broker);
    say_byte(broker, client);

    lab.client.ip("link set c0 address 02:00:00:4d:11:01");
    say_byte(client, broker);
    say_byte(broker, client);

    let mac = "02:00:00:4d:22:01";
    lab.backend.ip(&format!("link set b0 address {mac}"));
    let broker_ip = splice::broker(false).ip();
    lab.lb.ip(&format!(
        "neigh replace {broker_ip} lladdr {mac} nud reachable dev back"
    ));
    say_byte(client, broker);
    say_byte(broker, client);
    drop(lb);
}

#[test]
fn a_next_hop_with_another_mac_address_tcx() {
    next_hops(DataPath::Splice);
}

#[test]
fn a_next_hop_with_another_mac_address_xdp() {
    next_hops(DataPath::Xdp);
}
