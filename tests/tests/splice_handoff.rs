//! Handing flows over to the splice path while both sides talk, on bad wires:
//! nothing is lost, nobody is reset, and the dissolved sockets say nothing more.
//! `MQTT_LB_LONG` does it with 2,000 connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mqtt_lb_tests::capture::{Traces, is_own, unsound};
use mqtt_lb_tests::impair::Impairment;
use mqtt_lb_tests::lab::{Lab, Layout, pair};
use mqtt_lb_tests::lb::{DataPath, Lb};
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::rng::Rng;
use mqtt_lb_tests::size::{deadline, size};
use mqtt_lb_tests::splice::{self, NEEDS};
use mqtt_lb_tests::stream::broker::StreamBroker;
use mqtt_lb_tests::stream::plan::{Direction, Flow, Pace};
use mqtt_lb_tests::{stream, watchdog};

const STALL: Duration = Duration::from_secs(30);
const EACH: u64 = 64 << 10;

fn bad() -> Impairment {
    Impairment {
        loss: 0.01,
        reorder: 0.02,
        reorder_by: Duration::from_millis(3),
        duplicate: 0.005,
        flip: 0.003,
        delay: Duration::from_millis(1),
        ..Impairment::default()
    }
}

/// Both sides begin in the packet in front and never rest for long.
fn talkative(id: u32, over: Duration, rng: &mut Rng) -> Flow {
    let mut direction = || {
        let mut direction = Direction::fast(rng.word(), EACH);
        direction.pipelined = rng.within(&(1..8_000));
        direction.write = Pace {
            chunk: 100..1_500,
            every: 1,
            pause: Duration::from_millis(50),
            delay: Duration::ZERO,
        };
        direction
    };
    let mut flow = Flow::new(id, direction(), direction());
    flow.start = rng.up_to(over);
    flow
}

fn talking(path: DataPath, count: u32) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(900)));
    let mut rng = Rng::new(23);
    let over = Duration::from_millis(u64::from(count) * 10);
    let flows: Arc<[_]> = (0..count).map(|id| talkative(id, over, &mut rng)).collect();
    let lab = Lab::build(&Layout {
        impairment: Some((bad(), 29)),
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    let brokers = [StreamBroker::start(
        &lab.backend,
        splice::broker(false),
        &flows,
        STALL,
    )];
    let lb = Lb::start(&lab.lb, path, &splice::config(false));
    let captures = lab.capture();
    let report = stream::run(&lab.client, splice::front(false), &flows, &brokers, STALL);
    let scrape = lb.metrics();
    let moved = splice::handovers(&scrape);
    report.assert_intact(&format!("talking during the handover ({path:?})"));
    splice::say_handovers(&scrape);
    let least = f64::from(count) * 0.8;
    assert!(moved >= least, "only {moved} of {count} were handed over");

    let flipped: u64 = lab
        .relays
        .iter()
        .map(|r| r.counters().flipped.load(Relaxed))
        .sum();
    let mut wrong = Vec::new();
    let mut spliced = BTreeSet::new();
    for capture in captures {
        let mut seen = capture.finish();
        wrong.extend(unsound(&seen));
        // What was damaged on its way here is nobody's word.
        seen.retain(|(_, segment)| segment.sound);
        let traces = Traces::new(&seen);
        let leftovers = traces.leftovers();
        assert!(
            leftovers.is_empty(),
            "dissolved sockets speak: {leftovers:#?}"
        );
        let translated = traces.iter().filter(|(_, trace)| trace.forwarded > 0);
        spliced.extend(translated.map(|((from, to), _)| (*from, *to)));
    }
    say(&format!(
        "  capture: {} directions translated, nothing of dissolved sockets; {} segments \
         damaged, {flipped} flipped on the wires",
        spliced.len(),
        wrong.len(),
    ));
    assert!(wrong.len() as u64 <= flipped, "wrong checksums: {wrong:#?}");
    assert!(
        spliced.len() as f64 >= 2.0 * least,
        "the capture saw too little"
    );
}

#[test]
fn many_talking_connections_tcx() {
    talking(DataPath::Splice, size(200, 2_000));
}

#[test]
fn many_talking_connections_xdp() {
    talking(DataPath::Xdp, size(100, 2_000));
}

/// On wires that damage nothing, every checksum of every segment is right.
#[test]
fn every_checksum_is_right() {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(300)));
    for (path, six) in [
        (DataPath::Splice, false),
        (DataPath::Splice, true),
        (DataPath::Xdp, false),
        (DataPath::Xdp, true),
    ] {
        let mut rng = Rng::new(31);
        let second = Duration::from_secs(1);
        let flows: Arc<[_]> = (0..20).map(|id| talkative(id, second, &mut rng)).collect();
        let lossy = Impairment { flip: 0.0, ..bad() };
        let lab = Lab::build(&Layout {
            impairment: Some((lossy, 37)),
            xdp: path == DataPath::Xdp,
            ..Layout::default()
        });
        let broker = [StreamBroker::start(
            &lab.backend,
            splice::broker(six),
            &flows,
            STALL,
        )];
        let lb = Lb::start(&lab.lb, path, &splice::config(six));
        let captures = lab.capture();
        let report = stream::run(&lab.client, splice::front(six), &flows, &broker, STALL);
        report.assert_intact(&format!("checksums ({path:?}, v6: {six})"));
        splice::say_handovers(&lb.metrics());
        for capture in captures {
            let seen = capture.finish();
            assert_eq!(unsound(&seen), Vec::<String>::new());
            let traces = Traces::new(&seen);
            assert_eq!(traces.leftovers(), Vec::<String>::new());
            let translated: usize = traces.iter().map(|(_, trace)| trace.forwarded).sum();
            assert!(translated > 500, "only {translated} translated");
        }
    }
}

/// Once their flows are spliced, the dissolved sockets send nothing at all: no
/// probe, no acknowledgement that came late, no farewell.
fn silent(path: DataPath) {
    if !met(NEEDS) {
        return;
    }
    watchdog::limit(deadline(Duration::from_secs(120)));
    let delay = Impairment {
        delay: Duration::from_millis(1),
        ..Impairment::default()
    };
    let lab = Lab::build(&Layout {
        impairment: Some((delay, 53)),
        xdp: path == DataPath::Xdp,
        ..Layout::default()
    });
    let listener = lab.backend.listen(splice::broker(false));
    let lb = Lb::start(&lab.lb, path, &splice::config(false));
    let captures = lab.capture();
    let pairs: Vec<_> = (0..50)
        .map(|n| pair(&lab, &listener, &format!("c{n}")))
        .collect();
    splice::wait_spliced(&lb, pairs.len(), STALL);
    let begin = Instant::now();
    // Longer than what a socket waits for with a retransmission or a probe.
    std::thread::sleep(Duration::from_secs(2));
    let own: Vec<_> = captures
        .into_iter()
        .flat_map(|capture| capture.finish())
        .filter(|(at, segment)| *at > begin && is_own(segment))
        .collect();
    assert!(own.is_empty(), "{own:#?}");
    assert_eq!(splice::spliced(&lb), 50.0);
    drop(pairs);
}

#[test]
fn dissolved_sockets_are_silent_tcx() {
    silent(DataPath::Splice);
}

#[test]
fn dissolved_sockets_are_silent_xdp() {
    silent(DataPath::Xdp);
}
