//! The splice path loses, doubles, reorders and changes not one byte: on bad
//! wires, with either hook, one interface or two, IPv4 and IPv6.
//! `MQTT_LB_LONG` sends a gigabyte each way.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mqtt_lb_tests::lab::{Lab, Layout};
use mqtt_lb_tests::lb::DataPath;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::size::{deadline, size};
use mqtt_lb_tests::splice::NEEDS;
use mqtt_lb_tests::splice_load::{bad, bulk, streams};
use mqtt_lb_tests::watchdog;

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
