//! Brokers on the balancer's own host, whose sends go straight into the
//! client's socket (sk_msg): not one byte lost, doubled or out of order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_tests::lab::{BACK, FRONT, Lab};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream;
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{self, Flow};

const STALL: Duration = Duration::from_secs(30);
const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];

const CONFIG: &str = r#"
[listener.mqtt]
bind = "10.77.1.1:1883"
pool = "brokers"
[pool.brokers]
balance = "leastconn"
proxy_protocol = "v2"
[[pool.brokers.backend]]
name = "b1"
address = "10.77.2.1:1001"
[[pool.brokers.backend]]
name = "b2"
address = "10.77.2.1:1002"
"#;

fn beside_the_balancer(path: DataPath, flows: Vec<Flow>) {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    let flows: Arc<[Flow]> = flows.into();
    let brokers: Vec<_> = [1001, 1002]
        .map(|port| StreamBroker::start(&lab.lb, (BACK, port).into(), &flows, STALL))
        .into();
    let lb = Lb::start(&lab.lb, path, CONFIG);
    let target = SocketAddr::new(FRONT, 1883);
    let report = stream::run(&lab.client, target, &flows, &brokers, STALL);
    report.assert_intact(&format!("brokers on the balancer's host ({path:?})"));
    let log = lb.log();
    assert!(
        !log.contains("local_brokers is not available"),
        "the short cut was not there:\n{log}"
    );
    let moved = lb
        .metrics()
        .sum("mqttlb_datapath_moves_total", &[("path", "sockmap")]);
    say(&format!("  {moved} moves into the kernel"));
    assert!(moved > 0.0, "no flow was in the kernel");
}

#[test]
fn many_flows() {
    beside_the_balancer(DataPath::Local, plan::mixed(11, 250, 300_000));
}
