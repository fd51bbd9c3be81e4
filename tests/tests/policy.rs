//! The auto policy against its two alternatives: it has to be as quick as the
//! kernel for quiet connections and as strong as userspace for busy ones.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mqtt_lb_tests::lab::{BACKEND, Lab, pair};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::require::{Need, met, say};
use mqtt_lb_tests::wait;

const PATHS: [DataPath; 3] = [DataPath::Sockmap, DataPath::Copy, DataPath::Auto];
const FLOWS: usize = 8;
/// Runs of each kind, one after the other, of which the median counts.
const RUNS: usize = 3;
const WAIT: Duration = Duration::from_secs(10);

type Pairs = Vec<(TcpStream, TcpStream)>;

/// A balancer with connected flows. `Auto` has had its quiet second.
struct Bench<'a> {
    lb: Lb<'a>,
    pairs: Pairs,
}

impl<'a> Bench<'a> {
    fn start(lab: &'a Lab, path: DataPath) -> Self {
        let listener = lab.backend.listen((BACKEND, 1001).into());
        let pool = "[pool.brokers.health]\ntype = \"off\"";
        let front = (mqtt_lb_tests::lab::FRONT, 1883).into();
        let lb = Lb::start(
            &lab.lb,
            path,
            &config(front, pool, &[(BACKEND, 1001).into()]),
        );
        let pairs: Pairs = (0..FLOWS)
            .map(|n| pair(lab, &listener, &format!("f{n}")))
            .collect();
        for (client, broker) in &pairs {
            for end in [client, broker] {
                end.set_nodelay(true).expect("nodelay");
                end.set_read_timeout(Some(WAIT)).expect("timeout");
            }
        }
        let bench = Self { lb, pairs };
        bench.wait_flows(if path == DataPath::Copy {
            "copy"
        } else {
            "sockmap"
        });
        bench
    }

    /// Waits until every flow is on a data path.
    fn wait_flows(&self, path: &str) {
        let all = |flows: f64| flows == FLOWS as f64;
        self.lb
            .wait_metric("mqttlb_datapath_flows", &[("path", path)], WAIT, all);
    }

    /// Every flow has been moved back to userspace at least once.
    fn left_the_kernel(&self) {
        wait::for_true("busy flows should leave the kernel", WAIT, || {
            let moves = |path| {
                self.lb
                    .metrics()
                    .sum("mqttlb_datapath_moves_total", &[("path", path)])
            };
            moves("copy") >= FLOWS as f64
        });
    }

    /// Median round trip of 128-byte messages, 200 a second on each flow.
    fn quiet(&self) -> Duration {
        let mut trips: Vec<Duration> = std::thread::scope(|scope| {
            for (_, broker) in &self.pairs {
                scope.spawn(|| echo(broker));
            }
            let clients = self
                .pairs
                .iter()
                .map(|(client, _)| scope.spawn(|| ask(client)));
            let clients: Vec<_> = clients.collect();
            clients
                .into_iter()
                .flat_map(|c| c.join().expect("a client panicked"))
                .collect()
        });
        trips.sort();
        trips[trips.len() / 2]
    }

    /// Messages of 100 bytes that arrive in a second when every client sends
    /// as fast as it can.
    fn busy(&self, seconds: f64) -> f64 {
        let (stop, received) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for (client, broker) in &self.pairs {
                scope.spawn(|| flood(client, &stop));
                scope.spawn(|| drain(broker, &stop, &received));
            }
            // The first moments belong to the policy.
            std::thread::sleep(Duration::from_secs(2));
            let (begin, before) = (Instant::now(), received.load(Relaxed));
            std::thread::sleep(Duration::from_secs_f64(seconds));
            let bytes = received.load(Relaxed) - before;
            let rate = bytes as f64 / 100.0 / begin.elapsed().as_secs_f64();
            stop.store(true, Relaxed);
            rate
        })
    }
}

const TRIPS: usize = 300;

fn ask(mut client: &TcpStream) -> Vec<Duration> {
    let trip = |_| {
        std::thread::sleep(Duration::from_millis(5));
        let begin = Instant::now();
        client.write_all(&[1; 128]).expect("write");
        client.read_exact(&mut [0; 128]).expect("read");
        begin.elapsed()
    };
    (0..TRIPS).map(trip).collect()
}

fn echo(mut broker: &TcpStream) {
    let mut message = [0; 128];
    for _ in 0..TRIPS {
        broker.read_exact(&mut message).expect("read");
        broker.write_all(&message).expect("write");
    }
}

fn flood(mut client: &TcpStream, stop: &AtomicBool) {
    while !stop.load(Relaxed) {
        client.write_all(&[2; 100]).expect("write");
    }
}

fn drain(mut broker: &TcpStream, stop: &AtomicBool, received: &AtomicU64) {
    let mut buffer = [0; 65_536];
    broker
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("timeout");
    while !stop.load(Relaxed) {
        match broker.read(&mut buffer) {
            Ok(n) => received.fetch_add(n as u64, Relaxed),
            Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
            Err(e) => panic!("read: {e}"),
        };
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of a measurement for each of [`PATHS`], taken in turns.
fn medians(mut measure: impl FnMut(DataPath) -> f64) -> [f64; 3] {
    let mut values = PATHS.map(|_| Vec::new());
    for _ in 0..RUNS {
        for (values, path) in values.iter_mut().zip(PATHS) {
            values.push(measure(path));
        }
    }
    values.map(median)
}

#[test]
fn quiet_flows_are_in_the_kernel_and_quick() {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    let lab = Lab::new();
    let [kernel, copy, auto] = medians(|path| {
        let bench = Bench::start(&lab, path);
        let trip = bench.quiet();
        if path == DataPath::Auto {
            bench.wait_flows("sockmap");
        }
        trip.as_secs_f64() * 1e6
    });
    say(&format!(
        "quiet, median round trip: sockmap {kernel:.0} µs, copy {copy:.0} µs, auto {auto:.0} µs \
         (auto/copy {:.2}, auto/sockmap {:.2})",
        auto / copy,
        auto / kernel
    ));
    assert!(
        auto < copy * 1.3,
        "auto should not be slower than userspace"
    );
}

#[test]
fn busy_flows_are_in_userspace_and_strong() {
    if !met(&[Need::Root, Need::Bpf, Need::Program("ip")]) {
        return;
    }
    let lab = Lab::new();
    let [kernel, copy, auto] = medians(|path| {
        let bench = Bench::start(&lab, path);
        let rate = bench.busy(2.0);
        if path == DataPath::Auto {
            bench.left_the_kernel();
        }
        rate / 1e3
    });
    say(&format!(
        "busy, thousand messages a second: sockmap {kernel:.0}, copy {copy:.0}, auto {auto:.0} \
         (auto/copy {:.2}, auto/sockmap {:.2})",
        auto / copy,
        auto / kernel
    ));
    assert!(
        auto > copy * 0.5,
        "auto should be about as strong as userspace"
    );
    assert!(
        auto > kernel * 1.5,
        "auto should be stronger than the kernel"
    );
}
