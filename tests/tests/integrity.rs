//! Not one byte is lost, doubled, reordered or changed, on either data path,
//! on good and on bad wires.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mqtt_lb_tests::bpf;
use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream;
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{self, Direction, Flow, Pace};

const STALL: Duration = Duration::from_secs(30);
const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];

/// Three brokers, PROXY v2, health checks on: nothing of it may touch a stream. A check
/// outlasts what a bad wire does to its handshake: the sessions of a backend that is
/// down are ended.
const CONFIG: &str = r#"
[listener.mqtt]
bind = "10.77.1.1:1883"
pool = "brokers"
[pool.brokers]
balance = "leastconn"
proxy_protocol = "v2"
[pool.brokers.stick]
size = "10k"
expire = "30m"
[pool.brokers.health]
type = "tcp"
interval = "5s"
timeout = "5s"
[[pool.brokers.backend]]
name = "b1"
address = "10.77.2.2:1001"
[[pool.brokers.backend]]
name = "b2"
address = "10.77.2.2:1002"
[[pool.brokers.backend]]
name = "b3"
address = "10.77.2.2:1003"
"#;

fn through_balancer<'a>(lab: &'a Lab, path: DataPath, what: &str, flows: Vec<Flow>) -> Lb<'a> {
    let flows: Arc<[Flow]> = flows.into();
    let brokers: Vec<_> = [1001, 1002, 1003]
        .map(|port| StreamBroker::start(&lab.backend, (BACKEND, port).into(), &flows, STALL))
        .into();
    let lb = Lb::start(&lab.lb, path, CONFIG);
    let fds = lb.process.open_fds();
    let target = SocketAddr::new(FRONT, 1883);
    let report = stream::run(&lab.client, target, &flows, &brokers, STALL);
    report.assert_intact(&format!("{what} ({path:?})"));

    let nothing = |value: f64| value == 0.0;
    lb.wait_metric(
        "mqttlb_open_connections",
        &[],
        Duration::from_secs(10),
        nothing,
    );
    lb.wait_metric(
        "mqttlb_datapath_flows",
        &[],
        Duration::from_secs(10),
        nothing,
    );
    lb.wait_metric(
        "mqttlb_buffered_bytes",
        &[],
        Duration::from_secs(10),
        nothing,
    );
    if path != DataPath::Copy {
        let entries = bpf::entries(lb.process.pid(), "FLOWS");
        assert_eq!(entries, Some(0), "entries of flows that are gone");
    }
    assert!(
        lb.process.open_fds() < fds + 20,
        "descriptors of flows that are gone"
    );

    // Where the flows ended, as their log lines say.
    let ended = |word: &str| lb.log().lines().filter(|line| line.contains(word)).count();
    let (kernel, user) = (ended(" path=sockmap "), ended(" path=copy "));
    say(&format!(
        "  {kernel} flows ended in the kernel, {user} in userspace"
    ));
    assert_eq!(kernel + user, flows.len());
    match path {
        DataPath::Copy => assert_eq!(kernel, 0),
        DataPath::Sockmap => assert!(2 * kernel >= flows.len(), "too few flows in the kernel"),
        _ => {}
    }
    lb
}

fn good_wire(path: DataPath) {
    if met(NEEDS) {
        through_balancer(&Lab::new(), path, "good wire", plan::mixed(1, 250, 400_000));
    }
}

fn bad_wire(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    let how = Impairment {
        loss: 0.01,
        reorder: 0.02,
        reorder_by: Duration::from_millis(3),
        duplicate: 0.01,
        ..Impairment::default()
    };
    let lab = Lab::impaired(how, 3);
    through_balancer(
        &lab,
        path,
        "1 % loss, reorder, duplicates",
        plan::mixed(2, 220, 200_000),
    );
    for relay in &lab.relays {
        let counters = relay.counters();
        for counter in [&counters.lost, &counters.reordered, &counters.duplicated] {
            assert!(
                counter.load(Relaxed) > 0,
                "the wire was not bad: {counters:?}"
            );
        }
        say(&format!("  wire: {counters:?}"));
    }
}

#[test]
fn good_wire_sockmap() {
    good_wire(DataPath::Sockmap);
}

#[test]
fn good_wire_copy() {
    good_wire(DataPath::Copy);
}

#[test]
fn good_wire_auto() {
    good_wire(DataPath::Auto);
}

#[test]
fn bad_wire_sockmap() {
    bad_wire(DataPath::Sockmap);
}

#[test]
fn bad_wire_copy() {
    bad_wire(DataPath::Copy);
}

#[test]
fn bad_wire_auto() {
    bad_wire(DataPath::Auto);
}

/// Bursts of small messages with rests between them, both ways: quiet flows
/// move into the kernel, busy ones out of it, and neither move costs a byte.
#[test]
fn auto_moves_in_and_out() {
    if !met(NEEDS) {
        return;
    }
    let bursts = |seed| Direction {
        write: Pace {
            chunk: 100..101,
            every: 4_000,
            pause: Duration::from_secs(5),
            ..Pace::FAST
        },
        ..Direction::fast(seed, 1_500_000)
    };
    let flow = |id: u32| Flow::new(id, bursts(u64::from(id)), bursts(1_000 + u64::from(id)));
    let lab = Lab::new();
    let lb = through_balancer(
        &lab,
        DataPath::Auto,
        "bursts and rests",
        (0..24).map(flow).collect(),
    );
    let moves = |path| {
        lb.metrics()
            .sum("mqttlb_datapath_moves_total", &[("path", path)])
    };
    let (inward, outward) = (moves("sockmap"), moves("copy"));
    say(&format!(
        "  {inward} moves into the kernel, {outward} out of it"
    ));
    assert!(inward >= 24.0 && outward >= 12.0, "too few moves");
}
