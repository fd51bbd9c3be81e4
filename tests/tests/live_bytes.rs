//! The metrics of a connection that stays in the kernel move while it is there,
//! and count every byte once.

use std::io::{Read, Write};
use std::time::Duration;

use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab, pair};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met};

const WAIT: Duration = Duration::from_secs(10);
const POOL: &str = "[pool.brokers.health]\ntype = \"off\"";

#[test]
fn bytes_in_the_kernel_are_counted_as_they_go() {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    let lab = Lab::new();
    let listener = lab.backend.listen((BACKEND, 1001).into());
    let front = (FRONT, 1883).into();
    let config = config(front, POOL, &[(BACKEND, 1001).into()]);
    let lb = Lb::start(&lab.lb, DataPath::Sockmap, &config);
    let (mut client, mut broker) = pair(&lab, &listener, "c");
    let in_kernel = [("path", "sockmap")];
    lb.wait_metric("mqttlb_datapath_flows", &in_kernel, WAIT, |n| n == 1.0);
    let count = |direction| {
        let labels = [("direction", direction)];
        lb.metrics().sum("mqttlb_bytes_total", &labels)
    };
    let (up, down) = (count("up"), count("down"));

    client.write_all(&[1; 3000]).expect("write");
    broker.read_exact(&mut [0; 3000]).expect("read");
    broker.write_all(&[2; 500]).expect("write");
    client.read_exact(&mut [0; 500]).expect("read");
    for (direction, bytes) in [("up", up + 3000.0), ("down", down + 500.0)] {
        let labels = [("direction", direction)];
        lb.wait_metric("mqttlb_bytes_total", &labels, WAIT, |n| n == bytes);
    }
    let flows = lb.metrics().sum("mqttlb_datapath_flows", &in_kernel);
    assert_eq!(flows, 1.0, "it has not left the kernel for that");

    client.write_all(&[3; 70]).expect("write");
    broker.read_exact(&mut [0; 70]).expect("read");
    drop((client, broker));
    lb.wait_metric("mqttlb_open_connections", &[], WAIT, |n| n == 0.0);
    assert_eq!(count("up"), up + 3070.0);
    assert_eq!(count("down"), down + 500.0);
}
