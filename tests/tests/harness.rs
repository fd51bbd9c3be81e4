//! The harness itself: an intact forwarder passes, and every kind of damage to
//! a stream is seen. What the other files show rests on this.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mqtt_lb_tests::capture::{Traces, unsound};
use mqtt_lb_tests::forwarder::{Fault, Forwarder};
use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::{BACKEND, BACKEND6, FRONT, FRONT6, Lab, Layout};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{self, Direction, Flow};
use mqtt_lb_tests::stream::{self, Report};

const STALL: Duration = Duration::from_secs(5);

fn through_forwarder(lab: &Lab, fault: Fault, count: u32) -> Report {
    let flows = plan::mixed(11, count, 200_000);
    between(lab, FRONT, BACKEND, fault, flows)
}

fn between(lab: &Lab, front: IpAddr, backend: IpAddr, fault: Fault, flows: Vec<Flow>) -> Report {
    let flows: Arc<[_]> = flows.into();
    let target = SocketAddr::new(front, 1883);
    let broker = StreamBroker::start(&lab.backend, (backend, 1883).into(), &flows, STALL);
    let _forwarder = Forwarder::start(&lab.lb, target, broker.address, fault);
    stream::run(&lab.client, target, &flows, &[broker], STALL)
}

#[test]
fn an_honest_forwarder_passes() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    through_forwarder(&Lab::new(), Fault::None, 100).assert_intact("forwarder");
}

#[test]
fn every_fault_is_caught() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let faults = [
        (Fault::Flip, "not of this stream"),
        (Fault::Lose, "lost or late"),
        (Fault::Duplicate, "come again"),
        (Fault::Swap, "lost or late"),
        (Fault::CloseBoth, "closed after"),
    ];
    for (fault, words) in faults {
        let report = through_forwarder(&Lab::new(), fault, 24);
        let seen = report
            .failures
            .iter()
            .find(|failure| failure.contains(words));
        let seen = seen.unwrap_or_else(|| panic!("{fault:?} was not seen as such: {report}"));
        say(&format!("{fault:?} is seen: {seen}"));
    }
}

#[test]
fn tcp_mends_what_the_bad_wire_does() {
    if !met(&[Need::Root, Need::Program("ip")]) {
        return;
    }
    let how = Impairment {
        loss: 0.01,
        reorder: 0.02,
        reorder_by: Duration::from_millis(3),
        duplicate: 0.01,
        flip: 0.005,
        ..Impairment::default()
    };
    let lab = Lab::impaired(how, 5);
    through_forwarder(&lab, Fault::None, 50).assert_intact("forwarder on a bad wire");
    for relay in &lab.relays {
        let counters = relay.counters();
        for counter in [
            &counters.lost,
            &counters.reordered,
            &counters.duplicated,
            &counters.flipped,
        ] {
            assert!(
                counter.load(std::sync::atomic::Ordering::Relaxed) > 0,
                "{counters:?}"
            );
        }
        say(&format!("{counters:?}"));
    }
}

/// Every layout of the lab carries both families, and the capture sees what the
/// middle sends: whole checksums, and nothing that was forwarded by packets.
#[test]
fn every_layout_works() {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    for n in 0..8u32 {
        let bit = |bit: u32| n & bit != 0;
        let delay = Impairment {
            delay: Duration::from_millis(1),
            ..Impairment::default()
        };
        let layout = Layout {
            impairment: bit(1).then_some((delay, 7)),
            one_arm: bit(2),
            xdp: bit(4),
            client_mtu: bit(4).then_some(1_300),
            narrow: (n == 0).then_some(1_300),
        };
        let lab = Lab::build(&layout);
        let captures = if bit(1) { lab.capture() } else { Vec::new() };
        for (front, backend) in [(FRONT, BACKEND), (FRONT6, BACKEND6)] {
            let (up, down) = (Direction::fast(1, 1 << 20), Direction::fast(2, 1 << 20));
            let flows = vec![Flow::new(0, up, down)];
            between(&lab, front, backend, Fault::None, flows).assert_intact(&format!("{n}"));
        }
        for capture in captures {
            let seen = capture.finish();
            assert!(seen.len() > 200, "only {} segments", seen.len());
            assert_eq!(unsound(&seen), Vec::<String>::new());
            let traces = Traces::new(&seen);
            assert!(traces.iter().all(|(_, trace)| trace.forwarded == 0));
        }
    }
}
