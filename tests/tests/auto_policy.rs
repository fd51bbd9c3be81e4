//! The `auto` policy against its two pure choices: in the kernel where flows are
//! quiet, in userspace where they are busy, and about as cheap as the better one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use mqtt_lb_tests::brokers::session::Session;
use mqtt_lb_tests::compare::{Candidate, Round, Table};
use mqtt_lb_tests::cpu::Clock;
use mqtt_lb_tests::gate::Gate;
use mqtt_lb_tests::lab::{BACKEND, FRONT, Lab};
use mqtt_lb_tests::lb::{self, DataPath, Lb};
use mqtt_lb_tests::mqtt::Connect;
use mqtt_lb_tests::require::{Need, met, say};

const NEEDS: &[Need] = &[Need::Root, Need::Bpf, Need::Program("ip")];
const PATHS: [DataPath; 3] = [DataPath::Auto, DataPath::Sockmap, DataPath::Copy];
const NAMES: [&str; 3] = ["auto", "sockmap", "copy"];
const AUTO: usize = 0;
/// Time for which a round is measured.
const MEASURED: Duration = Duration::from_millis(800);
/// Spread of the rounds above which a failure may be the machine's.
const NOISY: f64 = 0.25;
/// Bytes of a message: a PUBLISH with QoS 0 to topic `t`.
const MESSAGE: usize = 100;
/// Connections that are quiet, and that are busy.
const QUIET: u32 = 30;
const BUSY: u32 = 20;
/// Stack of the many threads: they only copy.
const STACK: usize = 64 << 10;

fn message() -> [u8; MESSAGE] {
    let mut message = [b'x'; MESSAGE];
    message[..5].copy_from_slice(&[0x30, MESSAGE as u8 - 2, 0, 1, b't']);
    message
}

/// What the broker does with what it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broker {
    Echo,
    Sink,
}

/// Serves every connection on a thread of its own and counts the bytes.
fn serve(listener: TcpListener, broker: Broker) -> Arc<AtomicU64> {
    let counted = Arc::new(AtomicU64::new(0));
    let counter = counted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, counter) = (stream.expect("accept"), counter.clone());
            thread(move || {
                // The readiness check connects and says nothing.
                if let Ok(session) = Session::open(stream) {
                    carry(session, broker, &counter);
                }
            });
        }
    });
    counted
}

fn carry(session: Session, broker: Broker, counter: &AtomicU64) {
    let mut stream = session.stream;
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream.set_read_timeout(None).expect("no timeout");
    stream
        .write_all(session.connect.connack())
        .expect("CONNACK");
    let mut buffer = vec![0; 65_536];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        counter.fetch_add(n as u64, Relaxed);
        if broker == Broker::Echo && stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

fn thread(work: impl FnOnce() + Send + 'static) {
    let builder = Builder::new().stack_size(STACK);
    builder.spawn(work).expect("start a thread");
}

/// What a client does while the gate is open. Its place among the clients is
/// between 0 and 1.
type Work = fn(&mut TcpStream, place: f64, gate: &Gate);

/// The clients of one balancer, and the bytes their broker has got.
struct Load {
    gate: Arc<Gate>,
    arrived: Arc<AtomicU64>,
}

impl Load {
    /// Connects `count` clients.
    fn start(lab: &Lab, to: SocketAddr, count: u32, work: Work, arrived: Arc<AtomicU64>) -> Self {
        let gate = Arc::new(Gate::default());
        for n in 0..count {
            let mut stream = lab.client.connect(to).expect("connect");
            stream.set_nodelay(true).expect("TCP_NODELAY");
            let connect = Connect::new(&format!("auto-{n}")).encode();
            stream.write_all(&connect).expect("CONNECT");
            stream.read_exact(&mut [0; 4]).expect("CONNACK");
            let gate = gate.clone();
            let place = f64::from(n) / f64::from(count);
            thread(move || {
                while gate.pass() {
                    work(&mut stream, place, &gate);
                }
            });
        }
        Self { gate, arrived }
    }

    /// Lets the clients work for a while, and measures after `lead_in`.
    fn round(&self, lead_in: Duration) -> Round {
        let arrived = || self.arrived.load(Relaxed);
        self.gate.open();
        sleep(lead_in);
        let (clock, begin, before) = (Clock::now(), Instant::now(), arrived());
        sleep(MEASURED);
        let messages = (arrived() - before) as f64 / MESSAGE as f64;
        let (elapsed, spent) = (begin.elapsed(), Clock::now().since(clock));
        self.gate.close();
        // What is on its way must not fall into the next round.
        let mut last = u64::MAX;
        while last != arrived() {
            last = arrived();
            sleep(Duration::from_millis(50));
        }
        Round {
            rate: messages / elapsed.as_secs_f64(),
            cpu: spent.as_secs_f64() * 1e6 / messages.max(1.0),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.gate.end();
    }
}

/// The three balancers, each with clients and a broker of its own.
struct Bench<'a> {
    loads: Vec<Load>,
    balancers: Vec<Lb<'a>>,
}

impl<'a> Bench<'a> {
    fn start(lab: &'a Lab, broker: Broker, clients: u32, work: Work) -> Self {
        let mut bench = Self {
            loads: Vec::new(),
            balancers: Vec::new(),
        };
        for (path, port) in PATHS.into_iter().zip(1883..) {
            let backend = SocketAddr::new(BACKEND, port);
            let arrived = serve(lab.backend.listen(backend), broker);
            let front = SocketAddr::new(FRONT, port);
            let config = lb::config(front, "health = { type = \"off\" }", &[backend]);
            bench.balancers.push(Lb::start(&lab.lb, path, &config));
            let load = Load::start(lab, front, clients, work, arrived);
            bench.loads.push(load);
        }
        // Whoever may move into the kernel has done so.
        for (n, balancer) in bench.balancers.iter().enumerate() {
            if PATHS[n] != DataPath::Copy {
                let labels = [("path", "sockmap")];
                let all = |flows: f64| flows == f64::from(clients);
                let within = Duration::from_secs(10);
                balancer.wait_metric("mqttlb_datapath_flows", &labels, within, all);
            }
        }
        bench
    }

    /// Flows of `auto` that are on a path now.
    fn flows(&self, path: &str) -> f64 {
        let metrics = self.balancers[AUTO].metrics();
        metrics.gauge("mqttlb_datapath_flows", &[("path", path)])
    }

    /// Measures the three in turn and judges; a second time when it failed and the
    /// rounds were far apart.
    fn compare(
        &self,
        what: &str,
        rounds: usize,
        lead_in: Duration,
        verdict: impl Fn(&[Candidate]) -> Result<(), String>,
    ) {
        for again in [true, false] {
            let table = Table::measure(&NAMES, rounds, |n| self.loads[n].round(lead_in));
            say(&format!("{what}, medians of {rounds} rounds:\n{table}"));
            match verdict(&table.0) {
                Ok(()) => return,
                Err(_) if again && table.spread() > NOISY => say("  noisy: once more"),
                Err(e) => panic!("{e}\n{table}"),
            }
        }
    }
}

/// One request and its answer every 10 ms.
fn request(stream: &mut TcpStream, place: f64, gate: &Gate) {
    const EVERY: Duration = Duration::from_millis(10);
    let (message, mut answer) = (message(), [0; MESSAGE]);
    let mut next = Instant::now() + EVERY.mul_f64(place);
    while gate.is_open() {
        sleep(next.saturating_duration_since(Instant::now()));
        stream.write_all(&message).expect("write");
        stream.read_exact(&mut answer).expect("answer");
        assert_eq!(answer, message);
        next = (next + EVERY).max(Instant::now());
    }
}

/// Messages as fast as the connection takes them, each in a segment of its own.
fn flood(stream: &mut TcpStream, _: f64, gate: &Gate) {
    let message = message();
    while gate.is_open() {
        stream.write_all(&message).expect("write");
    }
}

#[test]
fn quiet_flows_are_as_cheap_as_on_the_better_path() {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    let bench = Bench::start(&lab, Broker::Echo, QUIET, request);
    bench.compare(
        "30 connections, 100 requests a second each",
        7,
        Duration::from_millis(150),
        |all| {
            let best = all[1].cpu().min(all[2].cpu());
            let cost = all[AUTO].cpu() / best;
            if cost <= 1.25 {
                Ok(())
            } else {
                Err(format!("auto costs {cost:.2} times the better path"))
            }
        },
    );
    assert_eq!(
        bench.flows("sockmap"),
        f64::from(QUIET),
        "quiet flows left the kernel"
    );
}

#[test]
fn busy_flows_are_as_fast_as_on_the_better_path() {
    if !met(NEEDS) {
        return;
    }
    let lab = Lab::new();
    let bench = Bench::start(&lab, Broker::Sink, BUSY, flood);
    bench.compare(
        "20 connections, 100 bytes as fast as they go, one way",
        5,
        // `auto` has to notice first: it looks once a second.
        Duration::from_millis(1300),
        |all| {
            let best = all[1].rate().max(all[2].rate());
            let speed = all[AUTO].rate() / best;
            if speed >= 0.6 {
                Ok(())
            } else {
                Err(format!(
                    "auto has {speed:.2} times the rate of the better path"
                ))
            }
        },
    );
    let moves = bench.balancers[AUTO].metrics();
    let out = moves.sum("mqttlb_datapath_moves_total", &[("path", "copy")]);
    assert!(out >= f64::from(BUSY), "only {out} moves out of the kernel");
}
