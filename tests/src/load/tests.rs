//! Client and backend with nothing between them, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::{Direction, Job, Work, perform};

/// Starts a backend on a thread that lives as long as the test process.
fn backend() -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let (listening, listens) = mpsc::channel();
    std::thread::spawn(move || {
        let ready = || {
            listening.send(()).expect("the test waits");
            Ok(())
        };
        perform(&Job::new(Work::Serve, address), ready).expect("the backend");
    });
    listens.recv().expect("the backend listens");
    address
}

fn run(work: Work, change: impl FnOnce(&mut Job)) -> Value {
    let mut job = Job::new(work, backend());
    job.connections = 8;
    job.warm_up = Duration::from_millis(50);
    job.measured = Duration::from_millis(300);
    change(&mut job);
    let report = perform(&job, || Ok(())).unwrap_or_else(|e| panic!("{work:?}: {e}"));
    println!("{work:?}: {report}");
    report
}

fn number(report: &Value, key: &str) -> f64 {
    report[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} in {report}"))
}

#[test]
fn requests_are_answered() {
    let report = run(Work::Request, |_| {});
    assert!(number(&report, "rate") > 1000.0);
    let (p50, p99) = (number(&report, "p50"), number(&report, "p99"));
    assert!(0.0 < p50 && p50 <= p99, "{p50} {p99}");
    assert!(number(&report, "cpu") > 0.0);
}

#[test]
fn a_pace_is_kept() {
    let report = run(Work::Paced, |job| job.rate = 2000);
    let rate = number(&report, "rate");
    assert!((1800.0..2200.0).contains(&rate), "{rate}");
}

#[test]
fn bulk_data_goes_both_ways() {
    for direction in [Direction::Up, Direction::Down] {
        let report = run(Work::Bulk(direction), |job| job.connections = 2);
        assert!(number(&report, "rate") > 0.1);
    }
}

#[test]
fn small_messages_go_both_ways() {
    for direction in [Direction::Up, Direction::Down] {
        let report = run(Work::Small(direction), |job| job.connections = 2);
        assert!(number(&report, "rate") > 1000.0);
    }
}

#[test]
fn all_come_at_once() {
    let report = run(Work::Storm, |job| {
        job.connections = 300;
        job.measured = Duration::from_secs(20);
    });
    assert!(number(&report, "seconds") > 0.0);
    assert_eq!(number(&report, "retries"), 0.0);
}

#[test]
fn pings_are_answered() {
    let report = run(Work::Ping, |job| job.connections = 100);
    let rate = number(&report, "rate");
    assert!(50.0 < rate && rate < 400.0, "{rate}");
}

#[test]
fn connections_come_and_go() {
    let report = run(Work::Connect, |_| {});
    assert!(number(&report, "rate") > 100.0);
}

#[test]
fn idle_connections_stay() {
    let report = run(Work::Idle, |job| job.connections = 100);
    assert_eq!(number(&report, "connections"), 100.0);
    assert_eq!(number(&report, "lost"), 0.0);
}
