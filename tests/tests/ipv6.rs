//! IPv6 on both sides, and IPv4 clients of IPv6 brokers, on each data path:
//! the same bytes arrive.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_tests::lab::{FRONT, Lab};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{Need, met};
use mqtt_lb_tests::stream;
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan;

const STALL: Duration = Duration::from_secs(30);
const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];

const CONFIG: &str = r#"
[listener.six]
bind = "[fd77:1::1]:1883"
pool = "brokers"
[listener.four]
bind = "10.77.1.1:1883"
pool = "brokers"
[pool.brokers]
balance = "leastconn"
proxy_protocol = "v2"
[[pool.brokers.backend]]
name = "b1"
address = "[fd77:2::2]:1001"
[[pool.brokers.backend]]
name = "b2"
address = "[fd77:2::2]:1002"
"#;

fn streams(path: DataPath, front: &str, seed: u64) {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    let flows: Arc<[_]> = plan::mixed(seed, 100, 200_000).into();
    let broker: IpAddr = "fd77:2::2".parse().expect("address");
    let brokers: Vec<_> = [1001, 1002]
        .map(|port| StreamBroker::start(&lab.backend, (broker, port).into(), &flows, STALL))
        .into();
    let lb = Lb::start(&lab.lb, path, CONFIG);
    let front: IpAddr = front.parse().expect("address");
    let target = SocketAddr::new(front, 1883);
    let report = stream::run(&lab.client, target, &flows, &brokers, STALL);
    report.assert_intact(&format!("{front} to {broker} ({path:?})"));
    let scrape = lb.metrics();
    let moved = scrape.sum("mqttlb_datapath_moves_total", &[("path", "sockmap")]);
    assert_eq!(moved > 0.0, path == DataPath::Sockmap, "{moved} moves");
}

#[test]
fn v6_to_v6_sockmap() {
    streams(DataPath::Sockmap, "fd77:1::1", 21);
}

#[test]
fn v6_to_v6_copy() {
    streams(DataPath::Copy, "fd77:1::1", 22);
}

#[test]
fn v4_to_v6_sockmap() {
    streams(DataPath::Sockmap, &FRONT.to_string(), 23);
}
