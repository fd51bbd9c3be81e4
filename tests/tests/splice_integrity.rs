//! The splice path loses, doubles, reorders and changes not one byte: on bad
//! wires, with either hook, one interface or two, IPv4 and IPv6, and with peers
//! whose TCP is small or old. `MQTT_LB_LONG` sends a gigabyte each way.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::{Lab, Layout};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::{deadline, size};
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow, ID_PREFIX, Pace};
use mqtt_lb_tests::{stream, watchdog};

const STALL: Duration = Duration::from_secs(30);
/// Behind CONNACK: long enough to hand a flow over though packets are lost.
const QUIET: Duration = Duration::from_secs(1);

/// What the issue asks for: every kind of damage, on both wires.
fn bad() -> Impairment {
    Impairment {
        loss: 0.01,
        reorder: 0.02,
        reorder_by: Duration::from_millis(3),
        duplicate: 0.005,
        flip: 0.001,
        delay: Duration::from_millis(1),
        ..Impairment::default()
    }
}

fn quiet_first(mut flow: Flow) -> Flow {
    flow.up.write.delay = QUIET;
    flow.down.write.delay = QUIET;
    flow
}

/// `count` flows that send `bytes` each way in all.
fn bulk(count: u32, bytes: u64) -> Vec<Flow> {
    let each = bytes / u64::from(count);
    (0..count)
        .map(|id| {
            let seed = u64::from(id) * 2;
            let (up, down) = (Direction::fast(seed, each), Direction::fast(seed + 1, each));
            quiet_first(Flow::new(id, up, down))
        })
        .collect()
}

/// Runs flows that must be handed over, and all must be intact.
fn streams(what: &str, lab: &Lab, path: DataPath, six: bool, flows: Vec<Flow>) {
    let flows: Arc<[Flow]> = flows.into();
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(six),
        &flows,
        STALL,
    )];
    let lb = Lb::start(&lab.lb, path, &splice::config(six));
    let report = stream::run(&lab.client, splice::front(six), &flows, &brokers, STALL);
    let scrape = lb.metrics();
    let (moved, refused) = (splice::handovers(&scrape), splice::refusals(&scrape));
    report.assert_intact(&format!(
        "{what} ({path:?}, {})",
        if six { "v6" } else { "v4" }
    ));
    splice::say_handovers(&scrape);
    // A SYN that is lost comes again after a second: then the client is no more quiet.
    let least = if lab.relays.is_empty() { 1.0 } else { 0.5 };
    let all = flows.len() as f64;
    assert!(
        moved >= least * all,
        "{moved} of {all} handed over; refused: {refused:?}"
    );
}

fn damaged(lab: &Lab) {
    for relay in &lab.relays {
        let c = relay.counters();
        for count in [&c.lost, &c.reordered, &c.duplicated, &c.flipped] {
            assert!(count.load(Relaxed) > 0, "the wire was not bad: {c:?}");
        }
        say(&format!("  wire: {c:?}"));
    }
}

fn bad_wires(path: DataPath, one_arm: bool, six: bool) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(1_800)));
    let lab = Lab::build(&Layout {
        impairment: Some((bad(), 5)),
        one_arm,
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    let what = if one_arm { "one arm" } else { "two arms" };
    streams(what, &lab, path, six, bulk(4, size(12 << 20, 1 << 30)));
    damaged(&lab);
}

#[test]
fn tcx_two_arms_v4() {
    bad_wires(DataPath::Splice, false, false);
}

#[test]
fn tcx_two_arms_v6() {
    bad_wires(DataPath::Splice, false, true);
}

#[test]
fn tcx_one_arm_v4() {
    bad_wires(DataPath::Splice, true, false);
}

#[test]
fn tcx_one_arm_v6() {
    bad_wires(DataPath::Splice, true, true);
}

#[test]
fn xdp_two_arms_v4() {
    bad_wires(DataPath::Xdp, false, false);
}

#[test]
fn xdp_two_arms_v6() {
    bad_wires(DataPath::Xdp, false, true);
}

#[test]
fn xdp_one_arm_v4() {
    bad_wires(DataPath::Xdp, true, false);
}

#[test]
fn xdp_one_arm_v6() {
    bad_wires(DataPath::Xdp, true, true);
}

/// Offloads on: super-packets and checksums that are only begun.
fn good_wires(path: DataPath, one_arm: bool) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(600)));
    for six in [false, true] {
        let lab = Lab::build(&Layout {
            one_arm,
            xdp: path == DataPath::Xdp,
            ..Layout::default()
        });
        let what = if one_arm {
            "one arm, offloads"
        } else {
            "offloads"
        };
        streams(what, &lab, path, six, bulk(4, size(64 << 20, 1 << 30)));
    }
}

#[test]
fn tcx_with_offloads() {
    good_wires(DataPath::Splice, false);
    good_wires(DataPath::Splice, true);
}

#[test]
fn xdp_with_offloads() {
    good_wires(DataPath::Xdp, false);
    good_wires(DataPath::Xdp, true);
}

/// The clients' link takes smaller packets than the backends'.
#[test]
fn a_small_mtu_on_the_clients_side() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(600)));
    for (path, six) in [
        (DataPath::Splice, false),
        (DataPath::Splice, true),
        (DataPath::Xdp, false),
    ] {
        let lab = Lab::build(&Layout {
            client_mtu: Some(1_280),
            xdp: path == DataPath::Xdp,
            ..Layout::default()
        });
        streams(
            "MTU 1280",
            &lab,
            path,
            six,
            bulk(2, size(8 << 20, 256 << 20)),
        );
    }
}

/// Receivers that never promise much, less than the balancer's own sockets did,
/// and have no SACK: two senders must not lock each other.
fn limited(what: &str, path: DataPath, narrow: impl FnOnce(&Lab)) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(600)));
    let lab = Lab::build(&Layout {
        impairment: Some((bad(), 9)),
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    for ns in [&lab.client, &lab.backend] {
        ns.sysctl("net.ipv4.tcp_sack", "0");
        ns.sysctl("net.ipv4.tcp_rmem", "4096 8192 16384");
    }
    narrow(&lab);
    let slow = |mut direction: Direction| {
        direction.read.chunk = 500..4_000;
        direction
    };
    let flows = bulk(24, size(6 << 20, 200 << 20));
    let flows = flows.into_iter().map(|mut flow| {
        flow.up = slow(flow.up);
        flow.down = slow(flow.down);
        flow
    });
    streams(what, &lab, path, false, flows.collect());
}

const NARROW: &str = "windows of 8 KiB, no SACK";

#[test]
fn window_limited_receivers_without_sack_tcx() {
    limited(NARROW, DataPath::Splice, |_| {});
}

#[test]
fn window_limited_receivers_without_sack_xdp() {
    limited(NARROW, DataPath::Xdp, |_| {});
}

/// Both peers count windows in bytes, the balancer's sockets in larger units: what is
/// rounded takes back a little of what was promised.
#[test]
fn windows_in_bytes_told_in_larger_units() {
    let what = "windows of 8 KiB in bytes, no SACK";
    limited(what, DataPath::Splice, |lab| {
        let bytes = "window 16384";
        lab.client
            .ip(&format!("route replace 10.77.1.0/24 dev c0 {bytes}"));
        lab.backend
            .ip(&format!("route replace 10.77.2.0/24 dev b0 {bytes}"));
    });
}

/// Nobody reads for four seconds, while the other end has more than windows hold.
#[test]
fn zero_windows() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    let lab = Lab::new();
    let deaf = Pace {
        delay: Duration::from_secs(5),
        ..Pace::FAST
    };
    let flows = bulk(3, 24 << 20).into_iter().map(|mut flow| {
        if flow.id != 0 {
            flow.up.read = deaf.clone();
        }
        if flow.id != 1 {
            flow.down.read = deaf.clone();
        }
        flow
    });
    streams(
        "zero windows",
        &lab,
        DataPath::Splice,
        false,
        flows.collect(),
    );
}

/// Rests longer than the keepalive of the CONNECT, shorter than twice that.
#[test]
fn rests_longer_than_a_keepalive() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    let lab = Lab::impaired(bad(), 13);
    let flows = (0..8).map(|id| {
        let client_id = format!("{ID_PREFIX}{id}");
        let seed = u64::from(id) * 2;
        let mut flow = Flow::new(
            id,
            Direction::fast(seed, 40_000),
            Direction::fast(seed + 1, 40_000),
        );
        flow.connect = Connect {
            keepalive: 2,
            ..Connect::new(&client_id)
        }
        .encode();
        for direction in [&mut flow.up, &mut flow.down] {
            direction.write = Pace {
                chunk: 20_000..20_001,
                every: 2,
                pause: Duration::from_millis(3_200),
                delay: Duration::from_millis(3_200),
            };
        }
        flow
    });
    streams("rests", &lab, DataPath::Splice, false, flows.collect());
}

type Off = &'static [&'static str];
const TIMESTAMPS: &str = "net.ipv4.tcp_timestamps";
const SACK: &str = "net.ipv4.tcp_sack";
const SCALING: &str = "net.ipv4.tcp_window_scaling";

fn switch_off(ns: &Netns, options: Off) {
    for option in options {
        ns.sysctl(option, "0");
    }
}

/// Clients whose SYN lacks options that the backend has.
fn lacking(options: Off, path: DataPath, six: bool) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    let lab = Lab::build(&Layout {
        impairment: Some((bad(), 17)),
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    switch_off(&lab.client, options);
    let what = format!("clients without {options:?}");
    streams(&what, &lab, path, six, bulk(4, size(3 << 20, 256 << 20)));
}

#[test]
fn clients_without_timestamps() {
    lacking(&[TIMESTAMPS], DataPath::Splice, false);
}

#[test]
fn clients_without_sack() {
    lacking(&[SACK], DataPath::Splice, false);
}

#[test]
fn clients_without_window_scale() {
    lacking(&[SCALING], DataPath::Splice, false);
}

#[test]
fn clients_without_any_option() {
    lacking(&[TIMESTAMPS, SACK, SCALING], DataPath::Splice, true);
    lacking(&[TIMESTAMPS, SACK, SCALING], DataPath::Xdp, false);
}
