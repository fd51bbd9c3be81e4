//! Spliced peers whose TCP is small, old or at rest: windows that hardly open or
//! close altogether, options that a client lacks, rests. Not a byte is wrong, and
//! nobody waits for ever.

use std::time::Duration;

use mqtt_lb_tests::lab::{Lab, Layout};
use mqtt_lb_tests::lb::DataPath;
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::met;
use mqtt_lb_tests::size::{deadline, size};
use mqtt_lb_tests::splice::NEEDS;
use mqtt_lb_tests::splice_load::{bad, bulk, streams};
use mqtt_lb_tests::stream::plan::{Direction, Flow, ID_PREFIX, Pace};
use mqtt_lb_tests::watchdog;

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
